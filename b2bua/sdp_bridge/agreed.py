"""What one leg's descriptions have come to, as values that can be written down and put in force again.

Of a leg whose audio is encrypted there are none: its keys would stand in them.
"""

from __future__ import annotations

from typing import NamedTuple

from b2bua.sdp_bridge.audio_stream import AudioStream, OurSections
from b2bua.sdp_bridge.formats import Event
from b2bua.sdp_bridge.hold import Directions
from media.engine import Address, Codec, StreamParameters
from sip_stack.sdp import Direction, Media, Origin, Session, parse

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
    parameters: StreamParameters
    """What the engine was told."""
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
        body: bytes,
        version: int,
        directions: Directions,
        *,
        comfort_noise: bool,
    ) -> Agreed:
        """`directions` are intent, told, wish and refused."""
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
            parameters,
            *directions,
            comfort_noise,
        )

    @property
    def said(self) -> Session:
        """Our description. Raises `RemoteError` when it cannot be read."""
        return parse(self.body.encode("latin-1"))

    @property
    def ours(self) -> OurSections:
        """Our sections in force."""
        said = self.said
        return OurSections(said.media, self.slot, said.direction_of(said.media[self.slot]), self.events)

    @property
    def stream(self) -> AudioStream:
        """Theirs, understood."""
        (media,) = _media_of(self.heard)
        return AudioStream(
            self.slot,
            media,
            self.direction,
            self.address,
            self.codec,
            self.payload_type,
            self.telephone_event,
        )


def _media_of(text: str) -> tuple[Media, ...]:
    return parse(text.encode("latin-1")).media
