"""A listener that reads at its own pace, from a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from b2bua.call.inbox import Inbox
from b2bua.feed.events import FeedEvent
from b2bua.feed.feed import Entry, Feed


class Subscription:
    """Hears events of some kinds, of one call or of all, inside its `with` block; what is too much is dropped."""

    def __init__(self, feed: Feed, kinds: Iterable[type[FeedEvent]], *, call_id: str | None = None) -> None:
        self._feed = feed
        self._kinds = tuple(kinds)
        self._call_id = call_id
        self._inbox: Inbox[Entry] = Inbox(asyncio.get_running_loop())

    def __enter__(self) -> Self:
        self._feed.listen(self, self._kinds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._feed.leave(self)

    @property
    def lost(self) -> int:
        """Events that came while the queue was full."""
        return self._inbox.dropped

    def hear(self, entry: Entry) -> None:
        """Keep an event until it is read."""
        if self._call_id is None or entry.event.call_id == self._call_id:
            self._inbox.put(entry)

    async def next(self, deadline: float) -> Entry:
        """The next event; raises `TimeoutError` when none came by `deadline` (loop time, seconds)."""
        return await self._inbox.get(deadline)
