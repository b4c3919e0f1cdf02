"""How attempts end: those that were answered with the leg that they brought, not with the call; others for a reason."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.call.record import AttemptRecord, CallRecord
from b2bua.history.timeline import timeline
from sip_stack.events import Ended
from tests.support.b2bua_world import BILLING, DESK, DESTINATIONS, World, play, refuse, ring
from tests.support.handoff_cast import MAIN, Cast, talking
from tests.support.kept_history import as_objects
from tests.support.next_process import Watched
from tests.support.taken_over import clock_of_the_loop
from tests.support.taking_a_place import dialog, newest, take, with_the_desk

TALK = 20.0


def assert_ends_with(record: CallRecord, attempt: AttemptRecord, leg: int) -> None:
    assert attempt.ended is not None
    assert attempt.ended == pytest.approx(record.legs[leg].ended, abs=0.001)


async def hung_up(world: World, cast: Cast) -> CallRecord:
    """The record, after the caller talked for a while more."""
    await asyncio.sleep(TALK)
    cast.hang_up()
    record = await world.record()
    assert record.ended is not None
    return record


def test_the_assistants_ends_with_the_handoff(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, _, _ = await with_the_desk(world)
        (call,) = world.registry.calls.values()
        record, (handoff,) = await hung_up(world, cast), call.handoffs
        (attempt,) = record.attempts
        assert record.ended is not None
        assert_ends_with(record, attempt, 1)
        assert attempt.ended is not None
        assert record.ended - attempt.ended > TALK
        assert attempt.outcome is not None
        assert (attempt.outcome.code, attempt.outcome.source) == (4000, "b2bua")
        assert_ends_with(record, handoff.attempts[0], 2)
        told = [(moment["event"], moment["who"]) for moment in timeline(record, call.handoffs)]
        assert told[told.index(("answered", "front-desk")) + 1] == ("ended", "assistant")

    play(story, tmp_path, main=MAIN)


def test_where_another_takes_the_place_of_a_leg_the_attempt_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, _ = await with_the_desk(world)
        (call,) = world.registry.calls.values()
        take(desk, dialog(desk.sessions[0]))
        await cast.until_awaited()
        newest(cast, "agent").hear()
        await desk.until(Ended)
        assert call.handoffs[0].attempts[0].ended is None, "the human of the handoff is there"
        (handoff,), record = call.handoffs, await hung_up(world, cast)
        assert_ends_with(record, handoff.attempts[0], 3)

    play(story, tmp_path, main=MAIN)


def test_where_somebody_picked_it_up_the_attempt_ends_with_them(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk, cast = await world.phone(DESK, ring), await talking(world)
        world.hand_off(destination="front-desk")
        (call,) = world.registry.calls.values()
        await world.until(lambda: str(call.handoffs[0].state) == "ringing")
        picker = take(desk, dialog(desk.sessions[0]))
        await cast.until_awaited()
        cast.agent().hear()
        await world.until(lambda: call.handoffs[0].is_connected)
        (handoff,) = call.handoffs
        desk.do(picker.bye)
        record = await world.record()
        assert handoff.attempts[0].outcome is not None
        assert handoff.attempts[0].outcome.source == "agent"
        assert_ends_with(record, handoff.attempts[0], 3)

    play(story, tmp_path, main=MAIN)


def test_of_who_is_gone_when_the_next_process_begins_it_ends_when_they_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_of_the_loop(monkeypatch)

    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        await world.phone(DESK)
        await watched.kill_and_restart()
        world.hand_off(destination="front-desk")
        await world.until(lambda: world.media.calls[-1].leg("caller").awaits is not None)
        world.media.calls[-1].leg("agent").hear()
        await cast.bot.until(Ended)
        record = await hung_up(world, cast)
        assert record.ended is not None
        (attempt,) = record.attempts
        assert attempt.ended is not None
        assert record.ended - attempt.ended > TALK
        assert_ends_with(record, attempt, 1)
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_an_attempt_says_what_exactly_went_wrong_in_the_next_process_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_of_the_loop(monkeypatch)

    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        challenge = ("WWW-Authenticate", 'Digest realm="cc", nonce="n", algorithm=MD5, qop="auth"')
        await world.phone(BILLING, refuse(401, headers=[challenge]))
        cast = await talking(world)
        for destination in ("billing", "front-desk"):
            await cast.until_over(world.hand_off(destination=destination))
        (call,) = world.registry.calls.values()
        told = await watched.keeping.operations.call(call.id)
        live = [each for handoff in as_objects(told["handoffs"]) for each in as_objects(handoff["attempts"])]
        assert [each["detail"] for each in live] == ["rejected", "nowhere.example: does not exist"]
        await watched.kill_and_restart()
        cast.hang_up()
        record = await world.record()
        written = [each for handoff in record.handoffs for each in as_objects(handoff["attempts"])]
        assert [each["detail"] for each in written] == [each["detail"] for each in live]
        assert [each.as_json(record.clock)["detail"] for each in record.attempts] == [None], "it went well"
        await watched.close()

    destinations = DESTINATIONS.replace(f"sip:operator@{DESK}", "sip:operator@nowhere.example")
    play(story, tmp_path, main=MAIN, destinations=destinations)
