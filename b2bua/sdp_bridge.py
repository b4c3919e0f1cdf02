"""Between session descriptions and the media engine: what each leg says about its audio, what it agreed to.

Media is anchored here, so every leg negotiates on its own (RFC 3264): our address and port, our o= line, one
audio stream with the configured codecs, telephone-event beside it (RFC 4733). The only file that knows both
SDP and `media.engine`.

Not here: SRTP (RTP/SAVP is refused), rtcp-mux, ICE, video, offers in a 2xx. Nothing here sends or opens
anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto

from media.engine import Address, Codec, StreamParameters
from sip_stack.errors import LocalError
from sip_stack.sdp import (
    WARN_FORMAT,
    WARN_MEDIA,
    WARN_OTHER,
    WARN_TRANSPORT,
    Direction,
    LocalDescription,
    Media,
    RtpMap,
    Session,
    check_slots,
    media_address,
    mirror,
    not_acceptable,
    parse,
    refuse,
    rtcp_address,
)

DEFAULT_PTIME = 20
"""Milliseconds of audio per packet when nobody asks for anything else (RFC 3551 section 4.2)."""

TELEPHONE_EVENT = 101
"""Payload type of telephone-event in our offers: what nearly every gateway uses."""

_CODECS = {str(codec): codec for codec in Codec}
_PAYLOAD_TYPES = {Codec.PCMU: 0, Codec.PCMA: 8}
_OFFERED_PROFILE = "RTP/AVP"
_ANSWERED_PROFILES = ("RTP/AVP", "RTP/AVPF")
"""Profiles we answer, by echoing them. RTP/AVPF permits feedback but does not demand any (RFC 4585)."""


class Change(Flag):
    """What a re-offer changed in a stream."""

    NOTHING = 0
    DIRECTION = auto()
    CONNECTION = auto()
    PORT = auto()


@dataclass(frozen=True, slots=True)
class Reoffer:
    """A re-offer that was followed without asking anybody: our answer, and what the engine must know."""

    change: Change
    parameters: StreamParameters
    answer: bytes


class _Round(Enum):
    """Where offer and answer stand (RFC 3264 section 4)."""

    NEW = auto()
    OFFER_MADE = auto()
    ANSWER_RECEIVED = auto()
    OFFER_RECEIVED = auto()
    ANSWER_MADE = auto()
    REOFFERED = auto()


@dataclass(frozen=True, slots=True)
class _RemoteStream:
    """The one audio stream of a peer's description, understood."""

    slot: int
    media: Media
    direction: Direction
    address: Address | None
    """None on hold the old way, c=0.0.0.0."""
    codec: Codec
    payload_type: int
    telephone_event: int | None


