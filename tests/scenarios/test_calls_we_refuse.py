"""Calls that we refuse ourselves: strangers, numbers without a route, limits, offers that we cannot take, a drain."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from b2bua.call.call import Call
from sip_stack.events import Answered, Ended, Progress, Rejected
from sip_stack.message import Response
from sip_stack.settings import EndpointSettings
from tests.support import b2bua_world
from tests.support.b2bua_world import (
    CONFIGURATION,
    DESK,
    SBC,
    World,
    offer,
    play,
)
from tests.support.outcomes import summary


async def refused(
    world: World, user: str = "desk", *, host: str = SBC, body: bytes | None = None
) -> Response:
    caller = await world.phone(host)
    caller.call(user, body=body)
    return (await caller.until(Rejected)).response


def test_a_stranger_is_refused_and_leaves_no_record(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert (await refused(world, host="203.0.113.9")).status == 403
        assert not world.records

    play(story, tmp_path)


def test_a_stranger_gets_no_answer_at_all_when_so_configured(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stranger = await world.phone("203.0.113.9")
        stranger.call("desk")
        await asyncio.sleep(40)
        assert stranger.names() == ["Failed"]
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Answered)
        desk.do(desk.sessions[0].bye)
        assert (await sbc.until(Ended)).by == "remote", "a destination is no stranger inside its call"

    main = CONFIGURATION.replace("media:", "  unknown_source: silent\nmedia:")
    play(story, tmp_path, main=main)


def test_a_number_without_a_route_is_404(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert (await refused(world, "nobody")).status == 404
        assert summary((await world.record()).outcome) == ("no_route", 11101, "failed")

    play(story, tmp_path)


def test_one_call_too_many_is_503_with_retry_after(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        first = sbc.call("desk")
        await sbc.until(Progress)
        sbc.call("desk")
        response = (await sbc.until(Rejected)).response
        assert response.status == 503
        assert response.headers.get("Retry-After") == "5"
        await sbc.until(Answered)
        sbc.do(first.bye)
        assert summary((await world.record()).outcome) == ("overload", 11102, "failed")

    play(story, tmp_path, main=CONFIGURATION.replace("max_calls: 100", "max_calls: 1"))


def test_no_audio_port_is_503(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.exhaust()
        response = await refused(world)
        assert response.status == 503
        assert response.headers.get("Retry-After") == "5"
        assert summary((await world.record()).outcome) == ("media_ports_exhausted", 11071, "failed")

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("body", "status"),
    [(offer(SBC, payload="9"), 488), (offer(SBC, port=0), 488), (b"v=0\r\nrubbish", 400)],
    ids=["no-common-codec", "audio-off", "malformed"],
)
def test_an_offer_we_cannot_take_is_refused_with_a_warning(tmp_path: Path, body: bytes, status: int) -> None:
    async def story(world: World) -> None:
        response = await refused(world, body=body)
        assert response.status == status
        if status == 488:
            assert response.headers.get("Warning") is not None

    play(story, tmp_path)


def test_while_draining_new_calls_are_refused_and_running_ones_go_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Answered)
        drain = asyncio.ensure_future(world.registry.drain(60))
        await asyncio.sleep(1)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 503
        assert world.registry.calls
        await drain
        assert (await sbc.until(Ended)).by == "remote"
        record = await world.record(2)
        assert summary(record.outcome) == ("shutdown", 11104, "failed")

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("body", "status"),
    [(None, 503), (offer(SBC, payload="9"), 488), (b"v=0\r\nrubbish", 400)],
    ids=["no-port", "no-common-codec", "malformed"],
)
def test_a_call_that_we_refuse_is_freed_without_the_collector(
    tmp_path: Path, body: bytes | None, status: int
) -> None:
    """The collector rests while other calls are up: who is refused again and again would fill the memory."""

    async def story(world: World) -> None:
        if body is None:
            world.media.exhaust()
        assert (await refused(world, body=body)).status == status
        world.media.calls.clear()  # the double remembers every call
        assert not [each for each in gc.get_objects() if isinstance(each, Call)]

    play_without_collector(story, tmp_path)


def test_a_call_for_which_nobody_can_be_dialled_any_more_is_freed_without_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits of the SIP stack have let the caller in, and are reached with that."""

    async def story(world: World) -> None:
        assert (await refused(world)).status == 500
        record = await world.record()
        assert summary(record.attempts[0].outcome) == ("network_error", 5000, "failed")
        assert [leg.role for leg in record.legs] == ["caller"]
        await world.until(lambda: not world.registry.calls)
        world.media.calls.clear()
        assert not [each for each in gc.get_objects() if isinstance(each, Call)]

    monkeypatch.setattr(b2bua_world, "EndpointSettings", partial(EndpointSettings, max_sessions=1))
    play_without_collector(story, tmp_path)


def play_without_collector(story: Callable[[World], Awaitable[None]], folder: Path) -> None:
    gc.collect()
    gc.disable()
    try:
        play(story, folder)
    finally:
        gc.enable()
