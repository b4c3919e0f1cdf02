"""The one thread in which a backend may take its time."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Worker:
    """Runs what it is given, one after the other, from the first task on until `close`.

    A daemon thread and not an executor: a disk that hangs must not keep the process from ending.
    """

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def run(self, task: Callable[[], T]) -> asyncio.Future[T]:
        """What `task` returns or raises, when it has run; it does not run once the future was cancelled."""
        if not self._thread.is_alive():
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # of T, which may be None

        def run() -> None:
            if future.cancelled():
                return
            result, failure = None, None
            try:
                result = task()
            except Exception as error:
                failure = error
            with suppress(RuntimeError):  # the loop has closed meanwhile, and nobody waits any more
                loop.call_soon_threadsafe(settle, result, failure)

        self._tasks.put(run)
        return future

    def close(self) -> None:
        """Let the thread end behind its last task; does not wait for it."""
        self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()
