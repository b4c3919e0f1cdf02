"""What the feed tells of a call: each thing once, in the order it happened."""

from __future__ import annotations

import asyncio
from pathlib import Path

from b2bua.call import cause
from b2bua.feed import (
    CallAnswered,
    CallEnded,
    CallStarted,
    DigitPressed,
    Entry,
    FeedEvent,
    HandoffChanged,
    LegAnswered,
    LegEnded,
    LegRinging,
)
from sip_stack.events import Ended
from tests.support.b2bua_world import DESK, World, play, refuse
from tests.support.fake_network import Wire
from tests.support.handoff_cast import MAIN, talking

KINDS = (
    *(CallStarted, CallAnswered, CallEnded, LegRinging, LegAnswered, LegEnded, DigitPressed, HandoffChanged),
)


class Diary:
    """Writes down what is told, in short."""

    def __init__(self, world: World) -> None:
        self.lines: list[str] = []
        world.registry.services.feed.listen(self, KINDS)

    def hear(self, entry: Entry) -> None:
        self.lines.append(_line(entry.event))


def _line(event: FeedEvent) -> str:
    match event:
        case HandoffChanged(state=state, outcome=outcome):
            return f"handoff {state}" + (f" {outcome.code}" if outcome else "")
        case LegRinging(leg=leg) | LegAnswered(leg=leg):
            return f"{event.name} {leg.role}" + (" of the handoff" if leg.handoff_id else "")
        case LegEnded(leg=leg, outcome=outcome, ended_by=by):
            return f"{event.name} {leg.role} {outcome.code} by {by}"
        case CallEnded(outcome=outcome):
            return f"{event.name} {outcome.code}"
        case DigitPressed(role=role, digit=digit, handoff_id=handoff_id):
            return f"digit {digit} {role}" + (" to the human" if handoff_id else "")
        case _:
            return event.name


def test_a_handoff_from_the_first_ring_to_the_last_word(tmp_path: Path) -> None:
    told: list[str] = []

    async def story(world: World) -> None:
        diary = Diary(world)
        desk = await world.phone(DESK)
        cast = await talking(world)
        cast.caller.press("1")
        await asyncio.sleep(1)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        cast.caller.press("2")
        await asyncio.sleep(5)
        desk.do(desk.sessions[0].bye)
        await cast.sbc.until(Ended)
        await world.record()
        told.extend(diary.lines)

    play(story, tmp_path, main=MAIN, wire=Wire(loss=0.1, seed=5))
    assert told == [
        "call.started",
        "leg.ringing assistant",
        "leg.answered assistant",
        "call.answered",
        "digit 1 caller",
        "handoff requested",
        "handoff dialing",
        "leg.ringing agent of the handoff",
        "handoff ringing",
        "leg.answered agent of the handoff",
        "handoff connected",
        "leg.ended assistant 4000 by b2bua",
        "digit 2 caller to the human",
        "leg.ended agent 4000 by agent",
        "handoff completed 4000",
        "call.ended 4000",
    ]


def test_a_handoff_that_fails_and_the_call_that_goes_on(tmp_path: Path) -> None:
    told: list[str] = []

    async def story(world: World) -> None:
        diary = Diary(world)
        await world.phone(DESK, refuse(486))
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_over(handoff)
        cast.hang_up()
        await world.record()
        told.extend(diary.lines[4:])

    play(story, tmp_path, main=MAIN)
    assert told == [
        "handoff requested",
        "handoff dialing",
        "leg.ended agent 3010 by agent",
        "handoff failed 3010",
        "leg.ended assistant 4000 by caller",
        "call.ended 4000",
    ]


def test_a_listener_with_a_defect_is_never_noticed_by_a_caller(tmp_path: Path) -> None:
    class Broken:
        def hear(self, entry: Entry) -> None:
            raise RuntimeError("a defect")

    async def story(world: World) -> None:
        world.registry.services.feed.listen(Broken(), KINDS)
        cast = await talking(world)
        cast.hang_up()
        record = await world.record()
        assert record.outcome == cause.local("normal_hangup")

    play(story, tmp_path, main=MAIN)
