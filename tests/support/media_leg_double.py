"""A leg of the engine in memory: what it was told, what its peer does, and what it hears.

Nothing happens by itself: a test calls `hear()`, `fall_silent()`, `press("5")`, `sound_keys("5")`,
`turn_out(machine=True)`, `wait_in_vain()`, `stop_talking()`, `finish_prompt()`.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from media.engine import (
    Address,
    Codec,
    Latching,
    LegStatistics,
    MachineSign,
    MediaError,
    StreamParameters,
)
from media.events import (
    AnswerJudged,
    DtmfDigit,
    FirstPacket,
    MediaTimeout,
    PromptEnded,
    Quiet,
    RecordingEnded,
    Switched,
)
from media.srtp import CryptoSuite

if TYPE_CHECKING:
    from tests.support.media_double import CallDouble

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


@dataclass(frozen=True, slots=True)
class PromptDouble:
    """A prompt: only its name matters."""

    name: str
    duration_ms: int = 6_000


class Nothing(Enum):
    """What a leg hears that hears no sound."""

    NOBODY = "nobody"
    """No packet is sent to it."""
    SILENCE = "silence"
    """Silence in time: packets of silence."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """Several legs at once: `mix`."""

    legs: tuple[LegDouble, ...]


class LegDouble:
    """A leg: `agreed` has every `set_remote`, `source` is what it hears now, `peer` the leg among that, `awaits` whom
    `hear_when_heard` waits for, `timeout` and `quiet_ms` what is watched."""

    def __init__(
        self, call: CallDouble, role: str, local_address: Address, latching: Latching = Latching.AUTO
    ) -> None:
        self.call = call
        self.latching = latching
        self.ipv6 = False
        """It was opened for audio over IPv6; its address is that of all others nevertheless."""
        self.signalling: str | None = None
        """Where its peer's SIP comes from."""
        self._role = role
        self._local_address = local_address
        self.agreed: list[StreamParameters] = []
        self.source: LegDouble | PromptDouble | Nothing | Mixed = Nothing.NOBODY
        self.looped = True
        self.awaits: LegDouble | None = None
        self.within_ms: int | None = None
        self.quiet_ms: int | None = None
        self.listens_for_keys = False
        self.sign: MachineSign | None = None
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
    def announced_host(self) -> str | None:
        """As in the contract."""
        return None

    @property
    def renumbers_events(self) -> bool:
        """As in the contract."""
        return True

    @property
    def identity(self) -> str | None:
        """As in the contract: none, as of the native engine, unless the engine outlives its process."""
        return f"double {self._local_address[1]}" if self.call.engine.outlives else None

    def master_key(self, suite: CryptoSuite) -> bytes:
        """As in the contract."""
        return secrets.token_bytes(suite.key_octets)

    @property
    def peer(self) -> LegDouble | None:
        """The leg it hears; None while it hears nobody or something else."""
        return self.source if isinstance(self.source, LegDouble) else None

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

    def watch_silence(self, quiet_ms: int | None) -> None:
        """As in the contract."""
        if quiet_ms is not None and quiet_ms < 20:
            raise MediaError("shorter than a packet")
        self.quiet_ms = quiet_ms

    def listen_for_keys(self, wanted: bool) -> None:
        """As in the contract."""
        self.listens_for_keys = wanted

    def judge_answer(self, sign: MachineSign | None) -> None:
        """As in the contract."""
        self.sign = sign

    def statistics(self) -> LegStatistics:
        """As in the contract; a test may set `counters`."""
        codec: Codec | None = self.parameters.codec if self.parameters else None
        return replace(self.counters, codec=codec)

    def hear(self, packets: int = 1) -> None:
        """The peer sends RTP: `FirstPacket` when it is the first since latching was armed, and who waited for it
        hears it."""
        self.counters = replace(self.counters, packets_in=self.counters.packets_in + packets)
        if self._armed and not self.closed:
            self._armed = False
            self.call.fire(FirstPacket(self))
        parameters = self.parameters
        if parameters is None or not parameters.receive:
            return
        for leg in self.call.legs:
            if leg.awaits is self:
                in_time = leg.within_ms is not None
                leg.take_source(self)
                if in_time:
                    self.call.fire(Switched(leg, heard=True))

    def wait_in_vain(self) -> None:
        """The time of `hear_when_heard` runs out. An error of the test when this leg waits for nobody."""
        assert self.awaits is not None, f"{self} waits for nobody"
        assert self.within_ms is not None, f"{self} has waited in vain before"
        self.within_ms = None
        self.source = Nothing.SILENCE
        self.call.fire(Switched(self, heard=False))

    def stop_talking(self) -> None:
        """The peer has been silent for the time watched. An error of the test when nobody watches."""
        assert self.quiet_ms is not None, f"nobody watches the silence of {self}"
        self.quiet_ms = None
        self.call.fire(Quiet(self))

    def finish_prompt(self) -> None:
        """The prompt has been played to its end. An error of the test when none is played once."""
        assert isinstance(self.source, PromptDouble), f"{self} hears no prompt"
        assert not self.looped, f"{self} hears {self.source.name} in a loop"
        self.source = Nothing.SILENCE
        self.call.fire(PromptEnded(self))

    def take_source(self, source: LegDouble | PromptDouble | Nothing | Mixed, *, loop: bool = True) -> None:
        """It hears this from now on and waits for nobody."""
        self.source, self.looped = source, loop
        self.awaits = self.within_ms = None

    def fall_silent(self) -> None:
        """The media timeout runs out. An error of the test when nobody watches."""
        assert self.timeout is not None, f"nobody watches {self}"
        self.call.fire(MediaTimeout(self))

    def press(self, digits: str, duration_ms: int = 100) -> None:
        """The peer presses keys."""
        for digit in digits:
            self.call.fire(DtmfDigit(self, digit, duration_ms))

    def sound_keys(self, digits: str) -> None:
        """The peer presses keys and sends tones, which are nothing but audio while nobody listens for keys."""
        for digit in digits:
            if self.listens_for_keys:
                self.call.fire(DtmfDigit(self, digit, 38, in_band=True))

    def turn_out(self, *, machine: bool) -> None:
        """It becomes clear who answered. An error of the test when nobody asked."""
        assert self.sign is not None, f"nobody asked who answered on {self}"
        self.sign = None
        self.call.fire(AnswerJudged(self, machine=machine))


class RecordingDouble:
    """A recording of `leg`; `paused` and `finished` tell what was asked of it."""

    def __init__(self, call: CallDouble, leg: LegDouble, path: Path) -> None:
        self.call = call
        self.leg = leg
        self._path = path
        self.dropped = 0
        self.paused = self.finished = False

    @property
    def path(self) -> Path:
        """As in the contract."""
        return self._path

    def pause(self, paused: bool) -> None:
        """As in the contract."""
        self.paused = paused

    def finish(self) -> None:
        """As in the contract."""
        if not self.finished:
            self.finished = True
            asyncio.get_running_loop().call_soon(self.call.fire, RecordingEnded(self, None))

    def fail(self, error: str) -> None:
        """The disk takes no more."""
        self.finished = True
        self.call.fire(RecordingEnded(self, error))