class LegDescription:
    """Both descriptions of one leg, ours and its peer's, through offer, answer and re-offers.

    `address` is what peers are told: the advertised host and the leg's RTP port. `codecs` is what we take, in
    order of preference. `session_id` is a number below 2**63 that no other leg has. Bad SDP raises
    `RemoteError` (400 malformed, 488 with a Warning when we cannot take part) and leaves everything as it
    was; calls out of turn raise `LocalError`.
    """

    def __init__(
        self, *, address: Address, codecs: Sequence[Codec], session_id: int, ptime: int = DEFAULT_PTIME
    ) -> None:
        if not codecs:
            raise LocalError("a leg needs a codec")
        self._local = LocalDescription(address, session_id)
        self._codecs = tuple(codecs)
        self._ptime = ptime
        self._round = _Round.NEW
        self._remote: Session | None = None
        self._stream: _RemoteStream | None = None
        self._parameters: StreamParameters | None = None
        self._answer_read = b""

    @property
    def parameters(self) -> StreamParameters | None:
        """What is agreed, for `MediaLeg.set_remote`; None before there is anything."""
        return self._parameters

    @property
    def body(self) -> bytes:
        """Our description in force, empty before the first."""
        return self._local.body

    @property
    def remote_ptime(self) -> int | None:
        """Milliseconds per packet the peer asked for."""
        return self._stream.media.ptime() if self._stream else None

    @property
    def held(self) -> bool:
        """True while the peer does not want to hear us: hold, in any of its spellings."""
        return self._parameters is not None and not self._parameters.send

    def make_offer(self) -> bytes:
        """Our first offer: every codec, in order. The same octets when asked again."""
        if self._round is _Round.NEW:
            formats = [(_PAYLOAD_TYPES[codec], codec) for codec in self._codecs]
            media = _audio(
                self._local.port,
                _OFFERED_PROFILE,
                formats,
                TELEPHONE_EVENT,
                self._ptime,
                Direction.SENDRECV,
            )
            self._round = _Round.OFFER_MADE
            return self._local.describe((media,))
        if self._round is _Round.OFFER_MADE:
            return self._local.body
        raise LocalError("an offer was made or received before")

    def receive_answer(self, body: bytes) -> StreamParameters:
        """Reads an answer to `make_offer`, from an early response or the 2xx.

        May be read again, changed too: a 200 may come from another phone than the 183 before it, and then its
        description is the one that holds.
        """
        if self._round not in (_Round.OFFER_MADE, _Round.ANSWER_RECEIVED) and not self._answer_read:
            raise LocalError("no offer of ours is waiting for an answer")
        if self._parameters is not None and (self._round is _Round.REOFFERED or body == self._answer_read):
            # After an UPDATE of the early dialog the 2xx only repeats the old answer (RFC 3311 section 5.1).
            return self._parameters
        remote = parse(body)
        stream = self._find_stream(remote, (_OFFERED_PROFILE,))
        parameters = _parameters(stream, our_event=TELEPHONE_EVENT)
        self._remote, self._stream, self._parameters = remote, stream, parameters
        self._answer_read = body
        self._round = _Round.ANSWER_RECEIVED
        return parameters

    def receive_offer(self, body: bytes | None) -> StreamParameters:
        """Reads the peer's first offer and chooses its first codec that is also ours."""
        if self._round is not _Round.NEW:
            raise LocalError("an offer was made or received before")
        if not body or body.isspace():
            raise not_acceptable(WARN_OTHER, "INVITE without an offer is not supported")
        remote = parse(body)
        stream = self._find_stream(remote, _ANSWERED_PROFILES)
        self._remote, self._stream, self._parameters = remote, stream, _parameters(stream)
        self._round = _Round.OFFER_RECEIVED
        return self._parameters

    def make_answer(self) -> bytes:
        """The answer to `receive_offer`: the same octets each time, for 18x and 200 alike."""
        if self._round is _Round.OFFER_RECEIVED and self._remote and self._stream:
            self._round = _Round.ANSWER_MADE
            return self._local.describe(self._answer(self._remote, self._stream))
        if self._round is _Round.ANSWER_MADE:
            return self._local.body
        raise LocalError("there is no offer to answer")

    def receive_reoffer(self, body: bytes) -> Reoffer:
        """Reads an offer of the peer in a running session and answers it at once.

        Followed: another direction, address or port; and what leaves the audio alone: other codecs beside the
        one in use, ptime, telephone-event. Anything else (the codec or its payload type gone, the stream
        switched off or of another kind, new media) is 488 and the session goes on unchanged.
        """
        before = self._stream
        settled = (_Round.ANSWER_RECEIVED, _Round.ANSWER_MADE, _Round.REOFFERED)
        if self._round not in settled or self._remote is None or before is None:
            raise LocalError("there is no session to change yet")
        remote = parse(body)
        check_slots(self._remote, remote, before.slot)
        stream = self._find_stream(remote, (before.media.protocol.upper(),), before)
        answer = self._local.describe(self._answer(remote, stream))
        self._remote, self._stream, self._parameters = remote, stream, _parameters(stream)
        self._round = _Round.REOFFERED
        return Reoffer(_change(before, stream), self._parameters, answer)

    def _answer(self, remote: Session, stream: _RemoteStream) -> tuple[Media, ...]:
        """Our media sections: one for each of theirs, in their order (RFC 3264 section 6)."""
        audio = _audio(
            self._local.port,
            stream.media.protocol,
            [(stream.payload_type, stream.codec)],
            stream.telephone_event,
            stream.media.ptime() or self._ptime,
            mirror(stream.direction, reachable=stream.address is not None),
        )
        return tuple(
            audio if slot == stream.slot else refuse(media) for slot, media in enumerate(remote.media)
        )

    def _find_stream(
        self, remote: Session, profiles: Iterable[str], before: _RemoteStream | None = None
    ) -> _RemoteStream:
        """The first audio section we can carry; in a session, the one we carry already."""
        sections = list(enumerate(remote.media))
        if before is not None:
            sections = sections[before.slot : before.slot + 1]
        audio = [(slot, media) for slot, media in sections if media.kind.lower() == "audio" and media.port]
        if not audio:
            raise not_acceptable(WARN_MEDIA, "No audio stream")
        carried = [(slot, media) for slot, media in audio if media.protocol.upper() in profiles]
        if not carried:
            raise not_acceptable(WARN_TRANSPORT, "Only plain RTP/AVP audio is available")
        for slot, media in carried:
            if stream := self._read_stream(remote, slot, media, before):
                return stream
        raise not_acceptable(WARN_FORMAT, "No codec in common")

    def _read_stream(
        self, remote: Session, slot: int, media: Media, before: _RemoteStream | None
    ) -> _RemoteStream | None:
        """What a section says, None when it has no codec for us. `before` is what it must stay with."""
        maps = media.rtpmaps()
        for payload_type, rtpmap in maps.items():
            codec = _codec(rtpmap)
            if codec not in self._codecs:
                continue
            if before is not None and (codec, payload_type) != (before.codec, before.payload_type):
                continue
            address = media_address(remote, media, ipv6=":" in self._local.host)
            direction = remote.direction_of(media)
            event = _telephone_event(maps)
            return _RemoteStream(slot, media, direction, address, codec, payload_type, event)
        return None


