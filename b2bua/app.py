"""The server: puts stack, media, resolver and calls together, starts them, reloads, drains."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from b2bua import runtime
from b2bua.admission import Load, LoopLoad
from b2bua.assembly import build_services, group_of, listening, listens, seal_of
from b2bua.call.clock import CallClock
from b2bua.call.registry import CallRegistry
from b2bua.config import Configuration, ConfigurationWatcher, Position, Problem, ReloadResult
from b2bua.feed import HandoffChanged
from b2bua.garbage import GarbageWatch
from b2bua.history import History
from b2bua.journal import Journal, Recovery
from b2bua.metrics import Sources
from b2bua.operations import Operations
from b2bua.reachability import Pinger
from b2bua.record_writer import RecordWriter
from b2bua.registration import Registrant
from b2bua.store import Store, StoreNotInstalled, open_store
from b2bua.telemetry.logs import get_logger
from b2bua.telemetry.loop_meter import LoopMeter
from b2bua.tls import ExpiryWatch, contexts_of
from b2bua.trace.hep import Collector, HepExporter
from b2bua.webhooks import Outbox, Webhooks
from media.engine import MediaError
from sip_stack.aio.resolver import Resolver
from sip_stack.aio.tls_contexts import TlsContexts, TlsFileError
from sip_stack.errors import SipError
from sip_stack.message import format_host_port

if TYPE_CHECKING:
    from b2bua.http_api import ApiServer
    from b2bua.webhooks.sender import Sender

RELOAD_INTERVAL = 2.0
"""Seconds between looks at the configuration files. By content, so that renames and mounts are seen too."""

FAREWELL = 2.0
"""Seconds that the last BYEs get to be answered before the sockets close."""


class StartError(Exception):
    """The server cannot start: an address is taken, a folder cannot be written."""


class Application:
    """One B2BUA process, from start to the end of its drain."""

    _loop: asyncio.AbstractEventLoop

    def __init__(
        self, configuration: Configuration, *, drain_seconds: float = 30.0, warm_up_seconds: float = 0.0
    ) -> None:
        """Call with a running loop. Nothing is opened yet. Raises `StartError` when a library is missing that the
        configuration needs."""
        self.configuration = configuration
        self._drain_seconds = drain_seconds
        self._warm_up_seconds = warm_up_seconds
        self._watcher = ConfigurationWatcher(configuration)
        self._log = get_logger()
        self._stop = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._expiry = ExpiryWatch()
        self._records = RecordWriter(configuration.records.cdr)
        self._store = self._configured_store()
        history = History(
            self._store,
            configuration.node or socket.gethostname(),
            lambda: self.configuration.context_ttl,
            asked=configuration.api is not None or configuration.store.kind == "redis",
        )
        self._journal = Journal(self._store)
        self._outbox = Outbox(self._store)
        self._operations = Operations(self._records, self._store, history, self._journal, self.reload)
        # Without an API nobody could read what is kept of calls beyond their records.
        kept = configuration.api is not None
        self._records.on_settled = self._note_recorded
        self._services = build_services(
            lambda: self.configuration, self._operations if kept else self._records, self._journal
        )
        self.registry = self._operations.registry = CallRegistry(self._services, configuration)
        self._recovery = Recovery(
            self._services,
            self._journal,
            history,
            self._records,
            lambda: self.configuration,
            self.registry.go_on,
            lambda *told: self._webhooks.go_on(*told),
        )
        if kept:
            self.registry.on_handoff = self._operations.remember
            self._services.feed.listen(self._operations, [HandoffChanged])
        self._operations.begin_drain = self.drain
        self._pinger = Pinger(self._services)
        self._registrant = Registrant(self._services)
        self._webhooks = Webhooks(
            self._services.feed,
            lambda: self.configuration.webhooks,
            self.registry.record_of,
            self._open_sender,
            self._outbox,
        )
        self._api: ApiServer | None = None
        self._reloading = asyncio.Lock()
        self._loop_meter = LoopMeter()
        self._hep = self._configured_hep()
        endpoint = self._services.stack.endpoint
        self._garbage = GarbageWatch(lambda: len(self.registry.calls), lambda: endpoint.transaction_count)
        self._loop_load = LoopLoad(self._measured, kept_up=self._services.stack.kept_up)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises `StartError`; prints the ready line on stdout."""
        self._handle_signals()
        if self._warm_up_seconds:
            await self._warm_up()
            if self._stop.is_set():
                self._log.info("stopped")
                return
        addresses = await self._start()
        watcher = asyncio.create_task(self._watch(), name="configuration watcher")
        try:
            sys.stdout.write(f"ready {addresses}\n")
            sys.stdout.flush()
            self._log.info("ready", listening=addresses, node=self._services.node)
            await self._stop.wait()
            self._log.info("draining", calls=len(self.registry.calls), seconds=self._drain_seconds)
            # New calls are refused: let the trunks send them elsewhere.
            await self._registrant.close(FAREWELL)
            await self.registry.drain(self._drain_seconds)
            await self._services.stack.settle(FAREWELL)
            await self._webhooks.close(FAREWELL)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
            await self._close()
        self._log.info("stopped")

    async def _warm_up(self) -> None:
        # Imported here: who does not ask for it need not pay for it.
        from b2bua.warm_up.rehearsal import warm_up

        store = self._configured_store()
        warming = asyncio.create_task(warm_up(self.configuration, self._warm_up_seconds, store))
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([warming, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (warming, stopped):
                each.cancel()
            await asyncio.gather(warming, stopped, return_exceptions=True)

    def stop(self) -> None:
        """Begin the drain; a second time: end at once."""
        if self._stop.is_set():
            self.registry.end_all()
        self.drain()

    def drain(self) -> float:
        """Refuse new calls, let the running ones end, and then end; once begun, it goes on. The seconds they get."""
        self.registry.draining = True
        self._stop.set()
        return self._drain_seconds

    def _note_recorded(self, call_ids: list[str]) -> None:
        """Called by the thread of the records."""
        with suppress(RuntimeError):  # The loop has ended: the next process finds what it has to find.
            self._loop.call_soon_threadsafe(self._journal.recorded, call_ids)

    def _measured(self, load: Load, now: float) -> None:
        self._loop_meter.measured(load)
        self.registry.trunks.doorkeeper.measured(load, now)

    async def _start(self) -> str:
        """Open what is needed, in the order in which a failure costs least. Returns what we listen on."""
        self._loop = asyncio.get_running_loop()
        try:
            self._start_records()
            self._store.start()
            if self._hep is not None:
                self._hep.start(CallClock(self._services.now()))
            await self._services.engine.start()
            self._load_prompts(self.configuration)
            self._services.stack.tls = contexts_of(self.configuration)
            if self._store.has_backend:
                self._journal.seal = self._outbox.seal = seal_of(self.configuration)
                self._services.stack.endpoint.await_sessions()
            # Before the listeners: what is received while nobody is told of it would never be answered.
            api = await self._start_api()
            self._webhooks.start()
            self._services.stack.on_event = self.registry.deliver
            self._services.stack.endpoint.gate = self.registry.trunks.doorkeeper
            bound = await self._services.stack.start(listens(self.configuration))
        except StartError:
            await self._close()
            raise
        except (OSError, MediaError, SipError) as error:
            await self._close()
            raise StartError(str(error)) from error
        self._pinger.follow(self.configuration)
        self._registrant.follow(self.configuration)
        runtime.settle()
        self._garbage.start()
        group = group_of(self.configuration, bound)
        self._journal.open(group)
        self._outbox.open(group)
        self._webhooks.catch_up()
        self._recovery.start()
        # Last: what a start takes of the loop is no reason to refuse the first calls.
        self._loop_load.start()
        sip = f"sip={listening(bound)}"
        return f"{sip} api={api}" if api else sip

    def _start_records(self) -> None:
        try:
            self._records.start()
        except OSError as error:
            where = self.configuration.records.cdr
            raise StartError(f"records.cdr {where}: cannot be written: {error.strerror}") from error

    def _configured_store(self) -> Store:
        try:
            return open_store(self.configuration.store)
        except StoreNotInstalled as error:
            raise StartError(str(error)) from None

    def _configured_hep(self) -> HepExporter | None:
        """What sends the messages of calls to a collector, where one is configured."""
        hep, trace = self.configuration.telemetry.hep, self._services.trace
        if hep is None or trace is None:
            return None
        password = "" if hep.password is None else hep.password.get_secret_value()
        collector = Collector(hep.address, hep.capture_id, password, self._services.node)
        exporter = HepExporter(collector)
        trace.tell = exporter.hear
        return exporter

    async def _start_api(self) -> str:
        """Open the HTTP API where one is configured; returns its address."""
        configured = self.configuration.api
        if configured is None:
            return ""
        # Imported here: FastAPI takes 45 MB and 0.4 s that a B2BUA without an API need not pay.
        from b2bua.http_api import ApiServer, ApiStartError
        from b2bua.metrics.exposition import Exposition

        self._operations.exposition = Exposition(
            Sources(
                self.registry,
                self._records,
                self._webhooks,
                self._loop_meter,
                lambda: self._store.status,
                self._hep,
            )
        )
        self._api = ApiServer(configured.listen, configured.keys, self._operations)
        try:
            return format_host_port(*await self._api.start())
        except ApiStartError as error:
            raise StartError(str(error)) from error

    def _load_prompts(self, configuration: Configuration) -> None:
        """Load the sound files that are not loaded yet. Raises `MediaError` when one cannot be read."""
        for path in (*configuration.hold_music_files(), *configuration.whisper_files()):
            if path not in self._services.prompts:
                self._services.prompts[path] = self._services.engine.load_prompt(path)

    def _open_sender(self) -> Sender:
        """What sends webhooks."""
        # Imported here: a B2BUA that sends none need not pay for it.
        from b2bua.webhooks.http_sender import HttpSender

        return HttpSender(
            Resolver(), lambda host, address: self.configuration.webhooks.may_reach(host, address)
        )

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up_signal)

    def _hang_up_signal(self) -> None:
        self._records.reopen()
        self._reload_asked.set()

    async def reload(self) -> ReloadResult:
        """Take the edited configuration for new calls; a bad one changes nothing and is reported."""
        async with self._reloading:  # the watcher, SIGHUP and the API may all ask at once
            result = await asyncio.to_thread(self._watcher.reload)
            if result.configuration is not None:
                result = await self._with_prompts(result.configuration, result)
            tls, result = await self._with_tls(result)
            for problem in result.problems:
                self._log.error("configuration_error", problem=str(problem))
            if result.configuration is not None:
                self._take(result.configuration, result.restart_needed)
                # Without a certificate any more, a listener that only a restart closes keeps what it has.
                self._services.stack.tls = tls or self._services.stack.tls
        return result

    async def _with_prompts(self, configuration: Configuration, result: ReloadResult) -> ReloadResult:
        """The result once its sound files are loaded; a failed one when a file cannot be read."""
        try:
            await asyncio.to_thread(self._load_prompts, configuration)
        except MediaError as error:
            where = Position(str(configuration.origin.path))
            return ReloadResult(None, (Problem(where, "hold_music or whisper", str(error)),))
        return result

    async def _with_tls(self, result: ReloadResult) -> tuple[TlsContexts | None, ReloadResult]:
        """The certificates of the new configuration, or a failed result when they were changed meanwhile."""
        if result.configuration is None:
            return None, result
        try:
            return await asyncio.to_thread(contexts_of, result.configuration), result
        except TlsFileError as error:
            problem = Problem(Position(error.file), "sip.tls", str(error))
            return None, ReloadResult(None, (problem,))

    def _take(self, configuration: Configuration, restart_needed: Iterable[str]) -> None:
        for key in restart_needed:
            self._log.warning("restart_needed", key=key)
        for warning in configuration.warnings:
            self._log.warning("configuration_warning", problem=str(warning))
        self.configuration = self.registry.configuration = configuration
        self._services.stack.forget_flows()
        self._pinger.follow(configuration)
        self._registrant.follow(configuration)
        if self._api is not None and configuration.api is not None:
            self._api.replace_keys(configuration.api.keys)
        self._log.info("configuration_reloaded", destinations=len(configuration.destinations))

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(RELOAD_INTERVAL):
                    await self._reload_asked.wait()
            except TimeoutError:
                pass
            self._expiry.look(self.configuration.certificates)
            asked = self._reload_asked.is_set()
            self._reload_asked.clear()
            try:
                # In a thread: a thousand destinations take a third of a second to read.
                if asked or await asyncio.to_thread(self._watcher.changed):
                    await self.reload()
            except Exception:
                # A defect of the watcher must not take the running calls with it.
                self._log.exception("reload_failed")

    async def _close(self) -> None:
        self._loop_load.stop()
        self._garbage.stop()
        await self._recovery.close()
        self._journal.close()
        await self._pinger.close()
        await self._registrant.close(0.0)
        if self._api is not None:
            await self._api.close()
        await self._services.stack.close()
        await self._services.engine.close()
        await self._services.resolver.close()
        # What is recorded is struck out in the store.
        await asyncio.to_thread(self._records.close, FAREWELL)
        await self._store.close(FAREWELL)
        if self._hep is not None:
            await asyncio.to_thread(self._hep.close, FAREWELL)
