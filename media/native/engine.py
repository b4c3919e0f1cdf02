"""The default engine: the event loop's owner of the Rust core (`media._native`).

Decides nothing about packets. It turns values into commands for the worker threads and their events into
calls of `on_event` on the loop. Worker threads never take the GIL; they wake the loop through one
descriptor.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from media import _native
from media.engine import MediaError, Ringback
from media.events import OnMediaEvent
from media.native.call import NativeCall, Registry
from media.native.core import EventName, asked
from media.native.prompt import NativePrompt

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NativeSettings:
    """What the engine needs to know once."""

    address: str = "127.0.0.1"
    """IP address to bind; `0.0.0.0`, or `::` for both families."""
    ports: tuple[int, int] = (16384, 32767)
    """Lowest and highest UDP port, both included; (0, 0) takes any the system has."""
    quarantine: float = 2.0
    """Seconds a released port pair rests, so that a finished call's late packets reach nobody."""
    workers: int = 1
    """Media threads. One carries thousands of legs; more than the machine has cores gains nothing."""
    receive_buffer: int = 65536
    """SO_RCVBUF of each socket in octets: how much a stall of ours may pile up (about a second of audio)."""
    dscp: int = 46
    """Differentiated services code point of RTP and RTCP, 0..63 (RFC 4594: 46 is expedited forwarding)."""
    gather: float = 0.00025
    """Seconds from one look of a busy worker at its sockets to the next: the most that a packet waits. Waking up is
    dearer than relaying, so at a few hundred calls this saves half of a packet's cost. 0 turns it off."""


class NativeEngine:
    """`media.engine.Engine` over the Rust core."""

    def __init__(self, settings: NativeSettings) -> None:
        self._settings = settings
        self._core: _native.Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ringbacks: dict[Ringback, NativePrompt] = {}
        self._registry = Registry()

    @property
    def capacity(self) -> int:
        """Port pairs in all."""
        return self._running().capacity

    @property
    def free_ports(self) -> int:
        """Port pairs that can be opened now."""
        return self._running().free_ports

    async def start(self) -> None:
        """Starts the workers on the running loop. Raises `MediaError` when started twice or unable to
        bind."""
        if self._core is not None:
            raise MediaError("the media engine is already started")
        low, high = self._settings.ports
        self._core = asked(
            _native.Engine,
            self._settings.address,
            low,
            high,
            self._settings.quarantine,
            self._settings.workers,
            self._settings.receive_buffer,
            self._settings.gather,
            self._settings.dscp,
        )
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._core.fileno(), self._drain)

    def open_call(self, on_event: OnMediaEvent) -> NativeCall:
        """A call without legs, on the worker with the fewest."""
        core = self._running()
        return NativeCall(core, asked(core.open_call), on_event, self._registry, self._settings.address)

    def load_prompt(self, path: Path) -> NativePrompt:
        """Reads a WAV file. Blocks for as long as that takes, without the GIL: call it in a thread."""
        return NativePrompt(asked(_native.Prompt.load, path))

    def ringback(self, country: Ringback = Ringback.US) -> NativePrompt:
        """The ringing tone of a country, each made once."""
        if country not in self._ringbacks:
            self._ringbacks[country] = NativePrompt(_native.Prompt.ringback(country))
        return self._ringbacks[country]

    def digits(self, text: str) -> NativePrompt:
        """Digits to be sent, as events or as tones."""
        return NativePrompt(asked(_native.Prompt.digits, text))

    async def close(self) -> None:
        """Closes every call, ends the threads and frees every port."""
        core, loop = self._core, self._loop
        if core is None or loop is None:
            return
        self._core = self._loop = None
        loop.remove_reader(core.fileno())
        for call in self._registry.open_calls():
            call.close()
        await loop.run_in_executor(None, core.close)

    def _running(self) -> _native.Engine:
        if self._core is None:
            raise MediaError("the media engine is not running")
        return self._core

    def _drain(self) -> None:
        if self._core is not None:
            self.deliver(self._core.drain())

    def deliver(self, events: list[tuple[EventName, int, str, int]]) -> None:
        """Hands events of the core to the calls they belong to: name, leg, worker or recording, digit or error,
        duration in ms."""
        for name, number, digit, duration_ms in events:
            if name == "worker_lost":
                self._lose(number)
            elif name == "recording_ended":
                self._registry.recordings.pop(number).deliver(digit)
            elif (leg := self._registry.leg(number)) is not None:
                leg.deliver(name, digit, duration_ms)

    def _lose(self, worker: int) -> None:
        _log.error("media worker lost", extra={"worker": worker})
        for call in self._registry.open_calls():
            if call.worker == worker:
                call.lose("a media worker failed")
