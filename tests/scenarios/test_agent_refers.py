"""The human sends the caller on by REFER where their destination allows it, by the rules of the assistant's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.call.events import HandoffStopped
from b2bua.handoff.handoff import Handoff
from sip_stack.dialog.refer import is_terminated, read_sipfrag
from sip_stack.events import Cancelled, Ended, RequestCompleted
from sip_stack.message import Request
from sip_stack.sdp import Direction
from tests.scenarios.test_handoff_by_refer import SbcBehaviour, accept, decline
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    DESK,
    DESTINATIONS,
    SBC,
    Behaviour,
    Phone,
    World,
    answer,
    play,
    refuse,
    ring,
)
from tests.support.handoff_cast import MAIN, Cast, answer_at_once, summary, talking
from tests.support.media_leg_double import LegDouble

ALLOWED = DESTINATIONS.replace("  route: sip:operator", "  agent_may_transfer: true\n  route: sip:operator")
POLICY = MAIN + f'policy: {{allow: ["sip:*@{BILLING}"]}}\n'


async def with_the_first(world: World, behaviour: Behaviour = answer) -> tuple[Cast, Phone, Phone, LegDouble]:
    """The caller talks to the first human; the second behaves so. Both phones, and the first one's leg."""
    desk = await world.phone(DESK, answer_at_once)
    second = await world.phone(BILLING, behaviour)
    cast = await talking(world)
    handoff = world.hand_off(destination="front-desk")
    await cast.until_awaited()
    cast.agent().hear()
    await cast.until_over(handoff)
    await asyncio.sleep(1)
    return cast, desk, second, cast.agent()


def refer(desk: Phone, target: str = f"sip:billing@{B2BUA}") -> None:
    """The first human transfers the caller."""
    session = desk.sessions[0]
    desk.do(lambda now: session.request(now, "REFER", headers=[("Refer-To", f"<{target}>")]))


async def answer_to_refer(desk: Phone) -> int:
    completed = await desk.until(RequestCompleted)
    assert completed.response is not None
    return completed.response.status


def told(desk: Phone) -> list[int | None]:
    """The statuses of the NOTIFYs that reached the first human."""
    return [read_sipfrag(request.body) for request in desk.requests if request.method == "NOTIFY"]


def handoffs(world: World) -> list[Handoff]:
    return next(iter(world.registry.calls.values())).handoffs


@pytest.mark.parametrize("target", [f"sip:billing@{B2BUA}", f"sip:anybody@{BILLING}"])
def test_the_second_human_gets_the_caller_and_the_first_hears_so_before_its_bye(
    tmp_path: Path, target: str
) -> None:
    async def story(world: World) -> None:
        cast, desk, second, first = await with_the_first(world)
        refer(desk, target)
        assert await answer_to_refer(desk) == 202
        await cast.until_awaited()
        assert cast.caller.peer is first, "until the second is heard"
        cast.agent().hear()
        await desk.until(Ended)
        assert told(desk) == [100, 180, 200]
        assert is_terminated(desk.requests[-1])
        assert cast.caller.peer is cast.agent()
        assert cast.agent() is not first
        assert cast.agent().peer is cast.caller
        before, after = handoffs(world)
        assert summary(before) == ("completed", "normal_hangup", 4000)
        assert after.request.asked_by == "agent"
        assert len(second.invites()) == 1
        cast.hang_up()
        record = await world.record()
        assert [each["outcome"]["code"] for each in record.handoffs] == [4000, 4000]  # type: ignore[index]

    play(story, tmp_path, main=POLICY, destinations=ALLOWED)


@pytest.mark.parametrize(
    ("destinations", "target"),
    [
        (DESTINATIONS, f"sip:billing@{B2BUA}"),
        (ALLOWED, f"sip:nobody@{B2BUA}"),
        (ALLOWED, "sip:anybody@198.51.100.77"),
    ],
    ids=["not allowed to", "no such destination", "outside policy"],
)
def test_what_is_not_allowed_is_declined_and_nobody_is_called(
    tmp_path: Path, destinations: str, target: str
) -> None:
    async def story(world: World) -> None:
        cast, desk, second, first = await with_the_first(world)
        refer(desk, target)
        assert await answer_to_refer(desk) == 603
        await asyncio.sleep(1)
        assert not second.invites()
        assert cast.caller.peer is first
        cast.hang_up()

    play(story, tmp_path, main=POLICY, destinations=destinations)


def test_a_failure_leaves_the_caller_with_the_first_who_learns_why(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, _, first = await with_the_first(world, refuse(486))
        refer(desk)
        await world.until(lambda: told(desk)[-1:] == [486])
        await asyncio.sleep(0.5)
        assert cast.caller.peer is first
        assert first.peer is cast.caller
        assert handoffs(world)[0].is_connected
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=ALLOWED)


def test_a_first_human_that_hangs_up_at_once_has_its_way(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, _, first = await with_the_first(world)
        refer(desk)
        await answer_to_refer(desk)
        desk.do(desk.sessions[0].bye)
        await cast.until_awaited()
        assert cast.agent() is not first
        cast.agent().hear()
        await world.until(lambda: cast.caller.peer is cast.agent())
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=ALLOWED)


def test_the_caller_leaves_while_the_second_rings(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, second, _ = await with_the_first(world, ring)
        refer(desk)
        await world.until(lambda: 180 in told(desk))
        cast.hang_up()
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "caller")
        await desk.until(Ended)
        await second.until(Cancelled)

    play(story, tmp_path, main=MAIN, destinations=ALLOWED)


