"""What is written down of calls that are up, for the process that starts after this one was killed."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from b2bua.call import cause
from b2bua.control import ControlError
from b2bua.journal.closing import closed
from b2bua.journal.entry import JournalEntry
from b2bua.store import Kind, Removal
from sip_stack.dialog.snapshot import UNSEEN_REQUESTS
from tests.support.b2bua_world import DESK, SBC, World, play, refuse
from tests.support.handoff_cast import ASSISTANT, MAIN, talking
from tests.support.kept_history import as_object, as_objects
from tests.support.next_process import Watched


def test_the_entry_of_a_call_follows_who_is_there_and_goes_with_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        cast = await talking(world)
        (entry,) = await watched.entries()
        assert [leg.role for leg in entry.legs] == ["caller", "assistant"]
        assert await watched.journal.left_behind() == [], "nobody finds what they wrote themselves"

        await world.phone(DESK)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        cast.agent().hear()
        await asyncio.sleep(0.1)
        (entry,) = await watched.entries()
        assert [leg.role for leg in entry.legs] == ["caller", "agent"], "the assistant was let go"
        assert [each["id"] for each in as_objects(entry.record["handoffs"])] == [handoff.id]
        assert entry.legs[1].place == "front-desk"

        cast.hang_up()
        await world.record()
        assert await watched.entries() == []
        assert isinstance(watched.keeping.backend.batches[-1][-1], Removal)
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_a_call_that_nobody_answered_is_not_written_down(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        await world.phone(ASSISTANT, refuse(486))
        sbc = await world.phone(SBC)
        sbc.call("support")
        await world.record()
        kinds = {write.kind for write in await watched.keeping.written()}
        assert Kind.JOURNAL not in kinds
        assert Kind.CALL in kinds
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_what_was_written_is_read_and_ends_where_the_next_process_finds_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        cast = await talking(world)
        await world.phone(DESK)
        world.hand_off(destination="front-desk")
        await cast.until_awaited()
        (entry,) = await watched.entries()
        assert JournalEntry.read(entry.as_text()) == entry
        caller = entry.legs[0]
        bye = caller.dialog.restored().request("BYE", via="SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
        assert bye.cseq.number > caller.dialog.local_cseq + UNSEEN_REQUESTS
        assert bye.headers.get("Call-ID") == caller.dialog.call_id

        answered = datetime.fromisoformat(str(entry.record["answered"]))
        call = closed(entry, cause.local("process_lost"), answered.timestamp() + 60)
        assert as_object(call.record["outcome"])["code"] == 11072
        assert call.record["duration_ms"] == 60_000
        (handoff,) = call.handoffs
        assert handoff["state"] == "failed", "nobody had the human yet"
        assert all(leg["ended"] == call.record["ended"] for leg in as_objects(call.record["legs"]))
        cast.hang_up()
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_an_entry_of_another_version_is_told_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        monkeypatch.setattr(JournalEntry, "as_text", lambda entry, seal: '["of another version"]')
        cast = await talking(world)
        await asyncio.sleep(0.1)
        await watched.keeping.written()
        with capture_logs() as logged:
            assert await watched.another().left_behind() == []
        (call_id,) = world.registry.calls
        assert [(line["event"], line["call_id"]) for line in logged] == [
            ("journal_entry_unreadable", call_id)
        ]
        cast.hang_up()
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_another_node_tells_of_a_call_and_whose_it_is(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        cast = await talking(world)
        await world.phone(DESK)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        await watched.entries()
        there = watched.of_another_node()
        call_id = handoff.call_id

        told = await there.call(call_id)
        assert (told["node"], told["ended"]) == (world.registry.services.node, None)
        assert [moment["event"] for moment in as_objects(told["timeline"])] == ["received", "answered"]
        assert [each["id"] for each in as_objects(told["handoffs"])] == [handoff.id]
        for refused in (there.hang_up(call_id), there.cancel_handoff(handoff.id)):
            with pytest.raises(ControlError, match=f"at node {told['node']}") as raised:
                await refused
            assert (raised.value.status, raised.value.code) == (409, "call_elsewhere")

        cast.hang_up()
        await world.record()
        await watched.entries()
        with pytest.raises(ControlError, match="ended"):
            await there.hang_up(call_id)
        with pytest.raises(ControlError, match="no such call"):
            await there.call("nobody")
        await watched.close()

    play(story, tmp_path, main=MAIN)
