"""Calls that cannot go on in the next process, or only from another address: both sides are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.journal.entry import JournalEntry
from sip_stack.events import (
    Ended,
    ReofferReceived,
)
from tests.support.b2bua_world import World, play
from tests.support.handoff_cast import MAIN, talking
from tests.support.media_leg_double import Nothing
from tests.support.next_process import Watched
from tests.support.taken_over import ended_by_the_next, legs_now

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


def test_a_call_whose_audio_is_gone_is_ended_toward_both_sides(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        await watched.kill()
        cast.call.drop_leg(cast.assistant)
        await watched.restart()
        await ended_by_the_next(world, watched, cast.sbc, cast.bot)
        world.media.assert_nothing_open()

    play(story, tmp_path, main=MAIN)


def test_an_entry_without_a_state_that_can_be_read_still_ends_its_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        (entry,) = await watched.entries()
        assert entry.state is not None
        assert JournalEntry.read(entry.as_text()) == entry
        spoilt = JournalEntry.read(entry.as_text().replace('"PCMU"', '"of another version"'))
        assert spoilt == entry._replace(state=None)
        cast.hang_up()
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_of_a_call_at_the_native_engine_no_more_is_written_than_what_ends_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        cast = await talking(world)
        (entry,) = await watched.entries()
        assert entry.state is None
        assert legs_now(world)[0].source is not Nothing.NOBODY
        cast.hang_up()
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("side", ["caller", "assistant"])
def test_at_another_address_both_sides_are_told_and_find_the_call_there(tmp_path: Path, side: str) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        await asyncio.sleep(10)
        await watched.kill()
        await watched.restart("192.0.2.101")
        for phone in (cast.sbc, cast.bot):
            told = (await phone.until(ReofferReceived)).request
            assert told.contact is not None
            assert "192.0.2.101" in told.contact.uri
        leaving, staying = (cast.sbc, cast.bot) if side == "caller" else (cast.bot, cast.sbc)
        session = cast.session if side == "caller" else cast.bot.sessions[0]
        leaving.do(session.bye)
        assert (await staying.until(Ended)).by == "remote"
        assert (await leaving.until(Ended)).by == "local"
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, side)
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_who_hung_up_before_somebody_was_at_the_other_address_is_heard_of_by_their_481(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        await watched.kill()
        cast.hang_up()
        await cast.sbc.until(Ended)
        await watched.restart("192.0.2.101")
        assert (await cast.bot.until(Ended)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.source == "caller"
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)
