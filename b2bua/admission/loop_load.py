"""How busy the event loop is, measured by one periodic timer.

How late the timer fires says that the loop is starved or blocked. It says nothing about a loop that gets more datagrams
than it can take, for those are read in small batches and wait in the kernel: that is told by how much CPU the thread
used, and by how long they waited. The wait there is what ruins calls: past half a second every message is
sent again. That they are not read empty for a while is no sign: so it is with a loop that still takes all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

INTERVAL = 0.1
"""Seconds between two measurements."""


@dataclass(frozen=True, slots=True)
class Load:
    """One measurement."""

    lag: float
    """Seconds that the timer was late."""
    busy: float
    """Share of one core that the loop's thread used since the last one, 0 to 1."""
    behind: bool = False
    """Datagrams came faster than they were read: since the last one all had waited long, or some were lost."""


class LoopLoad:
    """Measures the running loop and hands each `Load` on, with the time of it."""

    def __init__(
        self,
        on_load: Callable[[Load, float], None],
        *,
        kept_up: Callable[[], bool] = lambda: True,
        cpu_seconds: Callable[[], float] = time.thread_time,
    ) -> None:
        """`kept_up` says that datagrams were read before they had waited long, since it was last asked;
        `cpu_seconds` is the CPU time of the thread that runs the loop."""
        self._on_load = on_load
        self._kept_up = kept_up
        self._cpu_seconds = cpu_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._measured_at = 0.0
        self._used = 0.0

    def start(self) -> None:
        """Measure from now on; call on the loop."""
        loop = asyncio.get_running_loop()
        self._measured_at, self._used = loop.time(), self._cpu_seconds()
        self._arm(loop)

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_at(loop.time() + INTERVAL, self._measure, loop)

    def _measure(self, loop: asyncio.AbstractEventLoop) -> None:
        now, used = loop.time(), self._cpu_seconds()
        elapsed = max(now - self._measured_at, INTERVAL / 100)
        # The timer is set anew after each measurement, so what is beyond the interval is lateness.
        busy = min(1.0, (used - self._used) / elapsed)
        load = Load(lag=max(0.0, elapsed - INTERVAL), busy=busy, behind=not self._kept_up())
        self._measured_at, self._used = now, used
        self._arm(loop)
        self._on_load(load, now)
