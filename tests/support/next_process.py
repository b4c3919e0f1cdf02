"""The process of a world is killed, and another one starts: same address, same store, same media engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace

from b2bua.call.counters import CallCounters
from b2bua.call.outgoing import OutgoingCalls
from b2bua.call.record import CallRecord, JsonObject
from b2bua.call.registry import CallRegistry
from b2bua.call.services import METHODS, SUPPORTED
from b2bua.feed import Feed
from b2bua.history import History
from b2bua.journal import Journal, Recovery
from b2bua.journal.entry import JournalEntry
from b2bua.journal.seal import Seal
from b2bua.operations import Operations
from b2bua.store import Store
from b2bua.trace import TraceRing
from b2bua.webhooks import Outbox, Webhooks
from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.settings import EndpointSettings
from tests.support.b2bua_world import B2BUA, World
from tests.support.kept_history import Keeping
from tests.support.store_backends import as_backend
from tests.support.told_application import Application, webhooks_of

OF_A_PROCESS = ("call ", "webhooks ", "recovery")
"""How the names of its tasks begin."""


class _Lines:
    """The record file, for calls that another process began."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def write(self, line: CallRecord) -> None:
        """A call that ended with the process before."""
        self._watched.world.records.append(line)
        self._watched.settle(line.call_id)

    async def find(self, call_ids: Collection[str]) -> dict[str, JsonObject]:
        """As `RecordWriter.find`."""
        records = self._watched.world.records
        return {each.call_id: each.as_json() for each in records if each.call_id in call_ids}


class _Process:
    """What goes out of one process beside SIP, audio and the store; nothing once it `is_dead`."""

    def __init__(self, world: World) -> None:
        self.is_dead = False
        self._world = world

    def write(self, record: CallRecord) -> None:
        """The record of a call that is over."""
        if not self.is_dead:
            self._world.write(record)


class Watched:
    """A journal behind the calls of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keeping = Keeping(world)
        self.seal: Seal | None = None
        """Of every process of the node."""
        self.journal = self.another()
        self.recovery: Recovery | None = None
        self.application: Application | None = None
        self.webhooks: Webhooks | None = None
        self.on_process: Callable[[Feed], None] = lambda feed: None
        """Told of the feed of each process that follows, before it does anything."""
        self._generation = 0
        self._process = _Process(world)
        self._stores: list[Store] = []
        self.strikes = True
        """Whether the process lives long enough to strike out what it has recorded."""
        write = world.write

        def written(record: CallRecord) -> None:
            write(record)
            self.settle(record.call_id)

        world.write = written  # type: ignore[method-assign]
        registry = world.registry
        registry.services = replace(registry.services, journal=self.journal, records=self._process)

    def settle(self, call_id: str) -> None:
        """The record of a call is on the disk."""
        if self.strikes:
            self.journal.recorded([call_id])

    def another(self) -> Journal:
        """That of another process of the same node."""
        journal = Journal(self.keeping.store)
        journal.seal = self.seal
        journal.open("node-1")
        return journal

    def tell(self, application: Application) -> None:
        """Send the webhooks of this process, and of each that follows, to an application."""
        self.application = application
        outbox = Outbox(self.keeping.store)
        outbox.seal = self.seal
        outbox.open("node-1")
        self.webhooks = webhooks_of(self.world, application, outbox)
        self.webhooks.catch_up()

    async def entries(self) -> list[JournalEntry]:
        """What the next process would find now."""
        await asyncio.sleep(0.1)
        return await self.another().left_behind()

    @property
    def recovering(self) -> bool:
        """The process still ends calls that it has found."""
        task = None if self.recovery is None else self.recovery._task
        return task is not None and not task.done()

    def of_another_node(self) -> Operations:
        """The operations of another node that shares the store: it has no calls."""
        keeping, world = self.keeping, self.world
        store = Store(as_backend(keeping.backend), "redis", worker=keeping.worker)  # type: ignore[arg-type]
        store.start()
        self._stores.append(store)
        history = History(store, "node-2", lambda: 3600.0)
        operations = Operations(world, store, history, Journal(store), reload=None)  # type: ignore[arg-type]
        operations.registry = CallRegistry(world.registry.services, world.configuration)
        return operations

    async def kill(self) -> None:
        """End the process without a word, once the journal is written."""
        await asyncio.sleep(0.1)
        await self.kill_now()

    async def kill_now(self) -> None:
        """End it before the next step of anything: what it has not written is lost, and nothing that is left of it in
        memory can send, write, tell or close anything."""
        world, store = self.world, self.keeping.store
        self._process.is_dead = True
        self.keeping.cut()
        self.journal.close()
        world.registry.services.feed._listeners.clear()
        world.media.lose_process()
        tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith(OF_A_PROCESS)]
        for task in tasks:
            task.cancel()
        await world.stack.close()  # Its sockets before anything else has a turn.
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close(1.0)
        self.keeping.open_store()

    async def restart(self, host: str = B2BUA) -> None:
        """Start another one in its place, or elsewhere; it has looked at what was left behind when this returns."""
        world, self._generation = self.world, self._generation + 1
        settings = EndpointSettings(allow=METHODS, supported=SUPPORTED)
        token = world.tokens(f"{B2BUA} {self._generation}")
        world.stack = SipStack(settings, network=world.network.at(host), token=token)
        world.trace = world.stack.tap = TraceRing(4_000_000)
        self.journal, self._process = self.another(), _Process(world)
        services = replace(
            world.registry.services,
            stack=world.stack,
            trace=world.trace,
            journal=self.journal,
            records=self._process,
            feed=Feed(),
            counters=CallCounters(),
            outgoing=OutgoingCalls(),
        )
        registry = world.registry = CallRegistry(services, world.configuration)
        self.keeping.operate(registry)
        self.on_process(services.feed)
        if self.application is not None:
            self.tell(self.application)
        history = History(self.keeping.store, "node-1", lambda: 3600.0)
        self.recovery = Recovery(
            services,
            self.journal,
            history,
            _Lines(self),  # type: ignore[arg-type]
            lambda: world.configuration,
            registry.go_on,
            lambda *told: None if self.webhooks is None else self.webhooks.go_on(*told),
        )
        world.stack.endpoint.await_sessions()
        await world.stack.start([Listen("udp", host, 5060)])
        world.stack.on_event = registry.deliver
        world.stack.endpoint.gate = registry.trunks.doorkeeper
        self.recovery.start()
        assert self.recovery._task is not None, "it has begun"
        self.recovery._task.add_done_callback(self._looked_at)
        await asyncio.sleep(1.0)

    def _looked_at(self, recovery: asyncio.Task[None]) -> None:
        if not recovery.cancelled():
            self.world.media.give_up_orphans()

    async def kill_and_restart(self) -> None:
        """Both."""
        await self.kill()
        await self.restart()

    async def close(self) -> None:
        """Let the store write what waits."""
        if self.recovery is not None:
            await self.recovery.close()
        self.journal.close()
        if self.webhooks is not None:
            await self.webhooks.close(100.0)
        for store in (*self._stores, self.keeping.store):
            await store.close(1.0)
