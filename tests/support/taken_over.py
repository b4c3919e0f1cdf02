"""What stories of calls that go on in another process have in common."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from b2bua.handoff.handoff import Handoff
from sip_stack.events import Ended
from tests.support.b2bua_world import Phone, World
from tests.support.kept_history import as_object
from tests.support.media_leg_double import LegDouble
from tests.support.next_process import Watched


def clock_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """What outlives a process is told by the wall clock: it goes as fast as the loop's."""
    begun = time.time()
    wall = SimpleNamespace(time=lambda: begun + asyncio.get_running_loop().time())
    monkeypatch.setattr("b2bua.call.clock.time", wall)
    monkeypatch.setattr("b2bua.journal.recovery.time", wall)


def fates(world: World) -> dict[tuple[str, ...], float]:
    """What became of the calls that were left behind, by the metrics."""
    return dict(world.registry.services.counters.left_behind)


async def killed(world: World, watched: Watched, fate: str = "taken_over") -> None:
    """The process is killed, and the next one has looked at what it left."""
    await watched.kill_and_restart()
    assert fates(world) == {(fate,): 1}


async def shown(watched: Watched, handoff: Handoff) -> tuple[object, object]:
    """State and code of a handoff, as the API tells them."""
    told = await watched.keeping.operations.handoff(handoff.id)
    outcome = told["outcome"]
    return told["state"], None if outcome is None else as_object(outcome)["code"]


def legs_now(world: World, role: str = "assistant") -> tuple[LegDouble, LegDouble]:
    """The media of the caller and of whom they talk to, in the process that goes on."""
    call = world.media.calls[-1]
    return call.leg("caller"), call.leg(role)


async def ended_by_the_next(world: World, watched: Watched, *phones: Phone) -> None:
    """Each of them hears BYE, and there is one record that says why."""
    for phone in phones:
        assert (await phone.until(Ended)).by == "remote"
    record = await world.record()
    assert record.as_json()["outcome"]["code"] == 11072  # type: ignore[index]
    assert len(world.records) == 1
    assert fates(world) == {("ended",): 1}
    assert await watched.entries() == []
    await watched.close()
