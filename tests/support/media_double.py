"""A media engine in memory: it keeps what it was told, and fires the events a test asks for.

It behaves as `media.engine` promises (ports run out, bridges are exclusive, closed legs are silent) and
carries no audio. Nothing happens by itself: a test calls what its legs have (`media_leg_double`), and `call.lose()`.
Its ports are never bound.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from media.engine import (
    Address,
    Latching,
    MediaCall,
    MediaError,
    MediaLeg,
    NoAddress,
    PortsExhausted,
    Prompt,
    Ringback,
)
from media.events import (
    EngineLost,
    MediaEvent,
    OnMediaEvent,
    RecordingEnded,
    Switched,
)
from tests.support.media_leg_double import LegDouble, Mixed, Nothing, PromptDouble, RecordingDouble


class CallDouble:
    """A call: its legs in the order opened, closed ones included."""

    def __init__(self, engine: MediaDouble, on_event: OnMediaEvent) -> None:
        self.engine = engine
        self.legs: list[LegDouble] = []
        self.recordings: list[RecordingDouble] = []
        self.heard_late: dict[LegDouble, int] = {}
        """Packets of legs that are known only when all is counted."""
        self.closed = False
        self.orphaned = False
        """The process that opened it was killed: nothing that it says arrives any more."""
        self._on_event = on_event

    def leg(self, role: str) -> LegDouble:
        """The newest leg of a role."""
        return next(leg for leg in reversed(self.legs) if leg.role == role)

    def open_leg(
        self,
        role: str,
        latching: Latching = Latching.AUTO,
        *,
        ipv6: bool = False,
        signalling: str | None = None,
    ) -> LegDouble:
        """As in the contract."""
        if self.closed or self.orphaned or self.engine.closed:
            raise MediaError("closed")
        if ipv6 and self.engine.lacks_ipv6:
            raise NoAddress("no IPv6 address")
        leg = LegDouble(self, role, self.engine.take_port(), latching)
        leg.ipv6 = ipv6
        leg.signalling = signalling
        self.legs.append(leg)
        return leg

    def bridge(self, a: MediaLeg, b: MediaLeg) -> None:
        """As in the contract."""
        first, second = self._own(a), self._own(b)
        if first is second:
            raise MediaError("a leg cannot hear itself")
        if first.closed or second.closed:
            return
        self.unbridge(first)
        self.unbridge(second)
        first.take_source(second)
        second.take_source(first)

    def unbridge(self, leg: MediaLeg) -> None:
        """As in the contract."""
        own = self._own(leg)
        own.take_source(Nothing.NOBODY)
        for other in self.legs:
            if other.source is own:
                other.take_source(Nothing.NOBODY)
            elif isinstance(other.source, Mixed):
                other.source = Mixed(tuple(leg for leg in other.source.legs if leg is not own))
            if other.awaits is own:
                other.awaits = other.within_ms = None

    def hear(self, listener: MediaLeg, source: MediaLeg | Prompt | None, *, loop: bool = True) -> None:
        """As in the contract."""
        own = self._own(listener)
        taken: LegDouble | PromptDouble | Nothing = Nothing.SILENCE
        if isinstance(source, PromptDouble):
            taken = source
        elif source is not None:
            taken = self._other(own, source)
            if taken.closed:
                return
        if not own.closed:
            own.take_source(taken, loop=loop)

    def hear_when_heard(self, listener: MediaLeg, source: MediaLeg, *, within_ms: int = 500) -> None:
        """As in the contract."""
        own = self._own(listener)
        other = self._other(own, source)
        if not own.closed and not other.closed:
            own.awaits, own.within_ms = other, within_ms

    def mix(self, listener: MediaLeg, one: MediaLeg, other: MediaLeg) -> None:
        """As in the contract."""
        own = self._own(listener)
        legs = (self._other(own, one), self._other(own, other))
        if legs[0] is legs[1]:
            raise MediaError("a leg cannot be mixed with itself")
        if not any(leg.closed for leg in (own, *legs)):
            own.take_source(Mixed(legs))

    def adopt(self, leg: MediaLeg, former: MediaCall) -> None:
        """As in the contract."""
        if not isinstance(former, CallDouble):
            raise MediaError("a call of another engine")
        own = former._own(leg)
        if self.closed or self.orphaned or own.closed:
            raise MediaError("closed")
        former.unbridge(own)
        former.legs.remove(own)
        own.call = self
        self.legs.append(own)

    async def take_over(self, identity: str, role: str, latching: Latching = Latching.AUTO) -> MediaLeg:
        """As in the contract; the leg of the other process is gone then."""
        for left in [leg for call in self.engine.calls for leg in call.legs if not leg.closed]:
            if self.engine.outlives and left.identity == identity:
                left.closed = True
                leg = LegDouble(self, role, left.local_address, latching)
                self.legs.append(leg)
                return leg
        raise MediaError("nothing is left behind")

    def record(self, leg: MediaLeg, path: Path) -> RecordingDouble:
        """As in the contract; nothing is written."""
        own = self._own(leg)
        if own.closed or self.engine.records_nothing:
            raise MediaError("cannot be recorded")
        recording = RecordingDouble(self, own, path)
        self.recordings.append(recording)
        return recording

    def close_leg(self, leg: MediaLeg) -> None:
        """As in the contract; the port is free at once."""
        if not self.orphaned:
            self.drop_leg(leg)

    def drop_leg(self, leg: MediaLeg) -> None:
        """It ends, whoever wanted that."""
        own = self._own(leg)
        if not own.closed:
            self.unbridge(own)
            own.closed = True
            self.engine.give_back(own.local_address)

    def close(self) -> None:
        """As in the contract."""
        if self.orphaned:
            return
        for leg in self.legs:
            self.close_leg(leg)
        self.closed = True
        self._on_event = lambda event: None

    def orphan(self) -> None:
        """Its process was killed."""
        self.orphaned = True
        self._on_event = lambda event: None

    def give_up(self) -> None:
        """End what a killed process has left, and nobody has taken over."""
        self.orphaned = False
        self.close()

    async def settle(self) -> None:
        """As in the contract: as long as the engine says, in which `heard_late` comes to be counted."""
        if self.engine.settles_within:
            await asyncio.sleep(self.engine.settles_within)
        for leg, packets in self.heard_late.items():
            leg.counters = replace(leg.counters, packets_in=leg.counters.packets_in + packets)

    def fire(self, event: MediaEvent) -> None:
        """Delivers an event, unless the call or the event's leg is closed."""
        if self.closed:
            return
        if not isinstance(event, EngineLost | RecordingEnded):
            leg = event.listener if isinstance(event, Switched) else event.leg
            if self._own(leg).closed:
                return
        self._on_event(event)

    def lose(self, reason: str = "the test said so") -> None:
        """The engine fails under this call."""
        self.fire(EngineLost(reason))

    def _other(self, listener: LegDouble, source: MediaLeg | Prompt) -> LegDouble:
        if not isinstance(source, LegDouble) or source.call is not self or source is listener:
            raise MediaError("neither another leg of this call nor a prompt of this engine")
        return source

    def _own(self, leg: MediaLeg) -> LegDouble:
        if not isinstance(leg, LegDouble) or leg.call is not self:
            raise MediaError("a leg of another call")
        return leg


