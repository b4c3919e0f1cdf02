"""Offers that cross on either leg: 491, the back-off of RFC 3261 section 14.1, and everybody agrees in the end."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import pytest

from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.errors import LocalError
from sip_stack.events import Acknowledged, Answered, Ended, ReofferCompleted, ReofferReceived
from sip_stack.sdp import Direction
from tests.support.b2bua_world import (
    B2BUA,
    DESK,
    SBC,
    Phone,
    World,
    direction_of,
    follow,
    play,
    refuse_reoffer,
)
from tests.support.fake_network import Wire

SENDRECV, SENDONLY, INACTIVE = Direction.SENDRECV, Direction.SENDONLY, Direction.INACTIVE


async def talking(world: World) -> tuple[Phone, ClientSession, Phone, ServerSession]:
    """A call that both sides know to be up: the caller's phone and session, the agent's."""
    desk = await world.phone(DESK)
    sbc = await world.phone(SBC)
    call = sbc.call("desk")
    await sbc.until(Answered)
    await desk.until(Acknowledged)
    await asyncio.sleep(0.5)
    return sbc, call, desk, desk.sessions[-1]


def agreement(world: World, sbc: Phone, desk: Phone) -> None:
    """Each side gets just what the other sends and it wants itself."""
    caller, agent = (leg.parameters for leg in world.legs())
    assert caller is not None
    assert agent is not None
    to_agent = sbc.direction.sends and desk.direction.receives
    to_caller = desk.direction.sends and sbc.direction.receives
    assert (caller.receive and agent.send, agent.receive and caller.send) == (to_agent, to_caller)


def test_both_sides_hold_in_the_same_moment(tmp_path: Path) -> None:
    """Each offer is answered at once; then each must be told of the other's, and that crosses nothing."""

    async def story(world: World) -> None:
        sbc, call, desk, answered = await talking(world)
        sbc.reoffer(call, SENDONLY)
        desk.reoffer(answered, SENDONLY)
        await asyncio.sleep(10)
        for phone in (sbc, desk):
            completed = await phone.until(ReofferCompleted)
            assert completed.response is not None
            assert completed.response.status == 200
        agreement(world, sbc, desk)
        sbc.reoffer(call, SENDRECV)
        desk.reoffer(answered, SENDRECV)
        await asyncio.sleep(10)
        agreement(world, sbc, desk)
        sbc.do(call.bye)

    play(story, tmp_path)


def test_our_reinvite_crosses_theirs_on_one_leg(tmp_path: Path) -> None:
    """The agent holds while it is being told of the caller's hold: 491 both ways, then one of them comes through, and
    the answer to it says what ours would have said."""

    async def story(world: World) -> None:
        sbc, call, desk, answered = await talking(world)
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(0.015)  # ours to the agent is on the wire
        desk.reoffer(answered, SENDONLY)
        await asyncio.sleep(15)
        titles = world.network.titles()
        assert titles.count("491 INVITE") == 2
        completed = await desk.until(ReofferCompleted)
        assert completed.response is not None
        assert completed.response.status == 200
        assert direction_of(completed.response.body) is INACTIVE, "the answer to it knows of the hold"
        agreement(world, sbc, desk)
        assert desk.reoffers() == [], "one 491, and nothing left to be told"
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_phone_that_says_491_for_a_while_is_told_in_the_end(tmp_path: Path) -> None:
    busy = 3

    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)

        async def busy_for_a_while(phone: Phone, event: ReofferReceived) -> None:
            nonlocal busy
            busy -= 1
            await (follow if busy < 0 else refuse_reoffer(491))(phone, event)

        desk.on_reoffer = busy_for_a_while
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(20)
        assert desk.reoffers() == [SENDONLY] * 4
        moments = [
            each.at for each in world.network.wire.log if each.title == "INVITE" and each.source[0] == B2BUA
        ]
        waits = [later - earlier for earlier, later in itertools.pairwise(moments[1:])]
        assert len(waits) == 3
        assert all(2.1 <= wait <= 4.1 for wait in waits), "we own that Call-ID"
        agreement(world, sbc, desk)
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_phone_that_says_491_for_ever_does_not_end_the_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        desk.on_reoffer = refuse_reoffer(491)
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(120)
        assert len(desk.reoffers()) == 5
        assert not any(isinstance(event, Ended) for event in sbc.events)
        desk.on_reoffer = follow
        sbc.reoffer(call, SENDRECV)
        await asyncio.sleep(2)
        agreement(world, sbc, desk)
        sbc.do(call.bye)

    play(story, tmp_path)


def test_hold_and_resume_faster_than_the_other_side_answers(tmp_path: Path) -> None:
    async def slow(phone: Phone, event: ReofferReceived) -> None:
        await asyncio.sleep(5)
        await follow(phone, event)

    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        desk.on_reoffer = slow
        for direction in (SENDONLY, SENDRECV, INACTIVE, SENDRECV):
            sbc.reoffer(call, direction)
            await asyncio.sleep(0.5)
        await asyncio.sleep(20)
        assert desk.reoffers() == [SENDONLY, SENDRECV], "the last word counts, not every word"
        agreement(world, sbc, desk)
        sbc.do(call.bye)

    play(story, tmp_path)


@pytest.mark.parametrize("loss", [0.0, 0.1], ids=["good-network", "bad-network"])
@pytest.mark.parametrize("seed", range(12))
def test_a_storm_of_reinvites_from_both_sides_calms_down(tmp_path: Path, seed: int, loss: float) -> None:
    """Forty holds and resumes from either side at random moments; when it is quiet, the last word of both holds."""
    dice = random.Random(seed)

    async def storm(phone: Phone, session: ClientSession | ServerSession) -> None:
        for _ in range(40):
            await asyncio.sleep(dice.uniform(0.0, 1.5))
            before = phone.direction
            try:
                phone.reoffer(session, dice.choice(list(Direction)))
            except LocalError:
                phone.direction = before  # its re-INVITE before that still waits

    async def story(world: World) -> None:
        sbc, call, desk, answered = await talking(world)
        await asyncio.gather(storm(sbc, call), storm(desk, answered))
        await asyncio.sleep(120)
        assert world.registry.calls, "nobody was hung up on"
        for phone in (sbc, desk):
            for event in phone.events:
                if isinstance(event, ReofferCompleted):
                    assert event.response is not None
        # A refused re-INVITE of a phone leaves it with what it had before: both say once more what they want.
        for phone, session in ((sbc, call), (desk, answered)):
            phone.reoffer(session, phone.direction)
            await asyncio.sleep(70)
        agreement(world, sbc, desk)
        for phone, session in ((sbc, call), (desk, answered)):
            phone.reoffer(session, SENDRECV)
            await asyncio.sleep(70)
        agreement(world, sbc, desk)
        assert [leg.timeout for leg in world.legs()] == [60.0, 60.0]
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, wire=Wire(seed=seed, loss=loss, duplicate=loss, delay=0.02, jitter=loss))
