"""One Session-ID (RFC 7989) from end to end: each side hears the UUID of whom it talks to, whoever that is by now."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession, SessionState
from sip_stack.events import Answered, Rejected
from sip_stack.message import Request, Response
from sip_stack.message.session_id import NIL, SessionId
from sip_stack.sdp import Direction
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, SBC, Phone, World, offer, play, refuse
from tests.support.handoff_cast import MAIN as ASSISTED
from tests.support.handoff_cast import talking

ALICE = "a" * 32
DESKS = "d" * 32


def header(uuid: str) -> tuple[str, str]:
    return ("Session-ID", f"{uuid};remote={NIL}")


async def answer_with_uuid(phone: Phone, session: ServerSession, request: Request) -> None:
    """Ring and answer as somebody who has a UUID."""
    phone.do(lambda now: session.progress(now, 180, headers=[header(DESKS)]))
    await asyncio.sleep(1)
    if session.state is SessionState.EARLY:
        phone.do(lambda now: session.answer(now, body=offer(phone.host), headers=[header(DESKS)]))


def heard(world: World, host: str, title: str = "") -> list[SessionId | None]:
    """The Session-IDs of all but 100 that the B2BUA sent to a host."""
    messages = [
        each.message
        for each in world.network.wire.log
        if each.source[0] == B2BUA and each.destination[0] == host and title in ("", each.title)
    ]
    return [
        SessionId.parse(each.headers.get("Session-ID"))
        for each in messages
        if not (isinstance(each, Response) and each.status == 100)
    ]


def test_two_who_know_of_it_hear_each_others_uuid(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_with_uuid)
        sbc = await world.phone(SBC)
        session = sbc.call("desk", headers=(header(ALICE),))
        await sbc.until(Answered)
        sbc.reoffer(session, Direction.SENDONLY)
        await asyncio.sleep(1)
        sbc.do(session.bye)
        record = await world.record()
        assert record.session_id == ALICE
        assert [leg.session_id for leg in record.legs] == [ALICE, DESKS]

    world = play(story, tmp_path)
    assert set(heard(world, SBC)) == {SessionId(DESKS, ALICE)}
    first, *rest = heard(world, DESK)
    assert first == SessionId(ALICE)
    assert set(rest) == {SessionId(ALICE, DESKS)}
    assert len(rest) >= 4, "ACK, re-INVITE, its ACK, BYE"


def test_who_does_not_know_of_it_gets_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        session = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(session.bye)
        await world.record()

    world = play(story, tmp_path)
    record = world.records[0]
    alice, desk = (leg.session_id for leg in record.legs)
    assert record.session_id == alice
    assert len({alice, desk, NIL}) == 3
    assert heard(world, DESK)[-1] == SessionId(alice, desk)
    assert heard(world, SBC)[-1] == SessionId(desk, alice)


def test_a_refusal_the_ack_to_one_and_a_cancel_have_it_too(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, refuse(486))
        sbc = await world.phone(SBC)
        sbc.call("desk", headers=(header(ALICE),))
        await sbc.until(Rejected)

    world = play(story, tmp_path)
    assert heard(world, DESK, "ACK") == [SessionId(ALICE)]
    (refusal,) = heard(world, SBC, "486 INVITE")
    assert refusal is not None
    assert refusal.remote == ALICE
    assert refusal.local not in (NIL, ALICE)


def test_after_a_handoff_the_caller_hears_of_the_human_and_the_human_of_the_caller(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_with_uuid)
        cast = await talking(world)
        call = next(iter(world.registry.calls.values()))
        assert call.caller is not None
        alice = call.caller.uuid
        world.hand_off(destination="front-desk")
        await cast.until_awaited()
        cast.agent().hear()
        await world.until(lambda: call.peer is not None and call.peer.uuid == DESKS)
        await asyncio.sleep(1)
        world.phones[DESK].do(world.phones[DESK].sessions[0].bye)
        await world.record()
        assert heard(world, SBC, "BYE") == [SessionId(DESKS, alice)]
        assert heard(world, DESK, "ACK") == [SessionId(alice, DESKS)]
        assert heard(world, cast.bot.host)[-1] is not None

    play(story, tmp_path, main=ASSISTED)


def test_somebody_else_at_the_far_end_is_told_to_the_other_side(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_with_uuid)
        sbc = await world.phone(SBC)
        session = sbc.call("desk", headers=(header(ALICE),))
        await sbc.until(Answered)
        carol = "c" * 32
        hold = offer(SBC, direction=Direction.SENDONLY)
        sbc.do(lambda now: session.reoffer(now, hold, headers=[header(carol)]))
        await asyncio.sleep(1)
        sbc.do(session.bye)
        record = await world.record()
        assert record.legs[0].session_id == carol
        assert heard(world, DESK, "BYE") == [SessionId(carol, DESKS)]

    play(story, tmp_path)


@pytest.mark.parametrize("text", ["nonsense", "", f"{NIL};remote={NIL}"])
def test_nonsense_costs_no_call(tmp_path: Path, text: str) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        session = sbc.call("desk", headers=(("Session-ID", text),))
        await sbc.until(Answered)
        sbc.do(session.bye)
        assert len((await world.record()).session_id) == 32

    play(story, tmp_path)


def test_it_can_be_left_out(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_with_uuid)
        sbc = await world.phone(SBC)
        session = sbc.call("desk", headers=(header(ALICE),))
        await sbc.until(Answered)
        sbc.do(session.bye)
        await world.record()

    world = play(story, tmp_path, main=CONFIGURATION.replace("media:\n", "  session_id: false\nmedia:\n"))
    assert set(heard(world, SBC)) == {None}
    assert set(heard(world, DESK)) == {None}
