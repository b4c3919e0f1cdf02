"""Calls that go on in the next process without somebody whose audio its media engine has not any more: who is left
outside hears BYE."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.handoff.consultation import ConsultPhase
from sip_stack.events import Ended
from tests.support.b2bua_world import DESK, World, play
from tests.support.handoff_cast import MAIN, answer_at_once, talking
from tests.support.next_process import Watched
from tests.support.taken_over import fates, legs_now, shown

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


@pytest.mark.parametrize("lost", ["assistant", "agent"])
def test_of_assistant_and_human_who_has_answered_the_caller_has_whom_there_is_audio_of(
    tmp_path: Path, lost: str
) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        desk = await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        await watched.kill()
        cast.call.drop_leg(cast.call.leg(lost))
        await watched.restart()
        assert fates(world) == {("taken_over",): 1}
        gone, stays = (cast.bot, desk) if lost == "assistant" else (desk, cast.bot)
        assert (await gone.until(Ended)).by == "remote"
        caller, other = legs_now(world, "agent" if stays is desk else "assistant")
        assert (caller.peer, other.peer) == (other, caller)
        assert await shown(watched, handoff) == (("connected", None) if stays is desk else ("failed", 11072))
        cast.hang_up()
        assert (await stays.until(Ended)).by == "remote"
        record = await world.record()
        assert all(leg.ended for leg in record.legs)
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_a_human_who_is_consulted_and_has_no_audio_any_more_is_let_go(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        desk = await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk", consult=True)
        await world.until(lambda: handoff.consult is ConsultPhase.WAITING)
        await watched.kill()
        cast.call.drop_leg(cast.call.leg("agent"))
        await watched.restart()
        assert (await desk.until(Ended)).by == "remote"
        await asyncio.sleep(1.0)
        caller, assistant = legs_now(world)
        assert (caller.peer, assistant.peer) == (assistant, caller)
        assert await shown(watched, handoff) == ("failed", 11072)
        cast.hang_up()
        assert (await cast.bot.until(Ended)).by == "remote"
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)
