"""For tests of the store: a clock, documents, and a backend that does what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from b2bua.store import Backend, Document, Found, Kind, Place, Removal, StoreUnavailable, Write

T = TypeVar("T")


class Clock:
    """A wall clock that stands still; seconds since 1970."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def document(
    key: str,
    *,
    kind: Kind = Kind.HANDOFF,
    created: int = 0,
    group: str = "",
    seconds: float = 3600,
    body: str = "{}",
) -> Document:
    """A document that expires `seconds` after it was made."""
    return Document(kind, key, body, created, created + round(seconds * 1000), group)


class BackendDouble:
    """A backend in memory. `failing` is why it does not work; None when it does."""

    def __init__(self) -> None:
        self.failing: str | None = None
        self.batches: list[list[Write]] = []
        self.documents: dict[tuple[Kind, str], Document] = {}
        self.checks = 0
        self.closed = False
        self.defect: Exception | None = None

    def write(self, writes: Sequence[Write]) -> None:
        self.check()
        self.batches.append(list(writes))
        for write in writes:
            if isinstance(write, Removal):
                self.documents.pop((write.kind, write.key), None)
            else:
                self.documents[write.kind, write.key] = write

    def read(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        self.check()
        return {key: self.documents[kind, key].body for key in keys if (kind, key) in self.documents}

    def find(self, kind: Kind, group: str, before: Place | None, limit: int) -> list[Found]:
        self.check()
        found = [
            Found(Place(each.created, each.key), each.body)
            for each in self.documents.values()
            if each.kind is kind and each.group == group
        ]
        return sorted((each for each in found if before is None or each.place < before), reverse=True)[:limit]

    def check(self) -> None:
        self.checks += 1
        if self.defect is not None:
            raise self.defect
        if self.failing is not None:
            raise StoreUnavailable(self.failing)

    def close(self) -> None:
        self.closed = True


class Connection:
    """What one process has of a backend that others open as well."""

    def __init__(self, backend: BackendDouble) -> None:
        self._backend: BackendDouble | None = backend

    def cut(self) -> None:
        """The process was killed: whatever it still says gets nowhere."""
        self._backend = None

    def write(self, writes: Sequence[Write]) -> None:
        if self._backend is not None:
            self._backend.write(writes)

    def read(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        return {} if self._backend is None else self._backend.read(kind, keys)

    def find(self, kind: Kind, group: str, before: Place | None, limit: int) -> list[Found]:
        return [] if self._backend is None else self._backend.find(kind, group, before, limit)

    def check(self) -> None:
        if self._backend is not None:
            self._backend.check()

    def close(self) -> None:
        """Others go on with it."""


def as_backend(double: BackendDouble | Connection) -> Backend:
    """The double as what it stands for; a type checker compares them here."""
    return double


class PatientWorker:
    """A worker without a thread: tasks run when the loop gets to them, or, while it `hangs`, never."""

    def __init__(self) -> None:
        self.hangs = False
        self.closed = False

    def run(self, task: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if not self.hangs:
            loop.call_soon(self._run, task, future)
        return future

    def close(self) -> None:
        self.closed = True

    @staticmethod
    def _run(task: Callable[[], T], future: asyncio.Future[T]) -> None:
        if future.cancelled():
            return
        try:
            future.set_result(task())
        except Exception as error:
            future.set_exception(error)
