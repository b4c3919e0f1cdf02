"""The contract of the store: documents that are found by key and by group, kept until they expire.

A backend blocks and is used by one thread; `Store` stands in front of it, so that no call ever waits. What is in a
document is nobody's business here. Keys are `kind:key` in every backend, which is what an operator finds there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol


class Kind(StrEnum):
    """What is kept."""

    HANDOFF = "handoff"
    """A handoff, or a context without a call; found by its shared id too."""
    CALL = "call"
    """A call that has ended."""
    RESOLUTION = "resolution"
    """What the human side says became of a handoff."""
    ANNOTATION = "annotation"
    """A note on a call."""
    TRANSFER = "transfer"
    """There while a handoff of the call is under way."""
    JOURNAL = "journal"
    """There while a call is up, for the process after this one; found by the node."""
    WEBHOOK = "webhook"
    """There while a receiver has not taken what became of a handoff; found by the node."""

    @property
    def has_one_writer(self) -> bool:
        """True when only the process that made a document changes it, so that its own copy is the newest."""
        return self in (Kind.HANDOFF, Kind.CALL)

    @property
    def is_remembered(self) -> bool:
        """False for what is of no use to the process that wrote it."""
        return self not in (Kind.JOURNAL, Kind.WEBHOOK)


KEPT: Mapping[Kind, int] = {Kind.CALL: 10_000}
"""How many of a kind are kept, the newest, where every call brings one; others are bounded by their expiry."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document. Times are milliseconds since 1970."""

    kind: Kind
    key: str
    body: str
    """JSON in ASCII."""
    created: int
    """Its place in the group; a later version has the same."""
    expires: int
    group: str = ""
    """What it is found by besides its key; empty for nothing."""


@dataclass(frozen=True, slots=True)
class Removal:
    """The end of a document before it expires."""

    kind: Kind
    key: str
    group: str = ""
    """That of the document."""


Write = Document | Removal


class Place(NamedTuple):
    """Where a document stands in its group: by age, and by key among those of the same millisecond."""

    created: int
    key: str


class Found(NamedTuple):
    """A document of a group."""

    place: Place
    body: str


class StoreUnavailable(Exception):
    """The store does not answer, refuses, or is full. The text says why and holds no secret."""


class Backend(Protocol):
    """Where documents are kept. Every method blocks, and raises `StoreUnavailable`; opening is part of the first."""

    def write(self, writes: Sequence[Write]) -> None:
        """Do all of this, or nothing."""
        ...

    def read(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        """The bodies that there are, by key."""
        ...

    def find(self, kind: Kind, group: str, before: Place | None, limit: int) -> list[Found]:
        """Up to `limit` documents of a group, newest first, from behind `before` on."""
        ...

    def check(self) -> None:
        """Raise if it would not work now."""
        ...

    def close(self) -> None:
        """Let go of files and connections; opens again when it is used again."""
        ...
