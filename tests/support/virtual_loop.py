"""An asyncio loop whose clock jumps: when nothing is ready, time is at once that of the next timer.

Code that waits 30 s for a ring runs in no time, in the same order each time. Sockets work, but the clock does not wait
for them: use it with `fake_network`. Threads that are still busy are waited for only when no timer is pending, and
inside `standing_still`.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

REAL_LIMIT = 10.0
"""Real seconds to wait for a thread or a socket when there is no timer to jump to."""


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for a timeout, moves the clock by it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.stands_still = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or (self.stands_still and timeout > 0):
            ready = super().select(REAL_LIMIT)
            if not ready:
                raise RuntimeError("nothing is ready and no timer can be: this would wait for ever")
            return ready
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 1000.0 s."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    async def shutdown_default_executor(self, _limit: float | None = None) -> None:
        """Waits for threads for as long as they need: since Python 3.12 a loop's runner gives them 300 s, which are
        over at once here."""
        await super().shutdown_default_executor()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """What is awaited inside is done by a thread: its time is real, and no timer ends before it."""
        self._jumping.stands_still = True
        try:
            yield
        finally:
            self._jumping.stands_still = False


def run_virtual(main: Coroutine[object, object, T]) -> T:
    """Run `main` to its end on a new virtual loop, and close the loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
