"""The default engine: the event loop's owner of the Rust core (`media._native`).

Decides nothing about packets. It turns values into commands for the worker threads and their events into
calls of `on_event` on the loop. Worker threads never take the GIL; they wake the loop through one
descriptor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar
from weakref import WeakSet, WeakValueDictionary

from media import _native
from media.engine import (
    Address,
    AnswerJudged,
    Codec,
    DtmfDigit,
    EngineLost,
    FirstPacket,
    Latching,
    LegStatistics,
    MachineSign,
    MediaCall,
    MediaError,
    MediaEvent,
    MediaLeg,
    MediaTimeout,
    OnMediaEvent,
    PortsExhausted,
    Prompt,
    PromptEnded,
    Quiet,
    Ringback,
    StreamParameters,
    Switched,
)

_log = logging.getLogger(__name__)

_T = TypeVar("_T")

EventName = Literal[
    "first_packet",
    "media_timeout",
    "digit",
    "tone_digit",
    "switched",
    "quiet",
    "prompt_ended",
    "answer_judged",
    "worker_lost",
]
"""What the core calls its events."""


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
    gather: float = 0.00015
    """Seconds a busy worker lets packets gather before it takes the next few: adds at most this much latency and
    halves the cost of a packet at a few hundred calls, where waking up is dearer than relaying. 0 turns it off."""


class NativeEngine:
    """`media.engine.Engine` over the Rust core."""

    def __init__(self, settings: NativeSettings) -> None:
        self._settings = settings
        self._core: _native.Engine | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ringbacks: dict[Ringback, NativePrompt] = {}
        self._legs: WeakValueDictionary[int, NativeLeg] = WeakValueDictionary()
        self._calls: WeakSet[NativeCall] = WeakSet()

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
        self._core = _asked(
            lambda: _native.Engine(
                self._settings.address,
                low,
                high,
                self._settings.quarantine,
                self._settings.workers,
                self._settings.receive_buffer,
                self._settings.gather,
                self._settings.dscp,
            )
        )
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._core.fileno(), self._drain)

    def open_call(self, on_event: OnMediaEvent) -> NativeCall:
        """A call without legs, on the worker with the fewest."""
        core = self._running()
        call = NativeCall(core, _asked(core.open_call), on_event, self._legs)
        self._calls.add(call)
        return call

    def load_prompt(self, path: Path) -> NativePrompt:
        """Reads a WAV file. Blocks for as long as that takes, without the GIL: call it in a thread."""
        return NativePrompt(_asked(lambda: _native.Prompt.load(path)))

    def ringback(self, country: Ringback = Ringback.US) -> NativePrompt:
        """The ringing tone of a country, each made once."""
        if country not in self._ringbacks:
            self._ringbacks[country] = NativePrompt(_native.Prompt.ringback(country))
        return self._ringbacks[country]

    def digits(self, text: str) -> NativePrompt:
        """Digits to be sent, as events or as tones."""
        return NativePrompt(_asked(lambda: _native.Prompt.digits(text)))

    async def close(self) -> None:
        """Closes every call, ends the threads and frees every port."""
        core, loop = self._core, self._loop
        if core is None or loop is None:
            return
        self._core = self._loop = None
        loop.remove_reader(core.fileno())
        for call in list(self._calls):
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
        """Hands events of the core to the calls they belong to: name, leg or worker, digit, duration in ms."""
        for name, number, digit, duration_ms in events:
            if name == "worker_lost":
                self._lose(number)
                continue
            leg = self._legs.get(number)
            if leg is not None:
                leg.deliver(name, digit, duration_ms)

    def _lose(self, worker: int) -> None:
        _log.error("media worker lost", extra={"worker": worker})
        for call in list(self._calls):
            if call.worker == worker:
                call.lose("a media worker failed")


class NativeCall:
    """`media.engine.MediaCall`: the legs of one call, all on one worker."""

    def __init__(
        self,
        core: _native.Engine,
        link: _native.Call,
        on_event: OnMediaEvent,
        registry: WeakValueDictionary[int, NativeLeg],
    ) -> None:
        self._core = core
        self._link = link
        self._on_event = on_event
        self._registry = registry
        self._legs: list[NativeLeg] = []
        self._open = True

    @property
    def worker(self) -> int:
        """Number of the worker that owns the legs."""
        return self._link.worker

    def open_leg(self, role: str, latching: Latching = Latching.AUTO) -> NativeLeg:
        """Binds a port pair for a new leg."""
        if not self._open:
            raise MediaError("the call is closed")
        leg = NativeLeg(_asked(lambda: self._core.open_leg(self._link, latching)), role, self._on_event)
        self._registry[leg.core.id] = leg
        self._legs.append(leg)
        return leg

    def bridge(self, a: MediaLeg, b: MediaLeg) -> None:
        """`a` and `b` hear each other and nobody else."""
        first, second = self._own(a), self._own(b)
        if first is second:
            raise MediaError("a leg cannot be bridged with itself")
        if first.is_open and second.is_open:
            _asked(lambda: first.core.bridge(second.core))

    def hear(self, listener: MediaLeg, source: MediaLeg | Prompt | None, *, loop: bool = True) -> None:
        """`listener` hears another leg, a prompt, or silence in time."""
        leg = self._own(listener)
        if source is None:
            _asked(leg.core.hear_silence)
        elif isinstance(source, NativePrompt):
            core = source.core
            _asked(lambda: leg.core.play(core, loop))
        elif isinstance(source, NativeLeg):
            other = self._other(leg, source)
            if leg.is_open and other.is_open:
                _asked(lambda: leg.core.hear(other.core))
        else:
            raise MediaError("neither a leg of this call nor a prompt of this engine")

    def hear_when_heard(self, listener: MediaLeg, source: MediaLeg, *, within_ms: int = 500) -> None:
        """`listener` hears `source` from its next packet on, silence in time after `within_ms`."""
        leg = self._own(listener)
        other = self._other(leg, source)
        if leg.is_open and other.is_open:
            _asked(lambda: leg.core.hear_when_heard(other.core, within_ms / 1000))

    def mix(self, listener: MediaLeg, one: MediaLeg, other: MediaLeg) -> None:
        """`listener` hears both of the others."""
        leg = self._own(listener)
        first, second = self._other(leg, one), self._other(leg, other)
        if first is second:
            raise MediaError("a leg cannot be mixed with itself")
        if leg.is_open and first.is_open and second.is_open:
            _asked(lambda: leg.core.mix(first.core, second.core))

    def adopt(self, leg: MediaLeg, former: MediaCall) -> None:
        """Takes a leg over from another call; on another worker, this waits for that worker."""
        if not isinstance(former, NativeCall):
            raise MediaError("a call of another engine")
        own = former._own(leg)
        if not self._open or not own.is_open:
            raise MediaError("the call or the leg is closed")
        if former is self:
            return
        _asked(lambda: own.core.move_to(self._link))
        if former.worker == self.worker:
            _asked(own.core.unbridge)
        former._legs.remove(own)
        self._legs.append(own)
        own.deliver_to(self._on_event)

    def _other(self, listener: NativeLeg, source: MediaLeg) -> NativeLeg:
        other = self._own(source)
        if other is listener:
            raise MediaError("a leg cannot hear itself")
        return other

    def unbridge(self, leg: MediaLeg) -> None:
        """`leg` hears nobody and nobody hears it."""
        _asked(self._own(leg).core.unbridge)

    def close_leg(self, leg: MediaLeg) -> None:
        """Stops a leg and gives its ports back."""
        self._own(leg).close()

    def close(self) -> None:
        """Closes every leg. Who hears of events is forgotten, as it most often holds this call."""
        self._open = False
        self._on_event = _nobody
        for leg in self._legs:
            leg.close()

    def lose(self, reason: str) -> None:
        """The worker is gone: tells the call once and closes what is left of it."""
        if self._open:
            on_event = self._on_event
            self.close()
            on_event(EngineLost(reason))

    def _own(self, leg: MediaLeg) -> NativeLeg:
        for own in self._legs:
            if own is leg:
                return own
        raise MediaError("the leg belongs to another call")


class NativePrompt:
    """`media.engine.Prompt`."""

    def __init__(self, core: _native.Prompt) -> None:
        self.core = core

    @property
    def duration_ms(self) -> int:
        """Its length."""
        return self.core.duration_ms


class NativeLeg:
    """`media.engine.MediaLeg`."""

    def __init__(self, core: _native.Leg, role: str, on_event: OnMediaEvent) -> None:
        self.core = core
        self._role = role
        self._on_event = on_event
        self.is_open = True

    @property
    def role(self) -> str:
        """What it is in the call."""
        return self._role

    @property
    def local_address(self) -> Address:
        """Bound address and even RTP port."""
        return self.core.local_address

    @property
    def ssrc(self) -> int:
        """The SSRC of what this leg sends, until it is given a new SRTP key."""
        return self.core.ssrc

    def set_remote(self, parameters: StreamParameters) -> None:
        """Takes what the peer agreed to."""
        keys = parameters.keys
        _asked(
            lambda: self.core.set_remote(
                parameters.remote,
                parameters.remote_rtcp,
                parameters.codec,
                parameters.payload_type,
                parameters.telephone_event,
                parameters.receive_telephone_event,
                parameters.send,
                parameters.receive,
                parameters.rtcp_mux,
                parameters.comfort_noise,
                (keys.suite, keys.local, keys.remote, keys.remote_mki_octets) if keys else None,
            )
        )

    def set_media_timeout(self, seconds: float | None) -> None:
        """Watches for silence on the wire from now on, or stops watching."""
        _asked(lambda: self.core.set_media_timeout(seconds))

    def watch_silence(self, quiet_ms: int | None) -> None:
        """Reports `Quiet` once the peer has been silent for so long; None stops watching."""
        if quiet_ms is not None and quiet_ms < 20:
            raise MediaError("shorter than a packet")
        _asked(lambda: self.core.watch_silence(None if quiet_ms is None else quiet_ms / 1000))

    def listen_for_keys(self, wanted: bool) -> None:
        """Reports keys that come as tones, or no more."""
        _asked(lambda: self.core.listen_for_keys(wanted))

    def judge_answer(self, sign: MachineSign | None) -> None:
        """Reports once who answered."""
        _asked(lambda: self.core.judge_answer(sign))

    def statistics(self) -> LegStatistics:
        """The counters as they are now."""
        counters = self.core.statistics()
        return LegStatistics(
            codec=None if counters.codec is None else Codec(counters.codec),
            packets_in=counters.packets_in,
            packets_out=counters.packets_out,
            octets_in=counters.octets_in,
            octets_out=counters.octets_out,
            lost=counters.lost,
            late=counters.late,
            duplicates=counters.duplicates,
            jitter_ms=round(counters.jitter_ms, 3),
            longest_gap_ms=counters.longest_gap_ms,
            foreign=counters.foreign,
            malformed=counters.malformed,
            unauthenticated=counters.unauthenticated,
            replayed=counters.replayed,
            dropped=counters.dropped,
            rtcp_in=counters.rtcp_in,
            rtcp_out=counters.rtcp_out,
            remote_lost=counters.remote_lost,
            remote_jitter_ms=counters.remote_jitter_ms,
            round_trip_ms=counters.round_trip_ms,
        )

    def deliver_to(self, on_event: OnMediaEvent) -> None:
        """Tell somebody else of its events from now on."""
        self._on_event = on_event

    def close(self) -> None:
        """Stops the leg; its counters stay readable."""
        self.is_open = False
        self._on_event = _nobody
        self.core.close()

    def deliver(self, name: EventName, digit: str, duration_ms: int) -> None:
        """Hands an event of the core to the call; a closed leg has none."""
        is_digit = name in ("digit", "tone_digit")
        if is_digit:
            self.core.digit_delivered()
        if not self.is_open:
            return
        if is_digit:
            self._on_event(DtmfDigit(self, digit, duration_ms, in_band=name == "tone_digit"))
        elif name == "first_packet":
            self._on_event(FirstPacket(self))
        elif name == "media_timeout":
            self._on_event(MediaTimeout(self))
        elif name == "switched":
            self._on_event(Switched(self, heard=bool(duration_ms)))
        elif name == "quiet":
            self._on_event(Quiet(self))
        elif name == "answer_judged":
            self._on_event(AnswerJudged(self, machine=bool(duration_ms)))
        elif name == "prompt_ended":
            self._on_event(PromptEnded(self))


def _nobody(event: MediaEvent) -> None:
    """Hears the events of what is closed."""


def _asked(command: Callable[[], _T]) -> _T:
    """Runs a command of the core and gives its errors the contract's names."""
    try:
        return command()
    except _native.Exhausted as error:
        raise PortsExhausted(str(error)) from None
    except (ValueError, OverflowError, OSError, RuntimeError) as error:
        raise MediaError(str(error)) from error
