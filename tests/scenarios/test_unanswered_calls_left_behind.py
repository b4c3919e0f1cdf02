"""A process is killed while phones ring for a call that nobody has answered: the next one tells both sides, and records
it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.journal.journal import RINGS
from b2bua.store import Document, Kind
from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.events import Cancelled, Ended, Progress, Rejected
from sip_stack.extensions import Extensions
from sip_stack.message import Request
from tests.support.b2bua_world import (
    BILLING,
    CONFIGURATION,
    DESK,
    DESTINATIONS,
    SBC,
    Phone,
    World,
    answer,
    offer,
    play,
    refuse,
    ring,
)
from tests.support.handoff_cast import ASSISTANT, MAIN, answer_at_once
from tests.support.kept_history import as_object, as_objects
from tests.support.next_process import Watched
from tests.support.own_calls import ORDER
from tests.support.taken_over import fates, killed

HELD = DESTINATIONS.replace(
    f"  route: sip:operator@{DESK}\n", f'  route: sip:operator@{DESK}\n  accept_key: "1"\n'
)
TOGETHER = f"""\
front-desk:
  default: true
  method: invite
  encryption: udp/rtp
  ring: together
  route: [sip:a@{DESK}, sip:b@{BILLING}]
billing:
  method: invite
  encryption: udp/rtp
  route: sip:queue-1@{BILLING}
