"""What waits to be written: bounded, and of each document only its newest state."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from b2bua.store.contract import Document, Kind, Write

CAPACITY = 10_000
"""Writes that may wait."""
OCTETS = 32 * 1024 * 1024
"""Of their bodies together."""

Name = tuple[Kind, str]


class Waiting:
    """Writes in order of age. A store that is gone for long costs the oldest, not the newest."""

    def __init__(self, capacity: int = CAPACITY, octets: int = OCTETS) -> None:
        self._writes: OrderedDict[Name, Write] = OrderedDict()
        self._capacity = capacity
        self._limit = octets
        self._octets = 0

    def __len__(self) -> int:
        return len(self._writes)

    def __iter__(self) -> Iterator[Write]:
        return iter(self._writes.values())

    def get(self, name: Name) -> Write | None:
        """The write that waits for this document."""
        return self._writes.get(name)

    def put(self, write: Write) -> list[Write]:
        """Add a write in the place of an older one of the same document; returns what had to go for it."""
        self._remove(name_of(write))
        self._writes[name_of(write)] = write
        self._octets += size_of(write)
        lost = []
        while len(self._writes) > self._capacity or self._octets > self._limit:
            lost.append(self._remove(next(iter(self._writes))))
        return [write for write in lost if write is not None]

    def take(self, count: int, now_ms: int) -> list[Write]:
        """Take the oldest out, without what has expired while it waited."""
        taken: list[Write] = []
        while self._writes and len(taken) < count:
            write = self._remove(next(iter(self._writes)))
            assert write is not None, "its name was just found"
            if not isinstance(write, Document) or write.expires > now_ms:
                taken.append(write)
        return taken

    def put_back(self, writes: Iterable[Write]) -> list[Write]:
        """Return what was taken to its place, unless a newer state waits; returns what had to go for it."""
        newer = list(self._writes.values())
        self._writes.clear()
        self._octets = 0
        lost: list[Write] = []
        for write in (*writes, *newer):
            lost += self.put(write)
        return lost

    def _remove(self, name: Name) -> Write | None:
        write = self._writes.pop(name, None)
        if write is not None:
            self._octets -= size_of(write)
        return write


def name_of(write: Write) -> Name:
    """What a write is about."""
    return write.kind, write.key


def size_of(write: Write) -> int:
    """Octets of its body."""
    return len(write.body) if isinstance(write, Document) else 0
