"""The one audio stream of a leg: finding it in a peer's description, and writing ours.

RFC 3264 (which stream, which codec), RFC 3551 (static payload types), RFC 4733 (telephone-event), RFC 3389 (comfort
noise), RFC 5761 (RTCP on the RTP port: answered, never offered). Profiles and keys are `media_security`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from b2bua.encryption import MediaProtection
from b2bua.sdp_bridge.formats import (
    COMFORT_NOISE,
    Event,
    Format,
    Parameters,
    event_beside,
    format_lines,
    formats_of,
)
from b2bua.sdp_bridge.media_security import PLAIN, Admit, Agreement, SrtpRequired, srtp_keys
from media.engine import Address, Codec, StreamParameters
from media.value_class import value_class
from sip_stack.errors import RemoteError
from sip_stack.sdp import (
    CRYPTO,
    RTCP_MUX,
    WARN_FORMAT,
    WARN_MEDIA,
    WARN_TRANSPORT,
    Attribute,
    Crypto,
    Direction,
    Media,
    MediaLines,
    Session,
    common,
    media_address,
    not_acceptable,
    rtcp_address,
)

_NOISE = str(COMFORT_NOISE)
_LIKE_RTCP = range(64, 96)
"""Payload types that cannot be told from RTCP on one port (RFC 5761 section 4)."""


@value_class
class AudioStream:
    """The audio stream of a peer's description, understood."""

    slot: int
    media: Media
    direction: Direction
    """From the peer's side; c=0.0.0.0 and port 0 are in it already."""
    address: Address | None
    """None when nothing may be sent: c=0.0.0.0, port 0."""
    codec: Codec
    payload_type: int
    telephone_event: int | None
    agreement: Agreement = PLAIN
    """How it is protected."""

    @property
    def parameters(self) -> Parameters:
        """What the peer says of its codecs, those that are passed through: it is for who talks to it to know."""
        said = {
            codec: self.media.lines.format_parameters(number)
            for number, codec in formats_of(self.media).codecs
        }
        return {codec: text for codec, text in said.items() if text and codec.passes_through}

    @property
    def off(self) -> bool:
        """True when the peer switched the stream off with port 0."""
        return not self.media.port

    @property
    def format(self) -> Format:
        """The codec and its number."""
        return self.payload_type, self.codec

    @property
    def comfort_noise(self) -> bool:
        """True when the peer has comfort noise."""
        return _lists_noise(self.media)

    @property
    def rtcp_mux(self) -> bool:
        """True when the peer wants RTCP on the RTP port, and it can be told apart there."""
        if not self.media.lines.rtcp_mux:
            return False
        return self.payload_type not in _LIKE_RTCP and self.telephone_event not in _LIKE_RTCP