"""

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


async def ringing(world: World, seconds: float = 3.0) -> tuple[Watched, Phone, ClientSession]:
    """A caller has heard for so long that it rings at the front desk."""
    watched = Watched(world)
    if DESK not in world.phones:
        await world.phone(DESK, ring)
    alice = await world.phone(SBC)
    session = alice.call("desk")
    await asyncio.sleep(seconds)
    return watched, alice, session


async def refused(world: World, watched: Watched, alice: Phone) -> None:
    """The caller has their final response, and there is one record that says why."""
    response = (await alice.until(Rejected)).response
    assert (response.status, response.headers.get("Retry-After")) == (503, None)
    assert response.headers.get("Reason") == 'Q.850;cause=41;text="process_lost"'
    assert response.to.tag == alice.events_of(Progress)[-1].response.to.tag
    await recorded(world, watched)


async def recorded(world: World, watched: Watched) -> dict[str, object]:
    """The one record of the call, which stands in no journal any more."""
    await world.record()
    (record,) = world.records
    told = record.as_json()
    assert (told["answered"], told["duration_ms"]) == (None, 0)
    outcome = as_object(told["outcome"])
    assert (outcome["name"], outcome["code"], outcome["status"]) == ("process_lost", 11073, "failed")
    assert all(each["ended"] for each in as_objects(told["legs"]))
    assert fates(world) == {("ended",): 1}
    assert await watched.entries() == []
    kept = await watched.keeping.operations.call(record.call_id)
    assert as_object(kept["outcome"])["code"] == 11073
    await watched.close()
    return told


async def journal_writes(watched: Watched) -> int:
    """How often an entry was written so far."""
    written = await watched.keeping.written()
    return sum(isinstance(each, Document) and each.kind is Kind.JOURNAL for each in written)


# -- the phone and the caller ------------------------------------------------------------------------------------------


def test_the_phone_is_told_and_then_the_caller_and_the_call_is_recorded(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, alice, _ = await ringing(world)
        said = len(world.network.wire.log)
        await killed(world, watched, "ended")
        cancel = (await world.phones[DESK].until(Cancelled)).request
        assert cancel.headers.get("Reason") == 'Q.850;cause=41;text="process_lost"'
        titles = [each.title for each in world.network.wire.log[said:]]
        assert titles[:2] == ["CANCEL", "503 INVITE"]
        await refused(world, watched, alice)
        (record,) = world.records
        (attempt,) = as_objects(record.as_json()["attempts"])
        assert (as_object(attempt["outcome"])["code"], attempt["answered"]) == (11073, None)

    play(story, tmp_path)


def test_of_phones_that_ring_together_each_is_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        billing = await world.phone(BILLING, ring)
        watched, alice, _ = await ringing(world)
        await killed(world, watched, "ended")
        for phone in (world.phones[DESK], billing):
            await phone.until(Cancelled)
        await refused(world, watched, alice)

    play(story, tmp_path, destinations=TOGETHER)


def test_it_is_told_who_rings_now_and_not_who_rang_first(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        billing = await world.phone(BILLING, ring)
        watched, alice, _ = await ringing(world, 8.0)
        assert len(world.phones[DESK].events_of(Cancelled)) == 1, "it has rung for five seconds"
        await killed(world, watched, "ended")
        await billing.until(Cancelled)
        assert len(world.phones[DESK].events_of(Cancelled)) == 1
        await refused(world, watched, alice)

    desk = f"  route: sip:operator@{DESK}\n"
    first = DESTINATIONS.replace(desk, f"{desk}  ring_timeout: 5s\n  fallback: billing\n")
    play(story, tmp_path, destinations=first)


def test_a_phone_that_answers_while_there_is_no_process_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, alice, _ = await ringing(world)
        desk = world.phones[DESK]
        await watched.kill()
        desk.do(lambda now: desk.sessions[0].answer(now, body=offer(DESK)))
        await asyncio.sleep(2.0)
        await watched.restart()
        assert (await desk.until(Ended)).by == "remote"
        await refused(world, watched, alice)

    play(story, tmp_path)


def test_a_human_who_has_answered_and_not_accepted_yet_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_at_once)
        watched, alice, _ = await ringing(world)
        await killed(world, watched, "ended")
        assert (await desk.until(Ended)).by == "remote"
        await refused(world, watched, alice)

    play(story, tmp_path, destinations=HELD)


def test_a_caller_who_heard_early_media_and_acknowledged_it_is_told(tmp_path: Path) -> None:
    async def sound_busy(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))

    async def story(world: World) -> None:
        watched = Watched(world)
        desk, alice = await world.phone(DESK, sound_busy), await world.phone(SBC)
        alice.call("desk", extensions=Extensions(reliable="supported"))
        await asyncio.sleep(3.0)
        assert "PRACK" in world.network.wire.titles((SBC, 5060))
        await killed(world, watched, "ended")
        await desk.until(Cancelled)
        await refused(world, watched, alice)

    main = CONFIGURATION.replace("    max_calls: 100", "    100rel: supported\n    max_calls: 100")
    play(story, tmp_path, main=main)


def test_a_caller_who_gives_up_while_there_is_no_process_gets_both_answers(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, alice, session = await ringing(world)
        await watched.kill()
        alice.do(session.cancel)
        await asyncio.sleep(1.0)
        said = len(world.network.wire.log)
        await watched.restart()
        assert (await alice.until(Ended)).by == "local"
        titles = [each.title for each in world.network.wire.log[said:] if each.destination[0] == SBC]
        assert titles == ["503 INVITE", "200 CANCEL"]
        await world.phones[DESK].until(Cancelled)
        await recorded(world, watched)

    play(story, tmp_path)


def test_a_caller_whom_an_assistant_keeps_waiting_is_told_as_well(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        bot, alice = await world.phone(ASSISTANT, ring), await world.phone(SBC)
        alice.call("support")
        await asyncio.sleep(2.0)
        await killed(world, watched, "ended")
        await bot.until(Cancelled)
        await refused(world, watched, alice)

    play(story, tmp_path, main=MAIN)


def test_the_caller_who_cannot_be_reached_does_not_keep_the_phone_ringing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, alice, _ = await ringing(world)
        await alice.close()
        world.network.wire.cut(SBC)
        await killed(world, watched, "ended")
        await world.phones[DESK].until(Cancelled)
        await recorded(world, watched)
        await asyncio.sleep(40)
        assert world.stack.endpoint.transaction_count == 0

    play(story, tmp_path, settle=False)


def test_a_call_whose_process_is_killed_twice_is_recorded_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, alice, _ = await ringing(world)
        watched.strikes = False
        await killed(world, watched, "ended")
        await world.phones[DESK].until(Cancelled)
        assert (await alice.until(Rejected)).response.status == 503
        await world.record()
        watched.strikes = True
        said = len(world.network.wire.log)
        await watched.kill_and_restart()
        assert fates(world) == {("recorded_before",): 1}
        assert world.network.wire.log[said:] == []
        assert len(world.records) == 1
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path)


# -- calls of our own --------------------------------------------------------------------------------------------------


def test_the_phone_of_a_call_of_our_own_is_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        desk = await world.phone(DESK, ring)
        placed = world.registry.place(ORDER)
        await asyncio.sleep(2.0)
        await killed(world, watched, "ended")
        await desk.until(Cancelled)
        record = await recorded(world, watched)
        assert (record["call_id"], [each["role"] for each in as_objects(record["legs"])]) == (
            placed.id,
            ["agent"],
        )

    play(story, tmp_path)


# -- what is written ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["refused", "cancelled"])
def test_a_call_that_rings_for_less_than_a_second_is_not_written(tmp_path: Path, end: str) -> None:
    async def story(world: World) -> None:
        if end == "refused":
            await world.phone(DESK, refuse(486))
        watched, alice, session = await ringing(world, RINGS - 0.1)
        if end == "cancelled":
            alice.do(session.cancel)
        await world.record()
        await asyncio.sleep(2 * RINGS)
        assert await journal_writes(watched) == 0
        await watched.close()

    play(story, tmp_path)


def test_a_call_that_is_answered_at_once_is_written_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        watched, alice, session = await ringing(world, 2 * RINGS)
        assert await journal_writes(watched) == 1
        alice.do(session.bye)
        await world.record()
        assert await journal_writes(watched) == 1
        await watched.close()

    play(story, tmp_path)


def test_a_call_that_rings_for_longer_is_written_then_and_with_its_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer)
        watched, alice, session = await ringing(world, 1.5 * RINGS)
        assert await journal_writes(watched) == 1
        (entry,) = await watched.entries()
        assert (entry.legs, [each.place for each in entry.ringing]) == ((), ["front-desk"])
        assert entry.waiting
        await asyncio.sleep(2.0)
        (entry,) = await watched.entries()
        assert ([leg.role for leg in entry.legs], entry.ringing, entry.waiting) == (
            ["caller", "agent"],
            (),
            (),
        )
        assert await journal_writes(watched) == 2
        alice.do(session.bye)
        await world.record()
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path)


def test_of_calls_that_ring_those_are_written_that_have_rung_for_a_second(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, alice, first = await ringing(world, 0.8 * RINGS)
        second = alice.call("desk")
        await asyncio.sleep(0.5 * RINGS)
        assert await journal_writes(watched) == 1
        await asyncio.sleep(RINGS)
        assert await journal_writes(watched) == 2
        for session in (first, second):
            alice.do(session.cancel)
        await world.record(2)
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path)


# -- at any moment -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [round(0.15 * number, 2) for number in range(24)])
def test_killed_at_any_moment_nobody_waits_for_nobody(tmp_path: Path, moment: float) -> None:
    """The phone rings for two seconds, then they talk."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer)
        watched, alice, session = await ringing(world, moment)
        await watched.kill()  # A tenth of a second later.
        await asyncio.sleep(0.3)
        await watched.restart()
        codes = [as_object(each.as_json()["outcome"])["code"] for each in world.records]
        if moment <= RINGS - 0.1:
            assert codes == []
            alice.do(session.cancel)  # They give up by themselves.
        elif moment <= 1.9:
            assert codes == [11073]
            assert (await alice.until(Rejected)).response.status == 503
        elif moment < 2.0:
            assert codes == [11073], "that it was answered 30 ms ago is not written"
            alice.do(session.bye)
            desk.do(desk.sessions[0].bye)
        else:
            assert codes == [11072]
            assert (await alice.until(Ended)).by == "remote"
        await asyncio.sleep(40.0)
        assert len(world.records) <= 1
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path)
