"""What this process wrote last, kept in memory: answers while the store does not, and where there is none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from b2bua.store.contract import Document, Write
from b2bua.store.waiting import Name, name_of, size_of

CAPACITY = 2_000
"""Documents."""
OCTETS = 16 * 1024 * 1024
"""Of their bodies together."""


class Recent:
    """The newest documents, the last written last."""

    def __init__(self, capacity: int = CAPACITY, octets: int = OCTETS) -> None:
        self._documents: OrderedDict[Name, Document] = OrderedDict()
        self._capacity = capacity
        self._limit = octets
        self._octets = 0

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents.values())

    def take(self, write: Write) -> None:
        """Remember a document in its newest state, or forget a removed one."""
        self._forget(name_of(write))
        if isinstance(write, Document):
            self._documents[name_of(write)] = write
            self._octets += size_of(write)
        while len(self._documents) > self._capacity or self._octets > self._limit:
            self._forget(next(iter(self._documents)))

    def get(self, name: Name) -> Document | None:
        """The document, if it is still remembered."""
        return self._documents.get(name)

    def _forget(self, name: Name) -> None:
        document = self._documents.pop(name, None)
        if document is not None:
            self._octets -= size_of(document)
