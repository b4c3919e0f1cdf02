"""A call of the native engine: who hears whom, as commands for the worker that has its legs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from weakref import ref

from media import _native
from media.engine import Latching, MediaCall, MediaError, MediaLeg, NoAddress, Prompt
from media.events import EngineLost, MediaEvent, OnMediaEvent
from media.native.core import asked, nobody
from media.native.leg import NativeLeg
from media.native.prompt import NativePrompt
from media.native.recording import NativeRecording


@dataclass(slots=True)
class Registry:
    """Where the engine finds whom an event of the core is about, by the core's numbers."""

    calls: dict[int, ref[NativeCall]] = field(default_factory=dict)
    """The open ones by their `id`, weak as they may be forgotten without being closed."""
    legs: dict[int, ref[NativeLeg]] = field(default_factory=dict)
    """Those of open calls; weak as well."""
    recordings: dict[int, NativeRecording] = field(default_factory=dict)
    """Those whose end was not told yet, which outlive their call for a moment."""

    def open_calls(self) -> list[NativeCall]:
        """The calls that are open."""
        return [call for each in self.calls.values() if (call := each()) is not None]

    def leg(self, number: int) -> NativeLeg | None:
        """An open leg; None when there is none."""
        found = self.legs.get(number)
        return None if found is None else found()


class NativeCall:
    """`media.engine.MediaCall`: the legs of one call, all on one worker."""

    def __init__(
        self,
        core: _native.Engine,
        link: _native.Call,
        on_event: OnMediaEvent,
        registry: Registry,
        address: str,
    ) -> None:
        """`address`: what its ports are bound to."""
        self._core = core
        self._link = link
        self._on_event = on_event
        self._registry = registry
        self._address = address
        self._legs: list[NativeLeg] = []
        self._open = True
        registry.calls[id(self)] = ref(self)

    @property
    def worker(self) -> int:
        """Number of the worker that owns the legs."""
        return self._link.worker

    def open_leg(
        self,
        role: str,
        latching: Latching = Latching.AUTO,
        *,
        ipv6: bool = False,
        signalling: str | None = None,
    ) -> NativeLeg:
        """Binds a port pair for a new leg."""
        if not self._open:
            raise MediaError("the call is closed")
        # The wildcard of IPv6 takes both.
        if ipv6 is not (":" in self._address) and self._address != "::":
            raise NoAddress(f"media.address {self._address} takes no audio over {'IPv6' if ipv6 else 'IPv4'}")
        leg = NativeLeg(asked(self._core.open_leg, self._link, latching, signalling), role, self._on_event)
        self._registry.legs[leg.number] = ref(leg)
        self._legs.append(leg)
        return leg

    def bridge(self, a: MediaLeg, b: MediaLeg) -> None:
        """`a` and `b` hear each other and nobody else."""
        first, second = self._own(a), self._own(b)
        if first is second:
            raise MediaError("a leg cannot be bridged with itself")
        if first.is_open and second.is_open:
            asked(first.core.bridge, second.core)

    def hear(self, listener: MediaLeg, source: MediaLeg | Prompt | None, *, loop: bool = True) -> None:
        """`listener` hears another leg, a prompt, or silence in time."""
        leg = self._own(listener)
        if source is None:
            asked(leg.core.hear_silence)
        elif isinstance(source, NativePrompt):
            asked(leg.core.play, source.core, loop)
        elif isinstance(source, NativeLeg):
            other = self._other(leg, source)
            if leg.is_open and other.is_open:
                asked(leg.core.hear, other.core)
        else:
            raise MediaError("neither a leg of this call nor a prompt of this engine")

    def hear_when_heard(self, listener: MediaLeg, source: MediaLeg, *, within_ms: int = 500) -> None:
        """`listener` hears `source` from its next packet on, silence in time after `within_ms`."""
        leg = self._own(listener)
        other = self._other(leg, source)
        if leg.is_open and other.is_open:
            asked(leg.core.hear_when_heard, other.core, within_ms / 1000)

    def mix(self, listener: MediaLeg, one: MediaLeg, other: MediaLeg) -> None:
        """`listener` hears both of the others."""
        leg = self._own(listener)
        first, second = self._other(leg, one), self._other(leg, other)
        if first is second:
            raise MediaError("a leg cannot be mixed with itself")
        if leg.is_open and first.is_open and second.is_open:
            asked(leg.core.mix, first.core, second.core)

    def adopt(self, leg: MediaLeg, former: MediaCall) -> None:
        """Takes a leg over from another call; on another worker, this waits for that worker."""
        if not isinstance(former, NativeCall):
            raise MediaError("a call of another engine")
        own = former._own(leg)
        if not self._open or not own.is_open:
            raise MediaError("the call or the leg is closed")
        if former is self:
            return
        asked(own.core.move_to, self._link)
        if former.worker == self.worker:
            asked(own.core.unbridge)
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
        asked(self._own(leg).core.unbridge)

    async def take_over(self, identity: str, role: str, latching: Latching = Latching.AUTO) -> MediaLeg:
        """Raises `MediaError`: no leg outlives its process."""
        raise MediaError("the native engine's legs end with their process")

    def record(self, leg: MediaLeg, path: Path) -> NativeRecording:
        """Records a leg in a new file."""
        own = self._own(leg)
        if not own.is_open:
            raise MediaError("the leg is closed")
        recording = NativeRecording(asked(self._core.record, own.core, path), path, self._tell)
        self._registry.recordings[recording.core.id] = recording
        return recording

    def _tell(self, event: MediaEvent) -> bool:
        """Delivers an event, unless the call is closed; whether it was."""
        if self._open:
            self._on_event(event)
        return self._open

    def close_leg(self, leg: MediaLeg) -> None:
        """Stops a leg and gives its ports back."""
        self._close_leg(self._own(leg))

    def _close_leg(self, leg: NativeLeg) -> None:
        leg.close()
        self._registry.legs.pop(leg.number, None)

    def close(self) -> None:
        """Closes every leg. Who hears of events is forgotten, as it most often holds this call."""
        self._open = False
        self._registry.calls.pop(id(self), None)
        self._on_event = nobody
        for leg in self._legs:
            self._close_leg(leg)

    async def settle(self) -> None:
        """Nothing to wait for."""

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
