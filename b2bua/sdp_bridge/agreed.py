"""What one leg's descriptions have come to, as values that can be written down and put in force again.

Of a leg whose audio is encrypted both keys stand in them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from b2bua.sdp_bridge.audio_stream import AudioStream, OurSections
from b2bua.sdp_bridge.formats import Event
from b2bua.sdp_bridge.hold import Directions
from b2bua.sdp_bridge.media_security import Agreement, srtp_keys
from b2bua.sdp_bridge.offers import LocalOffer
from media.engine import Address, Codec, StreamParameters
from sip_stack.errors import LocalError
from sip_stack.sdp import Crypto, Direction, Media, Origin, Session, cryptos_of, parse

_NOBODY = Origin("-", "0", "0", "IP4", "0.0.0.0")


class Agreed(NamedTuple):
    """Both descriptions in force, and what each side wants."""

    body: str
    """Ours. Octets as characters, like `heard`."""
    version: int
    """Of the last description that we said; higher than that of `body` when one was refused since."""
    slot: int
    """Which section is the audio."""
    events: tuple[Event, ...]
    """The telephone-events in ours."""
    heard: str
    """Their section."""
    direction: Direction
    """From their side."""
    address: Address | None
    codec: Codec
    payload_type: int
    telephone_event: int | None
    tags: tuple[int, int] | None
    """Of the lines with our key and with theirs; None for plain RTP."""
    plain: StreamParameters
    """What the engine was told, but for keys."""
    intent: Direction
    told: Direction
    wish: Direction
    refused: Direction | None
    comfort_noise: bool

    @classmethod
    def of(
        cls,
        ours: OurSections,
        stream: AudioStream,
        parameters: StreamParameters,
        key: Crypto | None,
        body: bytes,
        version: int,
        directions: Directions,
        *,
        comfort_noise: bool,
    ) -> Agreed:
        """`key` is our line in force, `directions` are intent, told, wish and refused."""
        theirs = stream.agreement.theirs
        heard = Session(_NOBODY, None, (stream.media,)).encode()
        return cls(
            body.decode("latin-1"),
            version,
            ours.slot,
            ours.events,
            heard.decode("latin-1"),
            stream.direction,
            stream.address,
            stream.codec,
            stream.payload_type,
            stream.telephone_event,
            None if key is None or theirs is None else (key.tag, theirs.tag),
            replace(parameters, keys=None),
            *directions,
            comfort_noise,
        )

    @property
    def said(self) -> Session:
        """Our description. Raises `RemoteError` when it cannot be read."""
        return parse(self.body.encode("latin-1"))

    def __repr__(self) -> str:
        """Without keys."""
        return f"<{self.codec}, {'SRTP' if self.is_encrypted else 'RTP'}, version {self.version}>"

    @property
    def is_encrypted(self) -> bool:
        """True when keys stand in it."""
        return self.tags is not None

    @property
    def key(self) -> Crypto | None:
        """Our line in force."""
        return None if self.tags is None else _line(self.said.media[self.slot], self.tags[0])

    @property
    def ours(self) -> OurSections:
        """Our sections in force: with one key, though others may have been offered."""
        said = self.said
        audio = said.media[self.slot]
        offered = tuple(cryptos_of(audio))
        sections = OurSections(said.media, self.slot, said.direction_of(audio), self.events, offered)
        return sections.with_key(self.key)

    @property
    def parameters(self) -> StreamParameters:
        """What the engine was told."""
        return replace(self.plain, keys=srtp_keys(self.key, self.stream.agreement.theirs))

    @property
    def stream(self) -> AudioStream:
        """Theirs, understood."""
        (media,) = parse(self.heard.encode("latin-1")).media
        theirs = None if self.tags is None else _line(media, self.tags[1])
        return AudioStream(
            self.slot,
            media,
            self.direction,
            self.address,
            self.codec,
            self.payload_type,
            self.telephone_event,
            Agreement(theirs),
        )


class Offered(NamedTuple):
    """Our first offer, which nobody has answered yet."""

    body: str
    """Octets as characters."""
    slot: int
    events: tuple[Event, ...]
    intent: Direction
    """As the other side wants it by now."""
    comfort_noise: bool

    @classmethod
    def of(cls, offer: LocalOffer, intent: Direction, *, comfort_noise: bool) -> Offered:
        """The offer as it was made."""
        return cls(offer.body.decode("latin-1"), offer.ours.slot, offer.ours.events, intent, comfort_noise)

    def __repr__(self) -> str:
        """Without keys."""
        return f"<offer in slot {self.slot}>"

    @property
    def said(self) -> Session:
        """Raises `RemoteError` when it cannot be read."""
        return parse(self.body.encode("latin-1"))

    @property
    def is_encrypted(self) -> bool:
        """True when keys stand in it."""
        return bool(self.ours.cryptos)

    @property
    def ours(self) -> OurSections:
        """What it offers."""
        said = self.said
        audio = said.media[self.slot]
        keys = tuple(cryptos_of(audio))
        return OurSections(said.media, self.slot, said.direction_of(audio), self.events, keys)


def _line(media: Media, tag: int) -> Crypto:
    """Raises `LocalError` when it is not there."""
    for line in cryptos_of(media):
        if line.tag == tag:
            return line
    raise LocalError("the key that was agreed on is missing")
