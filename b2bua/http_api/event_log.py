"""The last events of the feed, and readers that follow them at their own pace.

One ring for all: an event is kept once and written as text once, however many read it, and a reader is a place in
the ring. One who does not keep up is passed by the ring and told so; nobody waits for them, and nothing grows.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass

from b2bua.feed import EVERY_KIND, Entry, Feed

CAPACITY = 8192
"""Events that are kept: about 10 s of 100 calls a second, 5 MB at most."""
MAX_CHUNK = 64 * 1024
"""Octets that a reader takes at once."""


class Passed(Exception):
    """The ring has overtaken the reader: events are gone that it had not read."""


class LogClosed(Exception):
    """There is nothing to follow any more: the program ends, or the reader's client has gone."""


@dataclass(slots=True)
class _Kept:
    entry: Entry
    text: bytes = b""
    """As it is sent, once somebody asked for it."""


class EventLog:
    """Keeps what happened, in order, from `keep` to `close`."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.run = secrets.token_hex(4)
        """Stands in every id: numbers begin again with the process, and must not be taken for older ones."""
        self._ring: list[_Kept | None] = [None] * capacity
        self._oldest = self._next = 1
        self._readers: set[Reader] = set()
        self._feed: Feed | None = None
        self.is_open = False
        """False before `keep` and after `close`: who follows gets an answer that ends at once."""

    def keep(self, feed: Feed) -> None:
        """Keep what this feed tells from now on."""
        self._feed, self.is_open = feed, True
        self._oldest = self._next = feed.last_number + 1
        feed.listen(self, EVERY_KIND)

    def hear(self, entry: Entry) -> None:
        """Keep an event in the place of the oldest one."""
        number, capacity = entry.number, len(self._ring)
        self._ring[number % capacity] = _Kept(entry)
        self._next = number + 1
        if self._next - self._oldest > capacity:
            self._oldest = self._next - capacity
        for reader in self._readers:
            reader.wake()

    def close(self) -> None:
        """Keep nothing more and end every reader."""
        self.is_open = False
        if self._feed is not None:
            self._feed.leave(self)
        for reader in list(self._readers):
            reader.close()

    @property
    def readers(self) -> int:
        """How many follow."""
        return len(self._readers)

    def follow(self, last_id: str | None, call_id: str | None) -> Reader:
        """A reader of what comes after the event with that id, or from now on; of one call, or of all."""
        after = self._next - 1 if last_id is None else self._number_of(last_id)
        reader = Reader(self, after, call_id)
        self._readers.add(reader)
        return reader

    def _number_of(self, event_id: str) -> int | None:
        """The number in an id of this run; None when it is of no use."""
        run, _, number = event_id.partition("-")
        if run != self.run or not (number.isascii() and number.isdigit() and len(number) < 20):
            return None
        return int(number) if int(number) < self._next else None

    def _text(self, number: int, call_id: str | None) -> bytes:
        """The event with this number as it is sent; nothing when it is of another call than asked for."""
        kept = self._ring[number % len(self._ring)]
        if kept is None or kept.entry.number != number:
            return b""
        event = kept.entry.event
        if call_id is not None and event.call_id != call_id:
            return b""
        if not kept.text:
            data = json.dumps(event.as_json(), ensure_ascii=False, separators=(",", ":"))
            text = f"id: {self.run}-{number}\nevent: {event.name}\ndata: {data}\n\n"
            kept.text = text.encode("utf-8", "replace")
        return kept.text


class Reader:
    """A place in the log that moves on as its owner reads. Belongs to one coroutine, which closes it."""

    def __init__(self, log: EventLog, after: int | None, call_id: str | None) -> None:
        self._log = log
        self._call_id = call_id
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        oldest = log._oldest
        self.missed: int | None = 0
        """Events, of any call, that were gone before it began; None when nobody knows how many."""
        if after is None:
            self.missed = None
        elif after + 1 < oldest:
            self.missed = oldest - after - 1
        self._next = oldest if after is None else max(after + 1, oldest)

    @property
    def place(self) -> str:
        """The id of the last event that was looked at: where to go on later."""
        return f"{self._log.run}-{self._next - 1}"

    def wake(self) -> None:
        """There is something to read."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self) -> None:
        """Read no more; who waits gets `LogClosed`."""
        self._closed = True
        self._log._readers.discard(self)
        self.wake()

    async def wait(self, deadline: float) -> None:
        """Until there may be something to read; raises `TimeoutError` at `deadline` (loop time, seconds)."""
        if self._closed or not self._log.is_open or self._next < self._log._next:
            return
        waiter = self._waiter = self._loop.create_future()
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        finally:
            self._waiter = None

    def read(self) -> bytes:
        """What is there, up to `MAX_CHUNK`, perhaps nothing. Raises `Passed` and `LogClosed`."""
        log = self._log
        if self._closed or not log.is_open:
            raise LogClosed
        if self._next < log._oldest:
            raise Passed
        found: list[bytes] = []
        size = 0
        while self._next < log._next and size < MAX_CHUNK:
            text = log._text(self._next, self._call_id)
            if text:
                found.append(text)
                size += len(text)
            self._next += 1
        return b"".join(found)