def _codec(rtpmap: RtpMap) -> Codec | None:
    if rtpmap.clock_rate != 8000 or rtpmap.channels != 1:
        return None
    return _CODECS.get(rtpmap.encoding.upper())


def _telephone_event(maps: dict[int, RtpMap]) -> int | None:
    """Payload type of the events that run on our codecs' clock; others cannot be mapped (RFC 4733 2.1)."""
    for payload_type, rtpmap in maps.items():
        if rtpmap.encoding.lower() == "telephone-event" and rtpmap.clock_rate == 8000:
            return payload_type
    return None


def _parameters(stream: _RemoteStream, our_event: int | None = None) -> StreamParameters:
    """What the engine must know. `our_event` is the number of telephone-event in the offer they answered."""
    address, event = stream.address, stream.telephone_event
    return StreamParameters(
        remote=address,
        remote_rtcp=rtcp_address(stream.media, address) if address is not None else None,
        codec=stream.codec,
        payload_type=stream.payload_type,
        telephone_event=event,
        send=stream.direction.receives and address is not None,
        receive=stream.direction.sends,
        receive_telephone_event=our_event if event is not None and event != our_event else None,
    )


def _audio(
    port: int,
    profile: str,
    formats: Sequence[tuple[int, Codec]],
    telephone_event: int | None,
    ptime: int,
    direction: Direction,
) -> Media:
    """Our audio section. rtpmap lines are written for static payload types too: some phones want them."""
    numbers = [str(number) for number, _ in formats]
    attributes: list[tuple[str, str | None]] = [
        ("rtpmap", f"{number} {codec}/8000") for number, codec in formats
    ]
    if telephone_event is not None:
        numbers.append(str(telephone_event))
        attributes.append(("rtpmap", f"{telephone_event} telephone-event/8000"))
        attributes.append(("fmtp", f"{telephone_event} 0-15"))
    attributes.append(("ptime", str(ptime)))
    attributes.append((str(direction), None))
    return Media("audio", port, profile, tuple(numbers), attributes=tuple(attributes))


def _change(before: _RemoteStream, now: _RemoteStream) -> Change:
    change = Change.NOTHING
    if before.direction is not now.direction:
        change |= Change.DIRECTION
    if (before.address and before.address[0]) != (now.address and now.address[0]):
        change |= Change.CONNECTION
    if before.media.port != now.media.port:
        change |= Change.PORT
    return change
