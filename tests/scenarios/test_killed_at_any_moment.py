"""A process that is killed at any moment of a call's life: nobody is left talking to nobody, and nothing is recorded
twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.control import ControlError
from sip_stack.dialog import ClientSession, SessionState
from sip_stack.events import Answered
from sip_stack.sdp import Direction
from tests.support.b2bua_world import DESK, SBC, Phone, World, answer, play
from tests.support.handoff_cast import ASSISTANT, MAIN, answer_at_once
from tests.support.next_process import Watched

LIFE = 9.0
"""Seconds of the story without a kill."""
STEP = 0.15


async def live(world: World, sbc: Phone, session: ClientSession) -> None:
    """The caller talks to the assistant, holds and resumes, is handed to a human, and leaves."""
    await sbc.until(Answered)
    await asyncio.sleep(1.0)
    sbc.reoffer(session, Direction.SENDONLY)
    await asyncio.sleep(1.0)
    sbc.reoffer(session, Direction.SENDRECV)
    await asyncio.sleep(1.0)
    try:
        world.hand_off(destination="front-desk")
    except (ControlError, ValueError):
        return  # There is no call any more, or no process.
    for _ in range(30):
        await asyncio.sleep(0.1)
        for leg in [leg for call in world.media.calls for leg in call.legs]:
            if not leg.closed:
                leg.hear()
    await asyncio.sleep(2.0)


def leave(phones: list[Phone], session: ClientSession) -> None:
    """Whoever still believes in the call hangs up."""
    caller, *others = phones
    if session.state in (SessionState.EARLY, SessionState.CONFIRMED):
        caller.do(session.bye)
    for phone in others:
        for each in phone.sessions:
            if each.state is SessionState.CONFIRMED:
                phone.do(each.bye)


def lives(folder: Path, moment: float) -> tuple[bool, list[str]]:
    """Whether the caller was answered, and the outcomes recorded, when the process is killed at a moment."""
    told: list[str] = []
    answered: list[bool] = []

    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        sbc, bot, desk = (
            await world.phone(SBC),
            await world.phone(ASSISTANT, answer_at_once),
            await world.phone(DESK, answer),
        )
        session = sbc.call("support")
        life = asyncio.ensure_future(live(world, sbc, session))
        await asyncio.sleep(moment)
        await watched.kill()
        of_before = list(world.media.calls)
        await asyncio.sleep(0.3)
        await watched.restart()
        for call in of_before:  # What nobody has taken over the daemon gives up by itself.
            call.close()
        await asyncio.sleep(LIFE)
        leave([sbc, bot, desk], session)
        await asyncio.sleep(40.0)
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        answered.append(any(isinstance(event, Answered) for event in sbc.events))
        assert len({record.call_id for record in world.records}) == len(world.records)
        assert await watched.entries() == []
        for record in world.records:
            outcome = record.as_json()["outcome"]
            assert isinstance(outcome, dict)
            told.append(str(outcome["name"]))
        await watched.close()

    play(story, folder, main=MAIN)
    return answered[0], told


@pytest.mark.parametrize("part", range(6))
def test_each_moment_has_one_record_at_most_and_leaves_nothing_over(tmp_path: Path, part: int) -> None:
    moments = [part * LIFE / 6 + number * STEP for number in range(round(LIFE / 6 / STEP))]
    for moment in moments:
        answered, outcomes = lives(tmp_path, moment)
        assert len(outcomes) <= 1, f"at {moment:.2f}: {outcomes}"
        if moment > 0.2:
            assert answered, f"at {moment:.2f}"
            assert outcomes in (["normal_hangup"], ["process_lost"]), f"at {moment:.2f}: {outcomes}"