class MediaDouble:
    """The engine: `calls` has every call ever opened, `unreadable` the prompt files that are no WAV. Up to `capacity`
    legs at once, even ports upwards."""

    def __init__(self, capacity: int = 1000, host: str = "127.0.0.1", first_port: int = 20_000) -> None:
        self._capacity = capacity
        self._host = host
        self._free = [first_port + 2 * number for number in range(capacity)]
        self.calls: list[CallDouble] = []
        self.unreadable: set[Path] = set()
        self.records_nothing = False
        self.settles_within = 0.0
        """Seconds until all is counted."""
        self.lacks_ipv6 = False
        self.outlives = False
        """Its legs outlive the process that opened them."""
        self.started = False
        self.closed = False

    @property
    def capacity(self) -> int:
        """As in the contract."""
        return self._capacity

    @property
    def free_ports(self) -> int:
        """As in the contract."""
        return len(self._free)

    async def start(self) -> None:
        """As in the contract."""
        self.started = True

    def open_call(self, on_event: OnMediaEvent) -> CallDouble:
        """As in the contract."""
        if self.closed:
            raise MediaError("closed")
        call = CallDouble(self, on_event)
        self.calls.append(call)
        return call

    def lose_process(self) -> None:
        """The process was killed: its calls go on alone where the engine `outlives` it, else end with it."""
        for call in self.calls:
            if not call.closed:
                call.orphan()
        if not self.outlives:
            self.give_up_orphans()

    def give_up_orphans(self) -> None:
        """What nobody has taken over the daemon gives up by itself."""
        for call in self.calls:
            if call.orphaned:
                call.give_up()

    def load_prompt(self, path: Path) -> PromptDouble:
        """As in the contract; no file is read. Two prompts of one path are equal."""
        if path in self.unreadable:
            raise MediaError(f"{path}: not a WAV file")
        return PromptDouble(str(path))

    def ringback(self, country: Ringback = Ringback.US) -> PromptDouble:
        """As in the contract; named `ringback`, those of other countries `ringback uk` and so on."""
        return PromptDouble("ringback" if country is Ringback.US else f"ringback {country}")

    def digits(self, text: str) -> PromptDouble:
        """As in the contract; named `digits` and which."""
        return PromptDouble(f"digits {text}", 200 * len(text))

    async def close(self) -> None:
        """As in the contract."""
        self.give_up_orphans()
        for call in self.calls:
            call.close()
        self.closed = True

    def take_port(self) -> Address:
        """The next free port; raises `PortsExhausted`."""
        if not self._free:
            raise PortsExhausted(f"all {self._capacity} ports are in use")
        return self._host, self._free.pop(0)

    def give_back(self, address: Address) -> None:
        """A port is free again; used last, as with a quarantine."""
        self._free.append(address[1])

    def take_all(self) -> list[Address]:
        """Every port that is free, to be given back."""
        return [self.take_port() for _ in range(len(self._free))]

    def exhaust(self) -> None:
        """From now on no port is free but those given back."""
        self._free.clear()

    def assert_nothing_open(self) -> None:
        """Fails when a leg was left open: the leak every test of a call looks for at its end."""
        left = [leg for call in self.calls for leg in call.legs if not leg.closed]
        assert not left, f"left open: {left}"
