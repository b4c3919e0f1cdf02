"""Two calls that we hold are joined: each caller hears the other, whom they talked to before is let go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.call import joining
from b2bua.call.call import Call
from b2bua.call.events import HangUp
from b2bua.call_order import CallOrder
from b2bua.control import ControlError
from b2bua.handoff.begin import begin
from b2bua.handoff.handoff import HandoffRequest
from sip_stack.dialog import ClientSession
from sip_stack.events import Answered, Cancelled, Ended
from sip_stack.sdp import Direction
from tests.support.attended_transfer import refer, replaces
from tests.support.b2bua_world import BILLING, DESK, SBC, Phone, World, play, refuse, ring
from tests.support.handoff_cast import ASSISTANT, MAIN, answer_at_once
from tests.support.media_leg_double import Nothing
from tests.support.own_calls import ORDER, two_calls

BOB = "192.0.2.78"


class Pair:
    """Alice and Bob, each with the assistant; then joined, in Alice's call."""

    alice: Phone
    bob: Phone
    bot: Phone
    sessions: tuple[ClientSession, ClientSession]
    calls: tuple[Call, Call]

    def audio_flows(self) -> bool:
        one, other = (call.legs[0].media for call in self.calls)
        return one.peer is other and other.peer is one  # type: ignore[attr-defined]


async def joined(world: World) -> Pair:
    pair = Pair()
    pair.bot = await world.phone(ASSISTANT, answer_at_once)
    pair.alice, pair.bob = await world.phone(SBC), await world.phone(BOB)
    pair.sessions = (pair.alice.call("support"), pair.bob.call("support"))
    await pair.alice.until(Answered)
    await pair.bob.until(Answered)
    one, other = world.registry.calls.values()
    pair.calls = (one, other)
    joining.bridge(one, other)
    assert pair.audio_flows()
    await pair.bot.until(Ended, count=2)
    return pair


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_either_may_hang_up_and_both_records_say_so(tmp_path: Path, who: str) -> None:
    async def story(world: World) -> None:
        pair = await joined(world)
        assert len(world.registry.calls) == 2, "both are live, with their limits"
        await asyncio.sleep(30)
        phone, session = {"alice": (pair.alice, pair.sessions[0]), "bob": (pair.bob, pair.sessions[1])}[who]
        phone.do(session.bye)
        await (pair.bob if who == "alice" else pair.alice).until(Ended)
        await world.record(2)
        records = {record.call_id: record for record in world.records}
        hers, his = (records[call.id] for call in pair.calls)
        for mine, theirs, left in ((hers, his, who == "alice"), (his, hers, who == "bob")):
            assert [each.call_id for each in mine.bridges] == [theirs.call_id]
            assert mine.outcome is not None
            assert (mine.outcome.code, mine.outcome.source) == (4000, "caller" if left else "agent")
            assert mine.duration_ms >= 30_000
            assert mine.legs[0].role == "caller"
            assert mine.legs[0].ended is not None
        assert [leg.role for leg in hers.legs] == ["caller", "assistant", "agent"]
        assert [leg.role for leg in his.legs] == ["caller", "assistant"]

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("which", [0, 1])
def test_ending_either_call_ends_both(tmp_path: Path, which: int) -> None:
    async def story(world: World) -> None:
        pair = await joined(world)
        pair.calls[which].inbox.put(HangUp("api"))
        await pair.alice.until(Ended)
        await pair.bob.until(Ended)
        await world.record(2)

    play(story, tmp_path, main=MAIN)


