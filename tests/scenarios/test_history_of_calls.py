"""What is kept of calls and handoffs while they happen: the context at each state, the flag, the story at the end."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from b2bua.control import ControlError
from b2bua.history import Annotation, Resolution
from b2bua.store import Document, Kind, Removal
from tests.support.b2bua_world import DESK, World, play, refuse, ring
from tests.support.handoff_cast import MAIN, talking
from tests.support.kept_history import Keeping, as_object, as_objects
from tests.support.next_process import Watched
from tests.support.taken_over import killed


def test_a_context_is_kept_from_the_first_moment_and_the_flag_while_it_is_under_way(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        keeping = Keeping(world)
        cast = await talking(world)
        await world.phone(DESK)
        handoff = world.hand_off(destination="front-desk", shared_id="c-1", data={"customer": "C-1"})
        assert await keeping.flag(handoff.call_id)
        flag = keeping.backend.documents[Kind.TRANSFER, handoff.call_id]
        assert json.loads(flag.body)["handoff_id"] == handoff.id
        assert 0 < flag.expires - keeping.store.now_ms() <= 300_000
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        assert not await keeping.flag(handoff.call_id), "the caller has the human"
        cast.hang_up()
        await world.record()
        states = [
            json.loads(write.body)["state"]
            for write in await keeping.written()
            if isinstance(write, Document) and write.kind is Kind.HANDOFF
        ]
        assert states[-2:] == ["connected", "completed"]
        kept = await keeping.operations.handoff(handoff.id)
        assert (kept["state"], kept["data"], kept["node"]) == ("completed", {"customer": "C-1"}, "node-1")
        await keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)


def test_the_flag_is_cleared_when_a_handoff_fails(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        keeping = Keeping(world)
        cast = await talking(world)
        await world.phone(DESK, refuse(486))
        handoff = world.hand_off(destination="front-desk")
        await cast.until_over(handoff)
        assert not await keeping.flag(handoff.call_id)
        assert any(isinstance(write, Removal) for write in await keeping.written())
        cast.hang_up()
        await world.record()
        await keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)


def test_the_flag_is_cleared_when_the_call_has_died_with_its_process(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        await talking(world)
        await world.phone(DESK, ring)
        handoff = world.hand_off(destination="front-desk")
        await asyncio.sleep(1.0)
        assert await watched.keeping.flag(handoff.call_id)
        await killed(world, watched, "ended")
        await world.record()
        assert (await watched.keeping.operations.handoff(handoff.id))["state"] == "failed"
        assert not await watched.keeping.flag(handoff.call_id)
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_a_store_that_hangs_holds_no_call_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        keeping = Keeping(world)
        keeping.worker.hangs = True
        cast = await talking(world)
        await world.phone(DESK, refuse(486))
        before = world.stack.now()
        handoff = world.hand_off(destination="front-desk", shared_id="c-1")
        await cast.until_over(handoff)
        assert world.stack.now() - before < 1.0
        told = await keeping.operations.handoff(handoff.id)
        assert told["state"] == "failed"
        cast.hang_up()
        await world.record()
        assert (await keeping.operations.call(handoff.call_id))["ended"] is not None
        page = await keeping.operations.handoffs("c-1", before=None, limit=5)
        assert ([each["id"] for each in page.handoffs], page.complete) == ([handoff.id], False)
        await keeping.store.close(1.0)
        assert keeping.store.status.lost > 0

    play(story, tmp_path, main=MAIN)


def test_the_story_of_a_call_has_what_was_said_about_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        keeping = Keeping(world)
        operations = keeping.operations
        cast = await talking(world)
        await world.phone(DESK, refuse(486))
        handoff = world.hand_off(destination="front-desk", idempotency_key="once")
        await cast.until_over(handoff)
        await operations.annotate(handoff.call_id, Annotation("while it is up", author="ann"))
        assert [
            note["text"] for note in as_objects((await operations.call(handoff.call_id))["annotations"])
        ] == ["while it is up"]
        cast.hang_up()
        await world.record()
        await operations.annotate(handoff.call_id, Annotation("afterwards"))
        told, kept = await operations.resolve(handoff.id, Resolution("called back", agent="bob"))
        assert kept
        assert told["state"] == "failed", "what a call came to is no opinion"
        whole = await operations.call(handoff.call_id)
        assert [note["text"] for note in as_objects(whole["annotations"])] == ["while it is up", "afterwards"]
        assert whole["handoffs"] == [told]
        assert {"annotated", "outcome called back"} <= {
            moment["event"] for moment in as_objects(whole["timeline"])
        }
        assert [call["call_id"] for call in await operations.calls(limit=5)] == [handoff.call_id]
        assert (await operations.hand_off(handoff.call_id, handoff.request))["id"] == handoff.id
        await keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)


def test_a_live_call_shows_how_the_audio_of_each_leg_is_now_without_asking_a_worker(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        keeping = Keeping(world)
        cast = await talking(world)
        (call_id,) = world.registry.calls
        for packets in (3, 4):
            cast.caller.hear(packets)
            shown = await keeping.operations.call(call_id)
        legs = as_objects(shown["legs"])
        assert [(leg["role"], as_object(leg["media"])["packets_in"]) for leg in legs] == [
            ("caller", 7),
            ("assistant", 0),
        ]
        assert as_object(as_object(shown["media"])["caller"])["packets_in"] == 7
        cast.caller.counters = replace(cast.caller.counters, packets_in=9)
        cast.hang_up()
        record = (await world.record()).as_json()
        assert as_object(as_objects(record["legs"])[0]["media"])["packets_in"] == 9
        await keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)


def test_a_record_waits_for_the_last_packets_to_be_counted_and_nobody_else_does(tmp_path: Path) -> None:
    """As on rtpengine, which tells them when it lets go of a leg."""

    async def story(world: World) -> None:
        keeping = Keeping(world)
        world.media.settles_within = 0.5
        cast = await talking(world)
        (call_id,) = world.registry.calls
        cast.caller.hear(7)
        world.media.calls[-1].heard_late[cast.caller] = 2
        cast.hang_up()
        await asyncio.sleep(0.25)
        assert not world.records, "not all is counted yet"
        world.media.assert_nothing_open()
        for shown in (await keeping.operations.call(call_id), *await keeping.operations.calls(limit=5)):
            assert (shown["call_id"], as_object(shown["outcome"])["code"]) == (call_id, 4000)
        with pytest.raises(ControlError, match="has ended"):
            await keeping.operations.hang_up(call_id)
        record = (await world.record()).as_json()
        assert as_object(as_objects(record["legs"])[0]["media"])["packets_in"] == 9
        await keeping.store.close(1.0)

    play(story, tmp_path, main=MAIN)
