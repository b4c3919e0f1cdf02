"""What a media engine does for a call: the contract, and the values that cross it.

An engine owns RTP (RFC 3550, profile RFC 3551, telephone-event RFC 4733, SRTP RFC 3711) and nothing else: it speaks
addresses, codecs, payload types and keys, never SIP or SDP. `media.native` is the default engine, `media.rtpengine`
one that has daemons do the work; the tests have one in memory.

A leg is one RTP stream each way, on a port pair of ours that stays the same for the leg's whole life.
Everything here is called from the event loop's thread, returns at once and does no I/O; events come back on
the same loop.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from media.codecs import G711 as G711
from media.codecs import Codec as Codec
from media.codecs import passes_through as passes_through
from media.srtp import CryptoSuite, SrtpKeys
from media.statistics import LegStatistics as LegStatistics
from media.value_class import value_class

if TYPE_CHECKING:
    from media.events import OnMediaEvent

Address = tuple[str, int]
"""An IP address literal without brackets, and a UDP port 1..65535."""


class MediaError(Exception):
    """The engine cannot do what was asked: closed, not started, overloaded, or the arguments make no
    sense."""


class PortsExhausted(MediaError):
    """No RTP/RTCP port pair is free (in use, in quarantine after a release, or taken by other programs)."""


class NoAddress(MediaError):
    """The engine has no address of the version of IP that the peer is reached by."""


class Latching(StrEnum):
    """Whom a leg believes about where its peer is."""

    AUTO = "auto"
    """The first valid packet: from then on its source is the only one heard, and the one sent to, unless another has
    more to speak for it (docs/media.md)."""
    STRICT = "strict"
    """The SDP alone: nothing from another address or port is heard, nothing is sent elsewhere."""
    DISABLED = "disabled"
    """The SDP for sending, the first valid packet for hearing: for peers that send from another port than they hear
    on."""


class Ringback(StrEnum):
    """Whose ringing tone is made (ITU-T E.180, supplement 2)."""

    US = "us"
    """440 and 480 Hz together, 2 s on and 4 s off; Canada too."""
    UK = "uk"
    """400 and 450 Hz, two short rings in three seconds."""
    EU = "eu"
    """425 Hz, 1 s on and 4 s off: what most of Europe has."""
    DE = "de"
    ES = "es"
    FR = "fr"
    IT = "it"
    SE = "se"


class MachineSign(StrEnum):
    """By what a machine that answered is known. Heuristics, both of them: docs/acceptance.md has their error rates."""

    BEEP = "beep"
    """A steady tone of one frequency."""
    LONG_SPEECH = "long_speech"
    """It talks for longer than people who pick up a phone do."""


@value_class
class StreamParameters:
    """What one leg's peer agreed to, seen from our side."""

    remote: Address | None
    """Where its SDP wants RTP; None while unknown or held with c=0.0.0.0: nothing is sent then."""
    remote_rtcp: Address | None
    """Where its SDP wants RTCP; None means the port above `remote` (RFC 3550 section 11)."""
    codec: Codec
    payload_type: int
    """Payload type of the codec, 0..127, both ways."""
    telephone_event: int | None
    """Payload type of telephone-event/8000 we send; None when not negotiated: events toward this leg are
    dropped."""
    send: bool = True
    """We may send audio (the answer or offer we made says sendrecv or sendonly)."""
    receive: bool = True
    """We take audio. When False packets are counted but go nowhere, and the media timeout stands still."""
    receive_telephone_event: int | None = None
    """Payload type the peer uses for events when it is not `telephone_event` (the one of our own SDP)."""
    rtcp_mux: bool = False
    """RTCP shares the RTP port, both ways (RFC 5761); `remote_rtcp` does not matter then."""
    comfort_noise: bool = False
    """Comfort noise (payload type 13, RFC 3389) was negotiated. It crosses between two legs that both have it; else
    it is left out, without a gap in the sequence."""
    keys: SrtpKeys | None = None
    """SRTP both ways; None for plain RTP. Keys that are repeated change nothing. A new key of the peer's takes over
    from the old one, which is still heard for two seconds. A new key of ours begins a stream under a new SSRC."""


@runtime_checkable
class Prompt(Protocol):
    """Sound that was loaded once and may be played on any number of legs of its engine at the same time."""

    @property
    def duration_ms(self) -> int:
        """Length of one pass, rounded down."""
        ...


