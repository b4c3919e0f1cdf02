"""A leg of the native engine: values in, counters and events out."""

from __future__ import annotations

import secrets

from media import _native
from media.engine import Address, Codec, LegStatistics, MachineSign, MediaError, StreamParameters
from media.events import (
    AnswerJudged,
    DtmfDigit,
    FirstPacket,
    MediaTimeout,
    OnMediaEvent,
    PromptEnded,
    Quiet,
    Switched,
)
from media.native.core import EventName, asked, nobody
from media.srtp import CryptoSuite

_CODECS = {str(codec): codec for codec in Codec}


class NativeLeg:
    """`media.engine.MediaLeg`."""

    def __init__(self, core: _native.Leg, role: str, on_event: OnMediaEvent) -> None:
        self.core = core
        self.number = core.id
        """By which the core tells of it."""
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

    @property
    def announced_host(self) -> str | None:
        """None: what it is bound to may be told otherwise, by `sip.advertise`."""
        return None

    @property
    def renumbers_events(self) -> bool:
        """True: each leg has its own."""
        return True

    @property
    def identity(self) -> str | None:
        """None: its sockets are this process's."""
        return None

    def master_key(self, suite: CryptoSuite) -> bytes:
        """A new one each time, from the system's generator."""
        return secrets.token_bytes(suite.key_octets)

    def set_remote(self, parameters: StreamParameters) -> None:
        """Takes what the peer agreed to."""
        keys = parameters.keys
        asked(
            self.core.set_remote,
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

    def set_media_timeout(self, seconds: float | None) -> None:
        """Watches for silence on the wire from now on, or stops watching."""
        asked(self.core.set_media_timeout, seconds)

    def watch_silence(self, quiet_ms: int | None) -> None:
        """Reports `Quiet` once the peer has been silent for so long; None stops watching."""
        if quiet_ms is not None and quiet_ms < 20:
            raise MediaError("shorter than a packet")
        asked(self.core.watch_silence, None if quiet_ms is None else quiet_ms / 1000)

    def listen_for_keys(self, wanted: bool) -> None:
        """Reports keys that come as tones, or no more."""
        asked(self.core.listen_for_keys, wanted)

    def judge_answer(self, sign: MachineSign | None) -> None:
        """Reports once who answered."""
        asked(self.core.judge_answer, sign)

    def statistics(self) -> LegStatistics:
        """The counters as they are now."""
        counters = self.core.statistics()
        return LegStatistics(
            codec=None if counters.codec is None else _CODECS[counters.codec],
            packets_in=counters.packets_in,
            packets_out=counters.packets_out,
            octets_in=counters.octets_in,
            octets_out=counters.octets_out,
            lost=counters.lost,
            late=counters.late,
            duplicates=counters.duplicates,
            jitter_ms=counters.jitter_ms,
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
        self._on_event = nobody
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
