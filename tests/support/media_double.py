"""A media engine in memory: it keeps what it was told, and fires the events a test asks for.

It behaves as `media.engine` promises (ports run out, bridges are exclusive, closed legs are silent) and
carries no audio. Nothing happens by itself: a test calls `leg.hear()`, `leg.fall_silent()`, `leg.press("5")`,
`call.lose()`. Its ports are never bound.
"""

from __future__ import annotations

from dataclasses import replace

from media.engine import (
    Address,
    Codec,
    DtmfDigit,
    EngineLost,
    FirstPacket,
    LegStatistics,
    MediaError,
    MediaEvent,
    MediaLeg,
    MediaTimeout,
    OnMediaEvent,
    PortsExhausted,
    StreamParameters,
)

SILENT = LegStatistics(
    codec=None,
    packets_in=0,
    packets_out=0,
    octets_in=0,
    octets_out=0,
    lost=0,
    jitter_ms=0.0,
    longest_gap_ms=0,
    foreign=0,
    malformed=0,
    dropped=0,
    rtcp_in=0,
)


class LegDouble:
    """A leg: `agreed` has every `set_remote`, `peer` is who it hears now, `timeout` what is watched."""

    def __init__(self, call: CallDouble, role: str, local_address: Address) -> None:
        self.call = call
        self._role = role
        self._local_address = local_address
        self.agreed: list[StreamParameters] = []
        self.peer: LegDouble | None = None
        self.timeout: float | None = None
        self.closed = False
        self.counters = SILENT
        self._armed = False

    def __repr__(self) -> str:
        return f"<{self._role} leg on port {self._local_address[1]}{', closed' if self.closed else ''}>"

    @property
    def role(self) -> str:
        """As in the contract."""
        return self._role

    @property
    def local_address(self) -> Address:
        """As in the contract."""
        return self._local_address

    @property
    def parameters(self) -> StreamParameters | None:
        """What holds now, None before the first `set_remote`."""
        return self.agreed[-1] if self.agreed else None

    def set_remote(self, parameters: StreamParameters) -> None:
        """As in the contract; a new remote address arms the first packet again."""
        if self.closed:
            return
        before = self.parameters
        if before is None or before.remote != parameters.remote:
            self._armed = True
        self.agreed.append(parameters)

    def set_media_timeout(self, seconds: float | None) -> None:
        """As in the contract."""
        self.timeout = seconds

    def statistics(self) -> LegStatistics:
        """As in the contract; a test may set `counters`."""
        codec: Codec | None = self.parameters.codec if self.parameters else None
        return replace(self.counters, codec=codec)

    def hear(self, packets: int = 1) -> None:
        """The peer sends RTP: `FirstPacket` when it is the first since latching was armed."""
        self.counters = replace(self.counters, packets_in=self.counters.packets_in + packets)
        if self._armed and not self.closed:
            self._armed = False
            self.call.fire(FirstPacket(self))

    def fall_silent(self) -> None:
        """The media timeout runs out. An error of the test when nobody watches."""
        assert self.timeout is not None, f"nobody watches {self}"
        self.call.fire(MediaTimeout(self))

    def press(self, digits: str, duration_ms: int = 100) -> None:
        """The peer presses keys."""
        for digit in digits:
            self.call.fire(DtmfDigit(self, digit, duration_ms))


class CallDouble:
    """A call: its legs in the order opened, closed ones included."""

    def __init__(self, engine: MediaDouble, on_event: OnMediaEvent) -> None:
        self.engine = engine
        self.legs: list[LegDouble] = []
        self.closed = False
        self._on_event = on_event

    def leg(self, role: str) -> LegDouble:
        """The newest leg of a role."""
        return next(leg for leg in reversed(self.legs) if leg.role == role)

    def open_leg(self, role: str) -> LegDouble:
        """As in the contract."""
        if self.closed or self.engine.closed:
            raise MediaError("closed")
        leg = LegDouble(self, role, self.engine.take_port())
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
        first.peer, second.peer = second, first

    def unbridge(self, leg: MediaLeg) -> None:
        """As in the contract."""
        own = self._own(leg)
        if own.peer is not None:
            own.peer.peer = None
            own.peer = None

    def close_leg(self, leg: MediaLeg) -> None:
        """As in the contract; the port is free at once."""
        own = self._own(leg)
        if not own.closed:
            self.unbridge(own)
            own.closed = True
            self.engine.give_back(own.local_address)

    def close(self) -> None:
        """As in the contract."""
        for leg in self.legs:
            self.close_leg(leg)
        self.closed = True

    def fire(self, event: MediaEvent) -> None:
        """Delivers an event, unless the call or the event's leg is closed."""
        if self.closed or (not isinstance(event, EngineLost) and self._own(event.leg).closed):
            return
        self._on_event(event)

    def lose(self, reason: str = "the test said so") -> None:
        """The engine fails under this call."""
        self.fire(EngineLost(reason))

    def _own(self, leg: MediaLeg) -> LegDouble:
        if not isinstance(leg, LegDouble) or leg.call is not self:
            raise MediaError("a leg of another call")
        return leg


class MediaDouble:
    """The engine: `calls` has every call ever opened. Up to `capacity` legs at once, even ports upwards."""

    def __init__(self, capacity: int = 1000, host: str = "127.0.0.1", first_port: int = 20_000) -> None:
        self._capacity = capacity
        self._host = host
        self._free = [first_port + 2 * number for number in range(capacity)]
        self.calls: list[CallDouble] = []
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

    async def close(self) -> None:
        """As in the contract."""
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

    def exhaust(self) -> None:
        """From now on no port is free but those given back."""
        self._free.clear()

    def assert_nothing_open(self) -> None:
        """Fails when a leg was left open: the leak every test of a call looks for at its end."""
        left = [leg for call in self.calls for leg in call.legs if not leg.closed]
        assert not left, f"left open: {left}"