@runtime_checkable
class Recording(Protocol):
    """A WAV file in the making: 8 kHz, 16 bits, on the left what a leg's peer says, on the right what it hears. It is
    written behind the audio and never holds it up: what the disk is too slow for is silence, and time stays right."""

    @property
    def path(self) -> Path:
        """The file; it may not be there yet."""
        ...

    @property
    def dropped(self) -> int:
        """Packets that are silence because the disk was too slow, or they came too late."""
        ...

    def pause(self, paused: bool) -> None:
        """Writes silence from now on, or sound again."""
        ...

    def finish(self) -> None:
        """Ends it; `RecordingEnded` follows. Harmless when repeated."""
        ...


@runtime_checkable
class MediaLeg(Protocol):
    """One RTP stream each way between us and a peer."""

    @property
    def role(self) -> str:
        """What it is in the call: `caller`, `assistant` or `agent`."""
        ...

    @property
    def local_address(self) -> Address:
        """The bound address and the even RTP port; RTCP is the port above it. Stays readable after close."""
        ...

    @property
    def announced_host(self) -> str | None:
        """The address that peers must be told, where the engine is the one to know; None leaves it to whoever asks."""
        ...

    @property
    def renumbers_events(self) -> bool:
        """Whether telephone-event may have another payload type here than on the leg that it comes from."""
        ...

    @property
    def identity(self) -> str | None:
        """By what a later process of ours may take the leg over (`MediaCall.take_over`) when this one was killed; None
        when the leg ends with the process. No secret."""
        ...

    def master_key(self, suite: CryptoSuite) -> bytes:
        """A master key and salt for what the leg sends, to be told its peer and given back as `SrtpKeys.local`: never
        that of another leg. Raises `MediaError` for a suite that the engine does not have."""
        ...

    def set_remote(self, parameters: StreamParameters) -> None:
        """Takes what the peer agreed to; again after each new offer/answer. Latching starts anew only when
        the remote address changed. Ignored after close."""
        ...

    def set_media_timeout(self, seconds: float | None) -> None:
        """Reports `MediaTimeout` after this long without valid RTP, counted from now; None stops watching.
        The watch stands still while `receive` is False and starts again when it turns True."""
        ...

    def watch_silence(self, quiet_ms: int | None) -> None:
        """From now on: reports `Quiet` once the peer has been silent for this long (no packets, comfort noise, or
        audio below about -40 dBov), and stops watching. None stops earlier. The watch stands still while `receive` is
        False. An engine that cannot tell never reports it. Raises `MediaError` below 20 ms."""
        ...

    def listen_for_keys(self, wanted: bool) -> None:
        """From now on, or no more: reports keys that the peer sends as tones in its audio (DTMF, ITU-T Q.23) as
        `DtmfDigit` with `in_band`. For peers without telephone-event, and only while somebody waits for a key: it
        costs something per packet, and speech may pass for a key once in a long while."""
        ...

    def judge_answer(self, sign: MachineSign | None) -> None:
        """From now on: judges who answered, and reports `AnswerJudged` once. None stops. Whoever says nothing for
        4 s, or a little and then nothing for 1.2 s, is a person, also when no packet comes."""
        ...

    def statistics(self) -> LegStatistics:
        """The counters, at any time, also after close."""
        ...