def test_it_is_given_up_over_the_api(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, second, first = await with_the_first(world, ring)
        refer(desk)
        await world.until(lambda: 180 in told(desk))
        next(iter(world.registry.calls.values())).inbox.put(HandoffStopped(handoffs(world)[-1]))
        await second.until(Cancelled)
        await world.until(lambda: told(desk)[-1:] == [487])
        assert cast.caller.peer is first
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=ALLOWED)


def test_a_caller_on_hold_for_the_transfer_hears_the_second_human(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, _, _ = await with_the_first(world)
        desk.reoffer(desk.sessions[0], Direction.SENDONLY)  # as phones do before they transfer
        await world.until(lambda: cast.sbc.reoffers())
        await asyncio.sleep(1)
        refer(desk)
        await cast.until_awaited()
        cast.agent().hear()
        await desk.until(Ended)
        await asyncio.sleep(1)
        assert cast.sbc.reoffers()[-1] is Direction.SENDRECV
        assert cast.caller.parameters is not None
        assert cast.caller.parameters.send
        assert cast.caller.parameters.receive
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=ALLOWED)


# -- on to destinations that the SBC takes the caller to -------------------------------------------------------------

ONWARD = (
    ALLOWED
    + f"""\
by-refer:
  method: refer
  route: sip:operator@{SBC}
  refer_timeout: 10s
back:
  method: bye
  headers: {{X-Destination: elsewhere}}
"""
)


def statuses_of_byes_and_notifys(world: World, desk: Phone) -> list[str]:
    """BYEs and answers to NOTIFYs between us and the first human, in order."""
    return [
        each.title
        for each in world.network.wire.log
        if {each.source[0], each.destination[0]} == {B2BUA, desk.host} and each.title in ("BYE", "200 NOTIFY")
    ]


def test_the_human_sends_the_caller_to_a_destination_of_method_refer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, _, _ = await with_the_first(world)
        cast.sbc.on_request = accept(100, 200)
        refer(desk, f"sip:by-refer@{B2BUA}")
        await desk.until(Ended)
        assert told(desk)[-1] == 200
        assert is_terminated(desk.requests[-1])
        assert statuses_of_byes_and_notifys(world, desk)[-2:] == ["200 NOTIFY", "BYE"]
        (asked,) = [request for request in cast.sbc.requests if request.method == "REFER"]
        assert (asked.headers.get("Refer-To") or "").startswith(f"<sip:operator@{SBC}")
        record = await world.record()
        assert [each["method"] for each in record.handoffs] == ["invite", "refer"]
        assert [each["outcome"]["code"] for each in record.handoffs] == [4000, 4000]  # type: ignore[index]
        assert record.handoffs[1]["confirmed"] == "notify"

    play(story, tmp_path, main=MAIN, destinations=ONWARD)


@pytest.mark.parametrize(("behaviour", "status"), [(decline(405), 405), (accept(100, 486), 486)])
def test_an_sbc_that_does_not_take_the_caller_leaves_them_with_the_human(
    tmp_path: Path, behaviour: SbcBehaviour, status: int
) -> None:
    async def story(world: World) -> None:
        cast, desk, _, first = await with_the_first(world)
        cast.sbc.on_request = behaviour
        refer(desk, f"sip:by-refer@{B2BUA}")
        await world.until(lambda: told(desk)[-1:] == [status])
        await asyncio.sleep(0.5)
        assert cast.caller.peer is first
        assert first.peer is cast.caller
        cast.hang_up()
        await desk.until(Ended)
        outcomes = [each["outcome"]["status"] for each in (await world.record()).handoffs]  # type: ignore[index]
        assert outcomes == ["completed", "busy" if status == 486 else "failed"]

    play(story, tmp_path, main=MAIN, destinations=ONWARD)


def test_the_human_gives_the_caller_back_to_the_sbc_by_bye(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, _, _ = await with_the_first(world)
        refer(desk, f"sip:back@{B2BUA}")
        bye = (await cast.sbc.until(Ended)).message
        assert isinstance(bye, Request)
        assert bye.headers.get("X-Destination") == "elsewhere"
        await desk.until(Ended)
        assert told(desk)[-1] == 200
        assert statuses_of_byes_and_notifys(world, desk)[-2:] == ["200 NOTIFY", "BYE"]
        record = await world.record()
        assert [each["method"] for each in record.handoffs] == ["invite", "bye"]
        assert record.handoffs[1]["confirmed"] is True

    play(story, tmp_path, main=MAIN, destinations=ONWARD)


@pytest.mark.parametrize("name", ["by-refer", "back"])
def test_what_the_trunk_does_not_permit_fails_and_the_human_keeps_the_caller(
    tmp_path: Path, name: str
) -> None:
    async def story(world: World) -> None:
        cast, desk, _, first = await with_the_first(world)
        refer(desk, f"sip:{name}@{B2BUA}")
        await world.until(lambda: any((status or 0) >= 300 for status in told(desk)))
        await asyncio.sleep(0.5)
        assert cast.caller.peer is first
        assert not any(request.method == "REFER" for request in cast.sbc.requests)
        cast.hang_up()
        outcome = (await world.record()).handoffs[1]["outcome"]
        assert outcome["code"] == 11050  # type: ignore[index]

    main = MAIN.replace("    max_calls: 100\n", "    max_calls: 100\n    allowed_methods: [invite]\n")
    play(story, tmp_path, main=main, destinations=ONWARD)
