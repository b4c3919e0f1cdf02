"""The assistant asks by REFER: it is answered at once, told how it goes, and let go when it knows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.dialog.refer import is_terminated, read_sipfrag
from sip_stack.events import Ended, RequestCompleted, RequestReceived
from sip_stack.message import Request
from tests.support.b2bua_world import (
    B2BUA,
    DESK,
    Phone,
    World,
    play,
    refuse,
    ring,
)
from tests.support.fake_network import Wire
from tests.support.handoff_cast import MAIN, Cast, talking

REFERRED_BY = ("Referred-By", "<sip:bot@198.51.100.9>")


def refer(cast: Cast, target: str, *more: tuple[str, str]) -> None:
    """The assistant refers the caller to `target`."""
    session = cast.bot.sessions[0]
    cast.bot.do(lambda now: session.request(now, "REFER", headers=[("Refer-To", f"<{target}>"), *more]))


def told(cast: Cast) -> list[int | None]:
    """The statuses of the NOTIFYs that reached the assistant."""
    return [read_sipfrag(request.body) for request in cast.bot.requests if request.method == "NOTIFY"]


async def final_status(cast: Cast) -> int:
    completed = await cast.bot.until(RequestCompleted)
    assert completed.response is not None
    return completed.response.status


@pytest.mark.parametrize("more", [(REFERRED_BY,), ()], ids=["referred-by", "without"])
def test_the_caller_reaches_the_destination_that_was_named(
    tmp_path: Path, more: tuple[tuple[str, str], ...]
) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        cast = await talking(world)
        refer(cast, f"sip:front-desk@{B2BUA}?X-Why=refund%20asked", *more)
        assert await final_status(cast) == 202
        await cast.until_awaited()
        assert desk.invites()[0].headers.get("X-Why") == "refund asked"
        assert not any(isinstance(event, Ended) for event in cast.bot.events)
        cast.agent().hear()
        await cast.bot.until(Ended)
        assert told(cast) == [100, 180, 200]
        assert is_terminated(cast.bot.requests[-1])
        last_notify = max(i for i, each in enumerate(world.network.wire.log) if each.title == "200 NOTIFY")
        bye = next(i for i, each in enumerate(world.network.wire.log) if each.title == "BYE")
        assert last_notify < bye, "the BYE waits until the last NOTIFY was answered"
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_a_failure_is_told_with_its_true_status(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, refuse(486))
        cast = await talking(world)
        refer(cast, f"sip:front-desk@{B2BUA}")
        await world.until(lambda: told(cast)[-1:] == [486])
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_a_referrer_that_says_481_to_a_notify_stays_in_the_call(tmp_path: Path) -> None:
    """It forgot the subscription, not the call: PJSIP does so when it refers again right after a failure."""

    def forgot(phone: Phone, event: RequestReceived) -> None:
        phone.do(lambda now: event.session.respond(now, event.transaction, 481))

    async def busy_after_a_while(phone: Phone, session: ServerSession, request: Request) -> None:
        await asyncio.sleep(1)
        await refuse(486)(phone, session, request)

    async def story(world: World) -> None:
        await world.phone(DESK, busy_after_a_while)
        cast = await talking(world)
        cast.bot.on_request = forgot
        refer(cast, f"sip:front-desk@{B2BUA}")
        await asyncio.sleep(3)
        assert told(cast) == [100], "the subscription is over (RFC 6665 section 4.2.2)"
        assert cast.caller.peer is cast.assistant
        assert not any(isinstance(event, Ended) for event in cast.bot.events)
        cast.hang_up()
        (handoff,) = (await world.record()).handoffs
        assert isinstance(handoff["outcome"], dict)
        assert handoff["outcome"]["name"] == "busy"

    play(story, tmp_path, main=MAIN)


def test_a_referrer_that_wants_no_notifys_gets_none(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        refer(cast, f"sip:front-desk@{B2BUA}", ("Refer-Sub", "false"), ("Supported", "norefersub"))
        assert await final_status(cast) == 202
        await cast.until_awaited()
        cast.agent().hear()
        await cast.bot.until(Ended)
        assert told(cast) == []
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_a_referrer_that_hangs_up_at_once_has_its_way(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        refer(cast, f"sip:front-desk@{B2BUA}")
        await final_status(cast)
        cast.bot.do(cast.bot.sessions[0].bye)
        await cast.until_awaited()
        cast.agent().hear()
        await world.until(lambda: cast.caller.peer is cast.agent())
        assert len(world.registry.calls) == 1
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_a_referrer_that_never_answers_a_notify_is_let_go_after_a_while(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        world.network.wire.drop("200 NOTIFY")
        refer(cast, f"sip:front-desk@{B2BUA}")
        await cast.until_awaited()
        cast.agent().hear()
        began = world.stack.now()
        await cast.bot.until(Ended)
        assert 1.9 <= world.stack.now() - began <= 2.3
        cast.hang_up()

    play(story, tmp_path, main=MAIN, settle=False)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"sip:nowhere@{B2BUA}", 603),
        ("sip:me@evil.example", 603),
        ("tel:+19005550000", 603),
        (f"sip:front-desk@{B2BUA};method=BYE", 603),
        (f"sip:front-desk@{B2BUA}?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2", 603),
        ("http://evil.example", 416),
    ],
)
def test_what_is_not_allowed_is_declined_and_never_passed_on(
    tmp_path: Path, target: str, status: int
) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        refer(cast, target)
        assert await final_status(cast) == status
        await asyncio.sleep(2)
        assert "REFER" not in world.network.titles([(B2BUA, 5060)])
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_a_uri_that_policy_allows(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        cast = await talking(world)
        refer(cast, f"sip:vip@{DESK}")
        await cast.until_awaited()
        assert desk.invites()[0].uri == f"sip:vip@{DESK}"
        cast.agent().hear()
        cast.hang_up()

    play(story, tmp_path, main=MAIN + f'policy: {{allow: ["sip:*@{DESK}"]}}\n')


def test_more_than_one_target_is_400_and_a_second_refer_491(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        cast = await talking(world)
        refer(cast, f"sip:front-desk@{B2BUA}", ("Refer-To", f"<sip:billing@{B2BUA}>"))
        assert await final_status(cast) == 400
        refer(cast, f"sip:front-desk@{B2BUA}")
        await cast.bot.until(RequestCompleted, count=2)
        refer(cast, f"sip:billing@{B2BUA}")
        third = await cast.bot.until(RequestCompleted, count=3)
        assert third.response is not None
        assert third.response.status == 491
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_the_caller_may_not_refer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.do(
            lambda now: cast.session.request(
                now, "REFER", headers=[("Refer-To", f"<sip:front-desk@{B2BUA}>")]
            )
        )
        completed = await cast.sbc.until(RequestCompleted)
        assert completed.response is not None
        assert completed.response.status == 603
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("seed", range(8))
def test_asking_over_a_bad_network(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        refer(cast, f"sip:front-desk@{B2BUA}")
        for _ in range(200):
            for leg in cast.call.legs:
                if leg.role == "agent" and leg.parameters:
                    leg.hear()
            await asyncio.sleep(0.1)
        assert len(world.registry.calls) == 1
        cast.hang_up()
        (handoff,) = (await world.record()).handoffs
        assert handoff["outcome"]

    wire = Wire(seed=seed, loss=0.1, duplicate=0.1, delay=0.01, jitter=0.05)
    play(story, tmp_path, main=MAIN, wire=wire)
