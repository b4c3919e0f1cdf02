"""The journal of the calls that are up: written as they change, for the process that starts after this one was killed.

Entries wait in the store's queue like everything else that is kept: a call that was answered within the last 60 ms
before a `kill -9` may be missing. An answered call costs two writes, one more where it has rung for longer than
`RINGS`; one that nobody answers costs none before that.
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
RINGS = 1.0
"""Seconds that a call may ring without being written down. A second covers calls to assistants, which are answered at
once, and those that are refused; what rings longer is a phone, and rare enough for a write."""
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
        self._unanswered: dict[str, tuple[float, Call]] = {}
        """Those that ring, and until when (loop time) without being written down; the first of them first."""
        self._due: asyncio.TimerHandle | None = None
        self._written: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._log = get_logger()

    def open(self, node: str) -> None:
        """Write from now on; no two processes at once may be the same `node`."""
        self._node = node

    def keep(self, call: Call) -> None:
        """Write a call down soon, as it is then; to be told of every change of whom it talks to, or rings for it. One
        that nobody has answered is written once it has rung for `RINGS`."""
        if not self._node or self._is_closed or not self._store.has_backend or call.over:
            return
        if call.answered:
            self._unanswered.pop(call.id, None)
        elif call.id not in self._written and call.id not in self._changed:
            self._await_answer(call)
            return
        self._change(call)

    def _change(self, call: Call) -> None:
        self._changed[call.id] = call
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._write)

    def _await_answer(self, call: Call) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + RINGS
        self._unanswered.setdefault(call.id, (due, call))
        if self._due is None:
            self._due = loop.call_at(due, self._note_unanswered)

    def _note_unanswered(self) -> None:
        """Have those written that have rung long enough. One timer is for all of them, and it is set again only while
        somebody rings."""
        self._due, loop = None, asyncio.get_running_loop()
        now, ripe = loop.time(), []
        for due, call in self._unanswered.values():
            if due > now:
                # Together with those of the next moment.
                self._due = loop.call_at(due + GATHER, self._note_unanswered)
                break
            ripe.append(call)
        for call in ripe:
            del self._unanswered[call.id]
            if not call.over:
                self._change(call)

    def forget(self, call_id: str) -> None:
        """The call is over; its entry goes when it is recorded."""
        self._changed.pop(call_id, None)
        self._unanswered.pop(call_id, None)

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
        for timer in (self._timer, self._due):
            if timer is not None:
                timer.cancel()
        self._timer = self._due = None

    def _write(self) -> None:
        self._timer = None
        for call in self._changed.values():
            created = call.record.clock.milliseconds(call.record.started)
            text = entry_of(call, self._run).as_text(self.seal)
            self._store.put(Document(Kind.JOURNAL, call.id, text, created, created + KEPT_MS, self._node))
            self._written.add(call.id)
        self._changed.clear()

    async def record_of(self, call_id: str) -> JsonObject | None:
        """The record so far of a call that is written down on some node, this one or another, with its handoffs as the
        API shows them; None when no entry of it is there, or can be read. Raises `StoreUnavailable`."""
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
