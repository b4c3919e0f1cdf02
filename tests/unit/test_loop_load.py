"""The load of the event loop: lateness and CPU, measured by one timer."""

from __future__ import annotations

import asyncio

import pytest

from b2bua.admission import Load, LoopLoad
from tests.support.virtual_loop import VirtualLoop, run_virtual


class Thread:
    """A thread whose CPU time is as told."""

    def __init__(self) -> None:
        self.used = 7.0

    def cpu_seconds(self) -> float:
        return self.used


def hold_up(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """Block the loop: its clock runs on, its timers do not."""
    assert isinstance(loop, VirtualLoop)
    loop._jumping.now += seconds


def test_an_idle_loop_is_neither_late_nor_busy() -> None:
    seen: list[Load] = []

    async def story() -> None:
        measured = LoopLoad(lambda load, now: seen.append(load), cpu_seconds=Thread().cpu_seconds)
        measured.start()
        await asyncio.sleep(1.05)
        measured.stop()
        await asyncio.sleep(1)

    run_virtual(story())
    assert len(seen) == 10
    assert all(load.lag == pytest.approx(0.0, abs=1e-6) and load.busy == 0.0 for load in seen)


def test_sockets_whose_datagrams_wait_long_put_it_behind() -> None:
    seen: list[bool] = []
    answers = iter([True, False, True])

    async def story() -> None:
        measured = LoopLoad(lambda load, now: seen.append(load.behind), kept_up=lambda: next(answers))
        measured.start()
        await asyncio.sleep(0.35)
        measured.stop()

    run_virtual(story())
    assert seen == [False, True, False]


def test_a_held_up_loop_is_late_and_busy() -> None:
    seen: list[tuple[Load, float]] = []
    thread = Thread()

    async def story() -> None:
        loop = asyncio.get_running_loop()
        measured = LoopLoad(lambda load, now: seen.append((load, now)), cpu_seconds=thread.cpu_seconds)
        measured.start()
        thread.used += 0.2
        hold_up(loop, 0.4)
        await asyncio.sleep(0.2)
        measured.stop()

    run_virtual(story())
    first, second = (load for load, _ in seen[:2])
    assert first.lag == pytest.approx(0.3)
    assert first.busy == pytest.approx(0.5)
    assert second.lag == pytest.approx(0.0, abs=1e-6)
    assert second.busy == 0.0
