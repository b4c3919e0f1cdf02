"""The server: puts stack, media, resolver and calls together, starts them, reloads, drains."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from contextlib import suppress

from b2bua import __version__
from b2bua.call.registry import CallRegistry
from b2bua.call.services import Records, Services
from b2bua.config import Configuration, ConfigurationWatcher
from b2bua.record_writer import RecordWriter
from b2bua.telemetry.logs import get_logger
from media.engine import MediaError
from media.native import NativeEngine, NativeSettings
from sip_stack.aio.advertise import AdvertisedAddresses
from sip_stack.aio.network import Listen
from sip_stack.aio.resolver import Resolver
from sip_stack.aio.stack import SipStack
from sip_stack.errors import SipError
from sip_stack.message import format_host_port
from sip_stack.settings import EndpointSettings

RELOAD_INTERVAL = 2.0
"""Seconds between looks at the configuration files. By content, so that renames and mounts are seen too."""

FAREWELL = 2.0
"""Seconds that the last BYEs get to be answered before the sockets close."""


def build_services(configuration: Configuration, records: Records) -> Services:
    """Stack, engine and resolver for this configuration; nothing is opened yet."""
    sip, media = configuration.sip, configuration.media
    advertise = AdvertisedAddresses(
        sip.advertise.get("default"),
        {peers: address for peers, address in sip.advertise.items() if peers != "default"},
    )
    families = sorted({6 if ":" in where.host else 4 for where in sip.listen})
    settings = NativeSettings(address=media.address, ports=(media.ports.first, media.ports.last))
    return Services(
        stack=SipStack(EndpointSettings(user_agent=f"b2bua/{__version__}"), advertise=advertise),
        engine=NativeEngine(settings),
        resolver=Resolver(families=families),
        records=records,
        node=socket.gethostname(),
    )


def listens(configuration: Configuration) -> list[Listen]:
    """What `sip.listen` asks for, in the stack's words."""
    return [Listen(where.transport, where.host, where.port) for where in configuration.sip.listen]


async def say_goodbye(services: Services) -> None:
    """Wait until the far ends have answered our last requests, or `FAREWELL` has passed."""
    deadline = services.now() + FAREWELL
    while services.stack.endpoint.session_count and services.now() < deadline:
        await asyncio.sleep(0.02)


class StartError(Exception):
    """The server cannot start: an address is taken, a folder cannot be written."""


class Application:
    """One B2BUA process, from start to the end of its drain."""

    def __init__(self, configuration: Configuration, *, drain_seconds: float = 30.0) -> None:
        self.configuration = configuration
        self._drain_seconds = drain_seconds
        self._watcher = ConfigurationWatcher(configuration)
        self._log = get_logger()
        self._stop = asyncio.Event()
        self._records = RecordWriter(configuration.records.cdr)
        self._services = build_services(configuration, self._records)
        self.registry = CallRegistry(self._services, configuration)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises `StartError`; prints the ready line on stdout."""
        listening = await self._start()
        self._handle_signals()
        watcher = asyncio.create_task(self._watch(), name="configuration watcher")
        try:
            sys.stdout.write(f"ready sip={','.join(listening)}\n")
            sys.stdout.flush()
            self._log.info("ready", sip=listening, node=self._services.node)
            await self._stop.wait()
            self._log.info("draining", calls=len(self.registry.calls), seconds=self._drain_seconds)
            await self.registry.drain(self._drain_seconds)
            await say_goodbye(self._services)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
            await self._close()
        self._log.info("stopped")

    def stop(self) -> None:
        """Begin the drain; a second time: end at once."""
        if self._stop.is_set():
            self.registry.end_all()
        self._stop.set()

    async def _start(self) -> list[str]:
        """Open what is needed, in the order in which a failure costs least. Returns what we listen on."""
        try:
            self._records.start()
            await self._services.engine.start()
            bound = await self._services.stack.start(listens(self.configuration))
        except (OSError, MediaError, SipError) as error:
            await self._close()
            raise StartError(str(error)) from error
        self._services.stack.on_event = self.registry.deliver
        self._services.stack.endpoint.admits = self.registry.admits
        # What lives for the whole run need not be looked at by every collection.
        gc.collect()
        gc.freeze()
        return [f"{where.transport}:{format_host_port(where.host, where.port)}" for where in bound]

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up_signal)

    def _hang_up_signal(self) -> None:
        self._records.reopen()
        self.reload()

    def reload(self) -> bool:
        """Take the edited configuration for new calls; a bad one changes nothing and is reported. True when taken."""
        result = self._watcher.reload()
        for problem in result.problems:
            self._log.error("configuration_error", problem=str(problem))
        if result.configuration is None:
            return False
        for key in result.restart_needed:
            self._log.warning("restart_needed", key=key)
        self.configuration = self.registry.configuration = result.configuration
        self._log.info("configuration_reloaded", destinations=len(result.configuration.destinations))
        return True

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_INTERVAL)
            if self._watcher.changed():
                self.reload()

    async def _close(self) -> None:
        await self._services.stack.close()
        await self._services.engine.close()
        await self._services.resolver.close()
        await asyncio.to_thread(self._records.close, FAREWELL)
