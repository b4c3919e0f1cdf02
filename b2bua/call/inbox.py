"""The one ordered inbox of a call: legs and media append events, the call's coroutine takes them one by one."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

Event = TypeVar("Event")

CAPACITY = 1000
"""Events a call may have waiting. A peer that outruns this is flooding: the rest is dropped and counted."""


class Inbox(Generic[Event]):
    """A bounded queue with one reader, whose every wait has a deadline.

    Not `asyncio.Queue` with `asyncio.timeout`: one future and one timer per wait cost half as much, and an event
    that arrives together with the deadline is never lost.
    """

    __slots__ = ("_events", "_loop", "_waiter", "dropped")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # No deque: an empty one takes 760 octets, and there is rarely more than one event here.
        self._events: list[Event] = []
        self._waiter: asyncio.Future[None] | None = None
        self.dropped = 0

    def put(self, event: Event) -> None:
        """Append an event; never blocks, drops and counts beyond `CAPACITY`."""
        if len(self._events) >= CAPACITY:
            self.dropped += 1
            return
        self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self, deadline: float) -> Event:
        """The next event; raises `TimeoutError` when none came by `deadline` (loop time, seconds)."""
        if not self._events:
            await self._wait(deadline)
        if not self._events:
            raise TimeoutError
        return self._events.pop(0)

    async def _wait(self, deadline: float) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_at(deadline, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
