"""What is kept of the calls of a world: a store, and the operations of the API behind them."""

from __future__ import annotations

import asyncio

from b2bua.call.record import CallRecord, JsonObject
from b2bua.call.registry import CallRegistry
from b2bua.feed import HandoffChanged
from b2bua.history import History
from b2bua.journal import Journal
from b2bua.operations import Operations
from b2bua.store import Kind, Store, Write
from tests.support.b2bua_world import World
from tests.support.store_backends import BackendDouble, Connection, PatientWorker, as_backend


def as_object(value: object) -> JsonObject:
    """A JSON object."""
    assert isinstance(value, dict)
    return value


def as_objects(value: object) -> list[JsonObject]:
    """A list of JSON objects."""
    assert isinstance(value, list)
    return value


class Nobody:
    """Takes no records."""

    def write(self, record: CallRecord) -> None:
        """Forget it."""


class Keeping:
    """A store, and the operations of the API, behind the calls of a world; those of the process that there is.
    `backend` is what outlives it."""

    def __init__(self, world: World) -> None:
        self.backend = BackendDouble()
        self.open_store()
        self.operate(world.registry)
        forget = world.write

        def write(record: CallRecord) -> None:
            forget(record)
            self.operations.write(record)

        world.write = write  # type: ignore[method-assign]

    def open_store(self) -> None:
        """As a process does that starts: over what is there, of which it knows nothing yet."""
        self.worker = PatientWorker()
        self._connection = Connection(self.backend)
        self.store = Store(as_backend(self._connection), "sqlite", worker=self.worker)  # type: ignore[arg-type]
        self.store.start()

    def operate(self, registry: CallRegistry) -> None:
        """Stand behind the calls of a process."""
        history = History(self.store, "node-1", lambda: 3600.0)
        self.operations = Operations(Nobody(), self.store, history, Journal(self.store), reload=None)  # type: ignore[arg-type]
        self.operations.registry = registry
        registry.on_handoff = self.operations.remember
        registry.services.feed.listen(self.operations, [HandoffChanged])

    def cut(self) -> None:
        """The process was killed: what it has not written is lost."""
        self._connection.cut()

    async def written(self) -> list[Write]:
        """Everything that was written so far, in order."""
        await asyncio.sleep(0.1)
        return [write for batch in self.backend.batches for write in batch]

    async def flag(self, call_id: str) -> bool:
        """Whether a transfer of the call is under way, for everybody who looks."""
        await asyncio.sleep(0.1)
        return (Kind.TRANSFER, call_id) in self.backend.documents