class StreamReader:
    """Reads peers' descriptions for a leg with these codecs and this address family."""

    def __init__(
        self, codecs: Sequence[Codec], *, ipv6: bool, protection: MediaProtection = "disabled"
    ) -> None:
        self._codecs = tuple(codecs)
        self._protection = protection
        self._ipv6 = ipv6

    def for_codecs(self, codecs: Sequence[Codec]) -> StreamReader:
        """One that reads with others."""
        return StreamReader(codecs, ipv6=self._ipv6, protection=self._protection)

    def with_codec(self, stream: AudioStream, codec: Codec) -> AudioStream:
        """The same stream with another of the codecs it was offered with; as it is without that."""
        if stream.codec is codec:
            return stream
        listed = formats_of(stream.media)
        same = [each for each in listed.codecs if each[1] is codec and codec in self._codecs]
        if not same:
            return stream
        event = event_beside(codec, listed.events)
        return replace(stream, payload_type=same[0][0], codec=codec, telephone_event=event)

    def find(self, remote: Session, admit: Admit, slots: int | None = None) -> AudioStream:
        """The first audio section we can carry. Raises `RemoteError`, 400 or 488.

        `admit` judges profile and keys. `slots` is how many sections an answer may have; what a broken peer adds
        belongs to no section of ours.
        """
        return self._choose(remote, enumerate(remote.media[:slots]), admit, None)

    def follow(self, remote: Session, before: AudioStream, admit: Admit) -> AudioStream:
        """The section we carry already, as it stands now: in a re-offer, or in the answer to one of ours.

        The codec in use is kept while the peer has it. Raises `RemoteError`, 400 or 488.
        """
        if before.slot >= len(remote.media):
            raise not_acceptable(WARN_MEDIA, "A media section is missing")
        media = remote.media[before.slot]
        if not media.port and media.kind.lower() == "audio":
            # What else a section says that is off means nothing; it comes back under the profile it had.
            off = media.with_lines(media.lines._replace(protocol=before.media.lines.protocol))
            return replace(before, media=off, direction=Direction.INACTIVE, address=None)
        return self._choose(remote, [(before.slot, media)], admit, before)

    def _choose(
        self,
        remote: Session,
        sections: Iterable[tuple[int, Media]],
        admit: Admit,
        before: AudioStream | None,
    ) -> AudioStream:
        has_audio = is_carried = False
        for slot, media in sections:
            if media.kind.lower() != "audio" or not media.port:
                continue
            has_audio = True
            if (agreement := admit(media)) is None:
                continue
            is_carried = True
            if stream := self._read(remote, slot, media, agreement, before):
                return stream
        if not has_audio:
            raise not_acceptable(WARN_MEDIA, "No audio stream")
        if not is_carried:
            raise _refusal(self._protection, before)
        raise not_acceptable(WARN_FORMAT, "No codec in common")

    def _read(
        self, remote: Session, slot: int, media: Media, agreement: Agreement, before: AudioStream | None
    ) -> AudioStream | None:
        """What a section says, None when it has no codec for us."""
        listed = formats_of(media)
        formats = [each for each in listed.codecs if each[1] in self._codecs]
        if not formats:
            return None
        payload_type, codec = formats[0]
        if before is not None:
            same_codec = [each for each in formats if each[1] is before.codec]
            payload_type, codec = before.format if before.format in formats else (same_codec or formats)[0]
        address = media_address(remote, media, ipv6=self._ipv6)
        said = remote.direction_of(media)
        direction = said if address is not None else common(said, Direction.SENDONLY)
        event = event_beside(codec, listed.events)
        return AudioStream(slot, media, direction, address, codec, payload_type, event, agreement)


def _refusal(protection: MediaProtection, before: AudioStream | None) -> RemoteError:
    """Why no section has a profile and keys for us."""
    if protection == "required" or (before is not None and before.agreement.theirs is not None):
        return SrtpRequired()
    if protection == "preferred":
        return not_acceptable(WARN_TRANSPORT, "Neither plain RTP nor SRTP with a key we can use")
    return not_acceptable(WARN_TRANSPORT, "Only plain RTP/AVP audio is available")


def _lists_noise(media: Media) -> bool:
    return _NOISE in media.lines.formats


@value_class
class OurSections:
    """The media sections of a description of ours: one audio section, the others refused."""

    sections: tuple[Media, ...]
    slot: int
    direction: Direction
    """Of the audio, from our side."""
    events: tuple[Event, ...] = ()
    """The telephone-events in it."""
    cryptos: tuple[Crypto, ...] = ()
    """The keys in it: one once something is agreed on, none for plain RTP."""

    def telephone_event(self, codec: Codec) -> int | None:
        """Our number for the events beside `codec`."""
        return event_beside(codec, self.events)

    @property
    def comfort_noise(self) -> bool:
        """True when we said that we have comfort noise."""
        return _lists_noise(self.sections[self.slot])

    @property
    def off(self) -> bool:
        """True while the peer's offer with port 0 is in force: only they can switch the stream on again."""
        return not self.sections[self.slot].port

    @property
    def rtcp_mux(self) -> bool:
        """True when we agreed to RTCP on the RTP port."""
        return self.sections[self.slot].lines.rtcp_mux

    def turned_to(self, direction: Direction) -> OurSections:
        """The same with another direction and nothing else changed."""
        audio = self.sections[self.slot]
        kept = [each for each in audio.lines.attributes if each != (str(self.direction), None)]
        lines = audio.lines._replace(attributes=(*kept, (str(direction), None)))
        return self._with(audio.with_lines(lines), direction)

    def with_codecs(self, codecs: Sequence[Codec]) -> OurSections:
        """The same without others than these, so that nobody can choose them in an answer to the next offer."""
        audio = self.sections[self.slot]
        events = tuple(each for each in self.events if each[1] in {codec.clock_rate for codec in codecs})
        known = formats_of(audio).codecs
        gone = {str(number) for number, codec in known if codec not in codecs}
        gone |= {str(number) for number, _ in self.events} - {str(number) for number, _ in events}
        if not gone:
            return self
        attributes = tuple(
            (name, value)
            for name, value in audio.lines.attributes
            if name not in ("rtpmap", "fmtp") or (value or "").partition(" ")[0] not in gone
        )
        formats = tuple(each for each in audio.lines.formats if each not in gone)
        kept = audio.lines._replace(formats=formats, attributes=attributes)
        return replace(self._with(audio.with_lines(kept), self.direction), events=events)

    def with_key(self, crypto: Crypto | None) -> OurSections:
        """The same with this key alone, or with none: what is said again once the others were declined."""
        cryptos = () if crypto is None else (crypto,)
        if cryptos == self.cryptos:
            return self
        audio = self.sections[self.slot]
        kept = [each for each in audio.lines.attributes if each[0] != CRYPTO]
        lines = audio.lines._replace(attributes=(*_key_lines(cryptos), *kept))
        return replace(self._with(audio.with_lines(lines), self.direction), cryptos=cryptos)

    def with_audio(self, audio: Media, direction: Direction, events: tuple[Event, ...]) -> OurSections:
        """The same with another audio section."""
        return replace(self._with(audio, direction), events=events)

    def _with(self, audio: Media, direction: Direction) -> OurSections:
        sections = (*self.sections[: self.slot], audio, *self.sections[self.slot + 1 :])
        return replace(self, sections=sections, direction=direction)


