"""A thread that takes what may be slow off the event loop: disks, terminals, pipes that nobody reads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")

GATHER = 0.05
"""Seconds that items gather before they are taken together: waking a thread for each costs as much as writing it."""


class Background(Generic[Item]):
    """Hands what it is given to `take`, in order and in batches, from a thread of its own."""

    def __init__(self, name: str, take: Callable[[list[Item]], None], capacity: int) -> None:
        """`take` must not raise. Beyond `capacity` items nothing more is accepted until some were taken."""
        self._take = take
        self._capacity = capacity
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; what was put before is taken as well."""
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Hand over an item; never blocks. False: there is no room for it."""
        if self._queue.qsize() >= self._capacity:
            return False
        self._queue.put(item)
        return True

    def close(self, deadline: float) -> None:
        """Have taken what waits, and stop; gives up after `deadline` seconds."""
        if self._thread.is_alive():
            self._closing.set()
            self._queue.put(None)
            self._thread.join(deadline)

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            self._closing.wait(GATHER)
            batch = [first]
            with suppress(queue.Empty):
                while (item := self._queue.get_nowait()) is not None:
                    batch.append(item)
                self._queue.put(None)  # To be found again when this batch is written.
            self._take(batch)