@runtime_checkable
class MediaCall(Protocol):
    """The legs of one call. Closing twice is harmless; a call that is garbage collected gives its ports
    back."""

    def open_leg(
        self,
        role: str,
        latching: Latching = Latching.AUTO,
        *,
        ipv6: bool = False,
        signalling: str | None = None,
    ) -> MediaLeg:
        """Binds a port pair; `ipv6` where the peer's audio is reached over IPv6. `signalling` is the address that its
        SIP comes from, and, through a NAT, its audio, too: a hint for `Latching.AUTO` and `DISABLED`, which an engine
        may leave. Raises `PortsExhausted`, `NoAddress`, or `MediaError` when the call or the engine is closed."""
        ...

    def bridge(self, a: MediaLeg, b: MediaLeg) -> None:
        """`a` and `b` hear each other from now on; whoever they heard before is no longer heard by them. No
        packet of an old source is sent after this has taken effect. Legs may still lack `set_remote`.
        Raises `MediaError` for a leg of another call or a leg bridged with itself; closed legs are
        ignored."""
        ...

    def unbridge(self, leg: MediaLeg) -> None:
        """`leg` hears nobody and is heard by nobody; it still counts, latches and watches its timeout. Nothing is
        sent to it."""
        ...

    def hear(self, listener: MediaLeg, source: MediaLeg | Prompt | None, *, loop: bool = True) -> None:
        """`listener` hears `source` from now on and nothing else; who hears `listener` stays as it is. None is
        silence in time: RTP keeps flowing, 20 ms of silence after the other. A prompt begins at its beginning, 20 ms
        after the last packet to the listener; `loop` repeats it without a seam, without it `PromptEnded` follows
        and then silence in time. A leg may be heard by several listeners. All of it is one RTP stream to the
        listener. Raises `MediaError` for a leg of another call, a leg hearing itself or a prompt of another kind
        of engine; closed legs are ignored, and a listener whose source closes hears nobody."""
        ...

    def hear_when_heard(self, listener: MediaLeg, source: MediaLeg, *, within_ms: int = 500) -> None:
        """`listener` goes on hearing what it hears until the next valid packet of audio of `source` comes, which is
        the first it hears of it: nothing of the old source follows. When none came `within_ms`, the listener hears
        silence in time until one does. Either is reported by `Switched`. Any other `hear`, `hear_when_heard`,
        `bridge` or `unbridge` of the listener ends the wait. Errors as for `hear`."""
        ...

    def mix(self, listener: MediaLeg, one: MediaLeg, other: MediaLeg) -> None:
        """`listener` hears the sum of two other legs from now on: 20 ms of both every 20 ms of its own clock, up to
        60 ms later than it would hear one alone, held at the limit where both are loud. Only audio: digits and comfort
        noise are left out. Once one of the two is closed, unbridged or bridged, the other is heard alone. All of it is
        the listener's one stream. Errors as for `hear`; with a closed leg among the three nothing happens."""
        ...

    def adopt(self, leg: MediaLeg, former: MediaCall) -> None:
        """Takes `leg` over from another call of the engine: it may be joined with the legs of this call, its events
        come here, and it ends with this call. It hears nobody at first and nobody hears it; its address, its outgoing
        stream, its statistics and what it watches go on. Raises `MediaError` when it is closed or not of `former`, or
        this call is closed."""
        ...

    async def take_over(self, identity: str, role: str, latching: Latching = Latching.AUTO) -> MediaLeg:
        """A leg that a process before this one has left behind, by its `identity`: at the address it had, and with
        the keys if it is encrypted. As after `open_leg`, it knows no peer and hears nobody until it is told; what was
        told before goes on until then. Raises `MediaError` when it is gone or the engine keeps none."""
        ...

    def record(self, leg: MediaLeg, path: Path) -> Recording:
        """Records a leg from now on, whomever it hears, until it closes: to a new file of ours alone (mode 0600), whose
        folder is made. What goes wrong with the file ends the recording and is told by `RecordingEnded`. A second one
        of the same leg ends the first. Raises `MediaError` for a leg of another call, a closed one, or an engine that
        cannot."""
        ...

    def close_leg(self, leg: MediaLeg) -> None:
        """Stops the leg and gives its ports back after the quarantine."""
        ...

    def close(self) -> None:
        """Closes every leg. No event is delivered afterwards."""
        ...

    async def settle(self) -> None:
        """Waits until the statistics of the legs that are closed say all there was, a second at most. At once where
        the counters are in this process."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A media engine, one per process."""

    @property
    def capacity(self) -> int:
        """Port pairs, that is legs, this engine can have open at once."""
        ...

    @property
    def free_ports(self) -> int:
        """Port pairs that can be opened now (those in quarantine are not free)."""
        ...

    async def start(self) -> None:
        """Starts working on the running event loop. Raises `MediaError` when the address cannot be bound."""
        ...

    def open_call(self, on_event: OnMediaEvent) -> MediaCall:
        """A call without legs. `on_event` runs on the event loop, never from inside a method of this
        contract."""
        ...

    def load_prompt(self, path: Path) -> Prompt:
        """Reads a WAV file (PCM of 8 to 32 bits, float, A-law or mu-law; any number of channels; 4 to 192 kHz;
        at most ten minutes) and converts it once to 8 kHz G.711 of both laws. Works before `start`, in any thread, and
        blocks: about 0.05 s per minute of sound. Raises `MediaError` naming the file when it cannot be used."""
        ...

    def ringback(self, country: Ringback = Ringback.US) -> Prompt:
        """The ringing tone of a country, made here."""
        ...

    def digits(self, text: str) -> Prompt:
        """Digits (0-9, *, #, A-D) of 100 ms with 100 ms after each, and waits (`w` 500 ms, `W` 1 s); up to 64 in all.
        Played once, not in a loop. A leg with telephone-event gets them as events, another as tones. Raises
        `MediaError` for anything else."""
        ...

    async def close(self) -> None:
        """Stops every leg of every call and releases all ports. Harmless when repeated."""
        ...
