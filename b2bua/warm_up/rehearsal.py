"""`b2bua run --warm-up`: calls through our own code in our own process, before anybody else may call.

A just-in-time compiler compiles what has run often, so that the first thousands of calls cost several times what the
others do. What is played here is heard of nowhere but in two log lines.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from b2bua import runtime
from b2bua.config import Configuration
from b2bua.store import Store, StoreUnavailable
from b2bua.telemetry import logs
from b2bua.warm_up.cost import Costs
from b2bua.warm_up.left_behind import calls_left_behind
from b2bua.warm_up.load import Load
from b2bua.warm_up.stage import Stage

BATCH = 200
"""Calls of which one figure is made."""
COMPILED = 10_000
"""Calls before which a compiler has not done with most of the code: their cost stands still, and then falls on."""
CACHED = 1_000
"""The same where there is no compiler."""


class WarmUpFailed(Exception):
    """A call was refused, or none was completed."""


async def warm_up(configuration: Configuration, seconds: float, store: Store) -> None:
    """Play calls for `seconds`, or until they get no cheaper; none where calls of an earlier process wait in `store`.

    Never raises for what goes wrong: a server that is slow at first is better than none. May be cancelled."""
    log = logs.get_logger()
    rehearsal = Rehearsal(configuration)
    try:
        with logs.muted():
            left_behind = await calls_left_behind(configuration, store)
        if left_behind:
            log.info("warm_up_skipped", calls_left_behind=left_behind)
            return
        log.info("warm_up", seconds=seconds)
        begun = time.monotonic()
        with logs.muted(), runtime.eager():
            await rehearsal.play(seconds)
    except StoreUnavailable as error:
        log.warning("warm_up_skipped", why=f"there may be calls left behind: {error}")
        return
    except Exception as error:
        log.warning("warm_up_failed", why=f"{type(error).__name__}: {error}")
        return
    costs = rehearsal.costs
    log.info(
        "warmed_up",
        seconds=round(time.monotonic() - begun, 1),
        calls=costs.calls,
        ms_per_call_first=round(costs.first * 1000, 2),
        ms_per_call_last=round(costs.last * 1000, 2),
    )


class Rehearsal:
    """The calls, and what they cost."""

    def __init__(self, like: Configuration) -> None:
        """`like`: see `Stage`."""
        self.costs = Costs(COMPILED if runtime.PYPY else CACHED)
        self._like = like
        self._over = asyncio.Event()
        self._refused = ""
        self._ended = 0
        """Calls since the last figure."""
        self._counted_at = 0.0

    async def play(self, seconds: float) -> None:
        """Play them. Raises `WarmUpFailed`, and what `Stage.open` raises; nothing of them is left in any case."""
        with tempfile.TemporaryDirectory(prefix="b2bua-warm-up-", ignore_cleanup_errors=True) as folder:
            load = Load(self._on_ended, self._on_refused)
            try:
                await self._play(load, Path(folder), seconds)
            finally:
                load.close()
        if self._refused:
            raise WarmUpFailed(self._refused)
        if not self.costs.calls:
            raise WarmUpFailed("no call was completed")

    async def _play(self, load: Load, folder: Path, seconds: float) -> None:
        stage = Stage(folder, load.callee, self._like)
        try:
            server = await stage.open()
            self._counted_at = time.process_time()
            load.begin(server)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._over.wait()
            self._count()
        finally:
            load.stop()
            await stage.close()

    def _on_ended(self) -> None:
        self._ended += 1
        if self._ended == BATCH:
            self._count()
            if not self.costs.are_falling:
                self._over.set()

    def _count(self) -> None:
        now = time.process_time()
        if self._ended:
            self.costs.add(self._ended, (now - self._counted_at) / self._ended)
        self._ended, self._counted_at = 0, now

    def _on_refused(self, why: str) -> None:
        self._refused = why
        self._over.set()
