"""The one ordered inbox of a call: legs and media append events, the call's coroutine takes them one by one."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

Event = TypeVar("Event")

CAPACITY = 1000
"""Events a call may have waiting. A peer that outruns this is flooding: the rest is dropped and counted."""


class Inbox(Generic[Event]):
    """A bounded queue with one reader, whose every wait has a deadline.

    Not `asyncio.Queue` with `asyncio.timeout`: one future per wait and a timer now and then cost a fraction, and an
    event that arrives together with the deadline is never lost.
    """

    __slots__ = ("_alarm", "_deadline", "_events", "_loop", "_waiter", "dropped")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # No deque: an empty one takes 760 octets, and there is rarely more than one event here.
        self._events: list[Event] = []
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        """The timer, which stays from one wait to the next: most are over long before their deadline. One that comes
        too early for the wait at hand is set anew by then."""
        self.dropped = 0

    def put(self, event: Event) -> None:
        """Append an event; never blocks, drops and counts beyond `CAPACITY`."""
        if len(self._events) >= CAPACITY:
            self.dropped += 1
            return
        self._events.append(event)
        self._wake()

    def put_first(self, event: Event) -> None:
        """Have this heard before all that waits: what was done to the reader has made that old news."""
        self._events.insert(0, event)
        self._wake()

    async def get(self, deadline: float) -> Event:
        """The next event; raises `TimeoutError` when none came by `deadline` (loop time, seconds)."""
        if not self._events:
            self._see_to_alarm(deadline)
            waiter = self._waiter = self._loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
            if not self._events:
                raise TimeoutError
        return self._events.pop(0)

    def close(self) -> None:
        """Let go of the timer; nobody waits any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _see_to_alarm(self, deadline: float) -> None:
        self._deadline = deadline
        if self._alarm is None or self._alarm.when() > deadline:
            self._set_alarm()

    def _set_alarm(self) -> None:
        self.close()
        self._alarm = self._loop.call_at(self._deadline, self._ring, self._deadline)

    def _ring(self, due: float) -> None:
        self._alarm = None
        if due >= self._deadline:
            self._wake()
        elif self._waiter is not None:
            self._set_alarm()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
