"""Session timers in whole calls: each leg has its own, and a far end that went away is noticed (pitfalls 54, 84)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from b2bua.call.services import METHODS
from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.events import Acknowledged, Answered, Ended, Rejected, ReofferReceived
from sip_stack.extensions import Extensions, TimerTerms
from sip_stack.message import Request
from sip_stack.sdp import Direction, parse
from tests.support.b2bua_world import (
    B2BUA,
    CONFIGURATION,
    DESK,
    DESTINATIONS,
    PHONE,
    SBC,
    Behaviour,
    Phone,
    World,
    answer,
    play,
)

TIMERS = CONFIGURATION.replace("sip:\n", "sip:\n  session_timers: {expires: 90s}\n")
WITHOUT_UPDATE = replace(PHONE, allow=tuple(method for method in METHODS if method != "UPDATE"))
CALLER = Extensions(TimerTerms("supported", 90, refresher="us"))
"""A caller who refreshes."""
LAZY = Extensions(TimerTerms("supported", 90, refresher="far_end"))
"""One who leaves it to us."""


def knowing(extensions: Extensions) -> Behaviour:
    """Answer, with session timers."""

    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        session.use(extensions)
        await answer(phone, session, request)

    return behaviour


async def talking(
    world: World, caller: Extensions, agent: Extensions, settings: object = PHONE
) -> tuple[Phone, ClientSession, Phone]:
    desk = await world.phone(DESK, knowing(agent), settings)  # type: ignore[arg-type]
    sbc = await world.phone(SBC)
    call = sbc.call("desk", extensions=caller)
    await sbc.until(Answered)
    await desk.until(Acknowledged)
    await asyncio.sleep(0.5)
    return sbc, call, desk


def sent(world: World, source: str, destination: str, method: str) -> list[Request]:
    """Requests of that method from one host to another."""
    return [
        datagram.message
        for datagram in world.network.wire.log
        if (datagram.source[0], datagram.destination[0], datagram.title) == (source, destination, method)
        and isinstance(datagram.message, Request)
    ]


def test_each_leg_is_refreshed_by_whoever_it_falls_to_for_an_hour(tmp_path: Path) -> None:
    """The caller refreshes its leg, we the agent's; neither hears of the other's timer."""

    async def story(world: World) -> None:
        sbc, call, _ = await talking(world, CALLER, Extensions(TimerTerms("supported", 90)))
        invite = sent(world, B2BUA, DESK, "INVITE")[0]
        assert invite.headers.get("Session-Expires") == "90"
        await asyncio.sleep(3600)
        assert len(world.registry.calls) == 1
        assert 75 <= len(sent(world, SBC, B2BUA, "UPDATE")) <= 81
        assert sent(world, B2BUA, SBC, "UPDATE") == []
        assert 75 <= len(sent(world, B2BUA, DESK, "UPDATE")) <= 81
        assert sent(world, DESK, B2BUA, "UPDATE") == []
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path, main=TIMERS)


def test_a_refresh_by_re_invite_changes_no_description_and_is_heard_by_nobody_else(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, LAZY, Extensions(TimerTerms("supported", 90)), WITHOUT_UPDATE)
        await asyncio.sleep(200)
        reinvites = [event.request for event in desk.events if isinstance(event, ReofferReceived)]
        assert len(reinvites) == 4
        first = sent(world, B2BUA, DESK, "INVITE")[0]
        assert {request.body for request in reinvites} == {first.body}
        assert sbc.reoffers() == []
        assert len(sent(world, B2BUA, SBC, "UPDATE")) == 4
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path, main=TIMERS)


def test_a_refresh_under_hold_keeps_the_hold(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, LAZY, Extensions(TimerTerms("supported", 90)), WITHOUT_UPDATE)
        sbc.reoffer(call, Direction.SENDONLY)
        await asyncio.sleep(200)
        assert set(desk.reoffers()) == {Direction.SENDONLY}
        assert len(desk.reoffers()) >= 4
        versions = {
            parse(event.request.body).origin.version
            for event in desk.events
            if isinstance(event, ReofferReceived)
        }
        assert versions == {"2"}, "one change, however often it is repeated"
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path, main=TIMERS)


@pytest.mark.parametrize("refresher", ["us", "them"])
@pytest.mark.parametrize("dead", ["caller", "agent"])
def test_a_far_end_that_dies_under_hold_is_noticed(tmp_path: Path, dead: str, refresher: str) -> None:
    """Nothing else would before `time_limit`: whoever is held may be silent (pitfall 84)."""

    async def story(world: World) -> None:
        agent = Extensions(TimerTerms("supported", 90, refresher="far_end" if refresher == "us" else "us"))
        sbc, call, desk = await talking(world, LAZY if refresher == "us" else CALLER, agent)
        sbc.reoffer(call, Direction.SENDONLY)
        await asyncio.sleep(1)
        gone, left = (sbc, desk) if dead == "caller" else (desk, sbc)
        world.network.wire.cut(gone.host)
        record = await world.record(patience=200)
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.code) == ("session_expired", 11060)
        assert record.duration_ms < 120_000
        ended = await left.until(Ended)
        assert isinstance(ended.message, Request)
        assert "Q.850;cause=102" in (ended.message.headers.get("Reason") or "")
        leg = next(leg for leg in record.legs if leg.role == dead)
        assert leg.ended_by == "b2bua"

    play(story, tmp_path, main=TIMERS, settle=False)


def test_far_ends_without_timers_are_left_alone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        none = Extensions()
        sbc, call, _ = await talking(world, none, none)
        await asyncio.sleep(3600)
        assert [*sent(world, B2BUA, SBC, "UPDATE"), *sent(world, B2BUA, DESK, "UPDATE")] == []
        assert len(world.registry.calls) == 1
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path, main=TIMERS)


def test_a_destination_may_have_timers_of_its_own(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, _ = await talking(world, CALLER, Extensions(TimerTerms("supported", 90)))
        invite = sent(world, B2BUA, DESK, "INVITE")[0]
        assert invite.headers.get("Session-Expires") == "600;refresher=uas"
        assert invite.headers.get("Min-SE") == "300"
        assert invite.require == ["timer"]
        sbc.do(lambda now: call.bye(now))

    own = "  session_timers: {use: required, expires: 10m, min_se: 5m, refresher: far_end}\nbilling:"
    play(story, tmp_path, main=TIMERS, destinations=DESTINATIONS.replace("billing:", own, 1))


@pytest.mark.parametrize(
    ("trunk", "caller", "status"),
    [
        ("required", Extensions(), 421),
        ("{min_se: 5m}", CALLER, 200),  # its stack follows the 422
        ("disabled", Extensions(TimerTerms("required", 90)), 420),
    ],
)
def test_a_trunk_that_insists(tmp_path: Path, trunk: str, caller: Extensions, status: int) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", extensions=caller)
        if status != 200:
            assert (await sbc.until(Rejected)).response.status == status
            assert not world.registry.calls
            return
        answered = await sbc.until(Answered)
        assert "422 INVITE" in world.network.wire.titles()
        assert answered.response.headers.get("Session-Expires") == "300;refresher=uac"
        sbc.do(lambda now: call.bye(now))

    own = f"    session_timers: {trunk}\n    max_calls: 100"
    play(story, tmp_path, main=CONFIGURATION.replace("    max_calls: 100", own))


def test_a_refresh_crosses_a_hold(tmp_path: Path) -> None:
    """Both ask at the same moment: the session goes on, and so does the hold."""

    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, LAZY, Extensions(TimerTerms("supported", 90)), WITHOUT_UPDATE)
        session = desk.sessions[-1]
        started = world.stack.now()
        answered_at = next(
            each.at
            for each in world.network.wire.log
            if each.title == "200 INVITE" and each.source[0] == DESK
        )
        await asyncio.sleep(answered_at + 45.005 - started)
        desk.reoffer(session, Direction.SENDONLY)
        await asyncio.sleep(10)
        assert world.legs()[1].parameters is not None
        assert sbc.reoffers()[-1] is Direction.SENDONLY
        await asyncio.sleep(300)
        assert len(world.registry.calls) == 1
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path, main=TIMERS)
