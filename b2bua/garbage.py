"""When CPython's collector looks for circles of objects that name each other and that nobody else names any more.

While it looks, nothing else runs: by numbers of containers it did for 20 to 100 ms, every few seconds under load, and
one INVITE in a hundred waited for it. What is in no circle is freed at once without it, and a call leaves none
(`Call.let_go`). So it rests while calls are up, and looks at all there is when none is.

A process that always has calls is bounded otherwise. When more was made and not freed than its calls explain, that is
set aside, and the collector looks at what is new by itself, in short looks. When all the same its memory has doubled,
calls have to wait for one look at all of it.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from b2bua import runtime
from b2bua.telemetry.logs import get_logger

INTERVAL = 1.0
"""Seconds between two glances at the numbers; a glance is no look, and costs nothing."""
QUIET_SECONDS = 40.0
"""Without a call, until what the last one left is gone: transactions live on for 32 s (RFC 3261 section 17.1.1.2)."""
WORTH_A_LOOK = 10_000
"""Containers made and not freed, for a look while no call is up; it takes some 10 ms."""
OF_A_CALL = 400
"""Containers of a call that is up, and more: 143 were counted of a plain one, 284 of one on rtpengine."""
OF_A_TRANSACTION = 8
"""Containers of a transaction, and more: 4 were counted of those that linger when their call is over, at 600 calls/s
50,000 of them."""
TOO_MANY = 200_000
"""Containers beyond those of calls and transactions, some 40 MB."""
SUSPICION_SECONDS = 3600.0
"""For how long the collector then looks by itself."""
MEMORY_SLACK = 256 * 2**20
"""Octets beyond twice the memory after the last look at everything, and beyond that of the most calls since."""
MEMORY_OF_A_CALL = 64 * 2**10
"""Octets, and more: 35 KiB were measured."""


class Collector(Protocol):
    """What is used of the module `gc`."""

    def enable(self) -> None: ...
    def disable(self) -> None: ...
    def collect(self) -> int: ...
    def freeze(self) -> None: ...
    def unfreeze(self) -> None: ...
    def get_count(self) -> tuple[int, int, int]: ...


def resident_memory() -> int:
    """Octets that the process has of the machine's memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class GarbageWatch:
    """Decides when the collector looks, on the running loop. On PyPy, whose collector is another, it does nothing."""

    def __init__(
        self,
        calls: Callable[[], int],
        transactions: Callable[[], int],
        *,
        collector: Collector = gc,
        memory: Callable[[], int] = resident_memory,
    ) -> None:
        """`calls`: how many are up. `transactions`: how many live, lingering ones included. `memory`: octets that the
        process has."""
        self._calls = calls
        self._transactions = transactions
        self._collector = collector
        self._memory = memory
        self._log = get_logger()
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_since = 0.0
        self._suspicious_until: float | None = None
        self._set_aside = False
        self._least_memory = 0
        """Octets after the start, or the last look at all there is."""
        self._most_calls = 0
        """Up at once since then: what the system gave for calls stays with the process when they end."""

    def start(self) -> None:
        """Tell the collector when to look, which rests since `runtime.settle`; call on the loop."""
        if runtime.PYPY:
            return
        loop = asyncio.get_running_loop()
        self._quiet_since = loop.time()
        self._least_memory = self._memory()
        self._arm(loop)

    def stop(self) -> None:
        """Leave the collector to itself again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._collector.enable()

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_at(loop.time() + INTERVAL, self._glance, loop)

    def _glance(self, loop: asyncio.AbstractEventLoop) -> None:
        now, calls = loop.time(), self._calls()
        # At least what has come since the last look: it never falls below nothing, however much is freed.
        grown = self._collector.get_count()[0]
        self._most_calls = max(self._most_calls, calls)
        if calls:
            self._quiet_since = now
        if now - self._quiet_since >= QUIET_SECONDS and (grown >= WORTH_A_LOOK or self._set_aside):
            self._look("quiet", calls)
        elif self._memory() > 2 * self._least_memory + MEMORY_SLACK + self._most_calls * MEMORY_OF_A_CALL:
            self._look("memory", calls)
        elif self._suspicious_until is not None:
            if now >= self._suspicious_until:
                self._rest()
        elif grown - calls * OF_A_CALL - self._transactions() * OF_A_TRANSACTION >= TOO_MANY:
            self._suspect(now, grown, calls)
        self._arm(loop)

    def _suspect(self, now: float, grown: int, calls: int) -> None:
        """Let the collector look at what is made from now on, in short looks."""
        self._log.warning("garbage_suspected", grown=grown, calls=calls)
        self._suspicious_until = now + SUSPICION_SECONDS
        # Or its first look would be at all there is, garbage or not: two seconds with 4,000 calls up.
        self._collector.freeze()
        self._set_aside = True
        self._collector.enable()

    def _rest(self) -> None:
        self._suspicious_until = None
        self._collector.disable()

    def _look(self, why: str, calls: int) -> None:
        """Look at everything."""
        begun = time.perf_counter()
        if self._set_aside:
            self._collector.unfreeze()
        found = self._collector.collect()
        if self._set_aside:
            self._collector.freeze()
        took = round(time.perf_counter() - begun, 4)
        self._set_aside = False
        self._rest()
        self._least_memory, self._most_calls = self._memory(), calls
        self._log.info("garbage_collected", why=why, found=found, calls=calls, took=took)
