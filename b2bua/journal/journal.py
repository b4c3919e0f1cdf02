"""The journal of the calls that are up: written as they change, for the process that starts after this one was killed.

Entries wait in the store's queue like everything else that is kept: a call that was answered within the last 60 ms
before a `kill -9` may be missing. An answered call costs two writes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING

from b2bua.journal.entry import JournalEntry, entry_of
from b2bua.store import Document, Kind, Place, Removal, Store
from b2bua.telemetry.logs import get_logger

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.record import JsonObject
    from b2bua.journal.seal import Seal

GATHER = 0.05
"""Seconds that changes of a call gather: an answer and the bridge after it are one entry."""
KEPT_MS = 7 * 24 * 3600 * 1000
"""How long an entry waits for a process that reads it."""
PAGE = 500
"""Entries that are read at once."""


class Journal:
    """Of one process, among those of the same node before and after it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seal: Seal | None = None
        """What hides keys in entries; None: calls with keys only end in another process. To be set before `open`."""
        self._node = ""
        self._run = secrets.token_hex(8)
        self._is_closed = False
        self._changed: dict[str, Call] = {}
        self._written: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._log = get_logger()

    def open(self, node: str) -> None:
        """Write from now on; no two processes at once may be the same `node`."""
        self._node = node

    def keep(self, call: Call) -> None:
        """Write a call down soon, as it is then; to be told of every change of whom it talks to."""
        if not self._node or self._is_closed or not self._store.has_backend or not call.answered or call.over:
            return
        self._changed[call.id] = call
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._write)

    def forget(self, call_id: str) -> None:
        """The call is over; its entry goes when it is recorded."""
        self._changed.pop(call_id, None)

    def take_over(self, entry: JournalEntry) -> None:
        """A call of an earlier process is ours now, to go on with or to end: its entry goes with its record."""
        self._written.add(entry.call_id)

    def recorded(self, call_ids: Iterable[str]) -> None:
        """Their records are written, where a `kill -9` does not reach them: strike them out."""
        for call_id in call_ids:
            if call_id in self._written:
                self._written.remove(call_id)
                self._store.put(Removal(Kind.JOURNAL, call_id, self._node))

    def close(self) -> None:
        """Write no calls any more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self) -> None:
        self._timer = None
        for call in self._changed.values():
            created = call.record.clock.milliseconds(call.record.started)
            text = entry_of(call, self._run).as_text(self.seal)
            self._store.put(Document(Kind.JOURNAL, call.id, text, created, created + KEPT_MS, self._node))
            self._written.add(call.id)
        self._changed.clear()

    async def record_of(self, call_id: str) -> JsonObject | None:
        """The record so far of a call that is up on some node, this one or another, with its handoffs as the API shows
        them; None when no entry of it is there, or can be read. Raises `StoreUnavailable`."""
        found = await self._store.read(Kind.JOURNAL, [call_id])
        try:
            return JournalEntry.read(found[call_id]).record
        except (ValueError, TypeError, KeyError):
            return None

    async def left_behind(self) -> list[JournalEntry]:
        """The calls that were up when an earlier process of this node ended. Raises `StoreUnavailable`.

        An entry that cannot be read, of another version, is left for its expiry: nobody can end its call."""
        found: list[JournalEntry] = []
        before: Place | None = None
        while page := await self._store.find(Kind.JOURNAL, self._node, before=before, limit=PAGE):
            before = page[-1].place
            for each in page:
                try:
                    entry = JournalEntry.read(each.body, self.seal)
                except (ValueError, TypeError, KeyError):
                    self._log.warning("journal_entry_unreadable", call_id=each.place.key)
                    continue
                if entry.run != self._run:
                    found.append(entry)
        return found
