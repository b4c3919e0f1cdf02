"""A thread that takes what may be slow off the event loop: disks, terminals, pipes that nobody reads."""

from __future__ import annotations

import threading
from collections.abc import Callable
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
        self._waiting: list[Item] = []
        """Whoever has an item appends it, the thread alone takes items away: both are one step of the interpreter."""
        self._news = threading.Event()
        """Set once something waits that the thread has not begun to look for."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; what was put before is taken as well."""
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Hand over an item; never blocks. False: there is no room for it."""
        if len(self._waiting) >= self._capacity:
            return False
        self._waiting.append(item)
        if not self._news.is_set():
            self._news.set()
        return True

    def close(self, deadline: float) -> None:
        """Have taken what waits, and stop; gives up after `deadline` seconds."""
        if self._thread.is_alive():
            self._closing.set()
            self._news.set()
            self._thread.join(deadline)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._news.wait()
            self._news.clear()
            is_last = self._closing.is_set()
            while self._waiting:
                self._closing.wait(GATHER)
                batch = self._waiting.copy()
                del self._waiting[: len(batch)]
                self._take(batch)