def test_hold_and_media_timeout_are_as_in_any_bridge(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        pair = await joined(world)
        pair.bob.reoffer(pair.sessions[1], Direction.SENDONLY)
        await world.until(pair.alice.reoffers)
        assert pair.alice.reoffers() == [Direction.SENDONLY]
        pair.bob.reoffer(pair.sessions[1], Direction.SENDRECV)
        await world.until(lambda: len(pair.alice.reoffers()) == 2)
        await asyncio.sleep(5)
        pair.calls[1].legs[0].media.fall_silent()  # type: ignore[attr-defined]
        await world.record(2)
        assert {record.outcome.code for record in world.records if record.outcome} == {6020}

    play(story, tmp_path, main=MAIN)


def test_a_joined_caller_may_be_handed_over_and_the_other_is_let_go(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        pair = await joined(world)
        await world.phone(DESK, answer_at_once)
        begin(pair.calls[0], HandoffRequest(destination="front-desk"))
        media = world.media.calls[0]
        await world.until(lambda: media.leg("caller").awaits is not None or media.legs[0].awaits is not None)
        media.leg("agent").hear()
        await pair.bob.until(Ended)
        await world.record(1)
        assert not pair.alice.names().count("Ended")
        pair.alice.do(pair.sessions[0].bye)
        await world.record(2)

    play(story, tmp_path, main=MAIN)


def test_what_cannot_be_joined(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        pair = await joined(world)
        one, other = pair.calls
        for first, second, code in ((one, one, "invalid_request"), (one, other, "call_not_answered")):
            with pytest.raises(ControlError) as raised:
                joining.bridge(first, second)
            assert raised.value.code == code
        assert pair.audio_flows(), "nothing has changed"
        pair.alice.do(pair.sessions[0].bye)
        await world.record(2)
        with pytest.raises(ControlError) as raised:
            joining.bridge(one, other)
        assert raised.value.code == "call_ended"

    play(story, tmp_path, main=MAIN)


def test_a_call_of_our_own_is_joined_with_a_caller(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice, session, hers, desk, placed = await two_calls(world)
        assert desk.invites()[0].from_.parsed_uri.username == "4711"  # type: ignore[union-attr]
        leg = world.media.calls[-1].leg("agent")
        assert leg.source is Nothing.SILENCE, "the line is not dead"
        joining.bridge(placed, hers)
        assert leg.peer is world.media.calls[0].leg("caller")
        await asyncio.sleep(10)
        alice.do(session.bye)
        await desk.until(Ended)
        await world.record(2)
        for record in world.records:
            assert record.outcome is not None
            assert record.outcome.code == 4000
            assert record.duration_ms >= 10_000

    play(story, tmp_path, main=MAIN)


def test_a_key_pressed_just_before_two_calls_are_joined_ends_neither(tmp_path: Path) -> None:
    """What lies in the inbox of the call whose leg is brought away is heard by a call that has nobody any more."""

    async def story(world: World) -> None:
        alice, session, hers, desk, placed = await two_calls(world)
        world.media.calls[-1].leg("agent").press("1")
        joining.bridge(placed, hers)
        await asyncio.sleep(10)
        assert placed.id in world.registry.calls, "it lasts as long as its leg"
        alice.do(session.bye)
        await desk.until(Ended)
        await world.record(2)
        for record in world.records:
            assert record.duration_ms >= 10_000
            assert all(leg.ended is not None for leg in record.legs)

    play(story, tmp_path, main=MAIN)


def test_two_calls_of_our_own_are_joined(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk, bot = await world.phone(DESK, answer_at_once), await world.phone("198.51.100.2", answer_at_once)
        one = world.registry.place(ORDER)
        other = world.registry.place(CallOrder(HandoffRequest(destination="billing")))
        await world.until(lambda: one.answered and other.answered)
        joining.bridge(one, other)
        assert one.caller is not None
        assert one.peer is not None
        assert {one.caller.role, one.peer.role} == {"caller", "agent"}
        desk.do(desk.sessions[0].bye)
        await bot.until(Ended)
        await world.record(2)

    play(story, tmp_path, main=MAIN)


def test_a_call_of_our_own_ends_as_any_call_does(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, refuse(486))
        world.registry.place(ORDER)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.attempts[0].destination) == (3010, "front-desk")
        desk.on_invite = ring
        placed = world.registry.place(ORDER)
        await asyncio.sleep(1)
        placed.inbox.put(HangUp("api"))
        await desk.until(Cancelled)
        desk.on_invite = answer_at_once
        last = world.registry.place(ORDER)
        await world.until(lambda: last.answered)
        desk.do(desk.sessions[-1].bye)
        record = await world.record(3)
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "agent")

    play(story, tmp_path, main=MAIN)


def test_a_leg_that_is_brought_on_once_more_lets_the_call_go_that_it_was_brought_from_first(
    tmp_path: Path,
) -> None:
    """By a transfer of the phone in the call that it was brought to, after which that call is there for it alone."""

    async def story(world: World) -> None:
        desk, billing = await world.phone(DESK, answer_at_once), await world.phone(BILLING, answer_at_once)
        pat, alice = await world.phone(SBC), await world.phone(BOB)
        first = world.registry.place(ORDER)
        await world.until(lambda: first.answered)
        one = pat.call("billing")
        await pat.until(Answered)
        second = list(world.registry.calls.values())[-1]
        joining.bridge(first, second)
        await billing.until(Ended)
        other = pat.call("billing")
        await pat.until(Answered, count=2)
        assert await refer(pat, one, replaces(other)) == 202
        await pat.until(Ended, count=2)
        assert first.id in world.registry.calls, "it lasts as long as its leg"
        alice.call("billing")
        await alice.until(Answered)
        last = list(world.registry.calls.values())[-1]
        joining.bridge(last, second)
        await world.until(lambda: first.id not in world.registry.calls)
        desk.do(desk.sessions[0].bye)
        await alice.until(Ended)
        await world.record(4)
        assert not world.registry.calls

    play(story, tmp_path, main=MAIN)
