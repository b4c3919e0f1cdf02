"""A process that is killed at any moment of a call's life: nobody is left talking to nobody, and nothing is recorded
twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.control import ControlError
from b2bua.handoff.consultation import ConsultPhase, tell
from sip_stack.dialog import ClientSession, SessionState
from sip_stack.events import Answered
from sip_stack.sdp import Direction
from tests.support.b2bua_world import DESK, DESTINATIONS, SBC, Phone, World, answer, play
from tests.support.handoff_cast import ASSISTANT, answer_at_once, with_route
from tests.support.next_process import Watched

LIFE = 9.0
"""Seconds of the story without a kill."""
STEP = 0.15


WAYS: dict[str, dict[str, object]] = {
    "invite": {"destination": "front-desk"},
    "consult": {"destination": "front-desk", "consult": True},
    "alone": {"destination": "front-desk", "release_assistant": "before_dial"},
    "bye": {"destination": "taken-back"},
}
"""How the caller is handed over."""
PLACES = DESTINATIONS + "taken-back:\n  method: bye\n"
ROUTES = with_route("on_assistant_lost: default_destination")


async def live(world: World, sbc: Phone, session: ClientSession, request: dict[str, object]) -> None:
    """The caller talks to the assistant, holds and resumes, is handed to a human, and leaves."""
    await sbc.until(Answered)
    await asyncio.sleep(1.0)
    sbc.reoffer(session, Direction.SENDONLY)
    await asyncio.sleep(1.0)
    sbc.reoffer(session, Direction.SENDRECV)
    await asyncio.sleep(1.0)
    try:
        handoff = world.hand_off(**request)
    except (ControlError, ValueError):
        return  # There is no call any more, or no process.
    for _ in range(30):
        await asyncio.sleep(0.1)
        if handoff.consult is ConsultPhase.WAITING and world.registry.calls:
            tell(next(iter(world.registry.calls.values())), handoff, "accept")
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


def lives(folder: Path, moment: float, way: str) -> tuple[bool, list[str]]:
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
        life = asyncio.ensure_future(live(world, sbc, session, WAYS[way]))
        await asyncio.sleep(moment)
        await watched.kill()
        await asyncio.sleep(0.3)
        await watched.restart()
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

    play(story, folder, main=ROUTES, destinations=PLACES)
    return answered[0], told


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", range(6))
def test_each_moment_has_one_record_at_most_and_leaves_nothing_over(
    tmp_path: Path, part: int, way: str
) -> None:
    moments = [part * LIFE / 6 + number * STEP for number in range(round(LIFE / 6 / STEP))]
    for moment in moments:
        answered, outcomes = lives(tmp_path, moment, way)
        assert len(outcomes) <= 1, f"at {moment:.2f}: {outcomes}"
        if moment > 0.2:
            assert answered, f"at {moment:.2f}"
            assert outcomes == ["normal_hangup"], f"at {moment:.2f}: {outcomes}"