def audio_section(
    port: int,
    profile: str,
    formats: Iterable[Format],
    events: tuple[Event, ...],
    ptime: int,
    direction: Direction,
    *,
    parameters: Parameters | None = None,
    comfort_noise: bool = False,
    rtcp_mux: bool = False,
    cryptos: Sequence[Crypto] = (),
) -> Media:
    """Our audio section."""
    said = profile, tuple(formats), events, ptime, direction, comfort_noise, rtcp_mux
    lines = _our_lines(*said, parameters, cryptos) if parameters or cryptos else _remembered_lines(*said)
    return Media("audio", port, lines)


def _our_lines(
    profile: str,
    formats: tuple[Format, ...],
    events: tuple[Event, ...],
    ptime: int,
    direction: Direction,
    comfort_noise: bool,
    rtcp_mux: bool,
    parameters: Parameters | None = None,
    cryptos: Sequence[Crypto] = (),
) -> MediaLines:
    numbers, lines = format_lines(formats, parameters or {}, events, comfort_noise=comfort_noise)
    attributes = [*_key_lines(cryptos), *lines, ("ptime", str(ptime))]
    if rtcp_mux:
        attributes.append((RTCP_MUX, None))
    attributes.append((str(direction), None))
    return MediaLines(profile, numbers, attributes=tuple(attributes))


# Without keys and texts of a peer's there are few, and most legs have the same.
_remembered_lines = lru_cache(maxsize=256)(_our_lines)


def _key_lines(cryptos: Iterable[Crypto]) -> list[Attribute]:
    return [(CRYPTO, crypto.value()) for crypto in cryptos]


def stream_parameters(
    stream: AudioStream,
    ours: Direction,
    our_event: int | None = None,
    *,
    comfort_noise: bool = False,
    rtcp_mux: bool = False,
    crypto: Crypto | None = None,
) -> StreamParameters:
    """What the engine must know. `ours` is our direction; `our_event` the number of telephone-event in our offer,
    None when they made the offer and their number goes both ways; `crypto` is our key; the others are what we said of
    them."""
    address, event = stream.address, stream.telephone_event
    return StreamParameters(
        remote=address,
        remote_rtcp=rtcp_address(stream.media, address) if address is not None else None,
        codec=stream.codec,
        payload_type=stream.payload_type,
        telephone_event=event,
        send=ours.sends and stream.direction.receives and address is not None,
        receive=ours.receives and stream.direction.sends,
        receive_telephone_event=our_event if event is not None and event != our_event else None,
        rtcp_mux=rtcp_mux and stream.rtcp_mux,
        comfort_noise=comfort_noise and stream.comfort_noise and not stream.codec.passes_through,
        keys=srtp_keys(crypto, stream.agreement.theirs),
    )
