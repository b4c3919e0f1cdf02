"""Which codecs one leg may have: fewer and fewer, as it is settled what the other side of the bridge has.

G.711 is understood, so any two legs that have it hear each other. Other codecs are passed through, and only suit a peer
whose other side has the same (`b2bua.call.codecs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from b2bua.sdp_bridge.audio_stream import StreamReader
from b2bua.sdp_bridge.formats import formats_of, our_formats
from media.engine import passes_through

if TYPE_CHECKING:
    from b2bua.encryption import MediaProtection
    from b2bua.sdp_bridge.audio_stream import AudioStream, OurSections
    from b2bua.sdp_bridge.formats import Format, Parameters
    from media.engine import Codec


class CodecChoice:
    """The codecs of one leg, in order of preference, and who reads its peer's descriptions by them."""

    def __init__(
        self, codecs: Sequence[Codec], parameters: Parameters, *, ipv6: bool, protection: MediaProtection
    ) -> None:
        self.codecs = self._known = tuple(codecs)
        self.parameters = parameters
        """What the other side of the bridge wants to hear, of codecs that are passed through."""
        self.reader = StreamReader(self.codecs, ipv6=ipv6, protection=protection)
        self.passes = passes_through(self.codecs)
        """Some of them only suit a peer whose other side has the same."""

    @property
    def formats(self) -> tuple[Format, ...]:
        """All of them with our numbers, for an offer."""
        return our_formats(self.codecs)

    def said(self, stream: AudioStream) -> tuple[Codec, ...]:
        """Those that the peer says it has, in its order: settled or not."""
        return tuple(codec for _, codec in formats_of(stream.media).codecs if codec in self._known)

    def follow(self, stream: AudioStream, codec: Codec | None, parameters: Parameters) -> AudioStream:
        """The stream of the peer's offer with the codec of the other side, if that is passed through, else with G.711;
        as it is where that was not offered."""
        if codec is None:
            return stream
        same = _like(codec, self.said(stream))
        if not same:
            return stream
        self.parameters = parameters
        return self.reader.with_codec(stream, same[0])

    def keep(self, ours: OurSections, stream: AudioStream) -> OurSections:
        """From now on the peer may change to what can be heard on the other side, and to nothing else."""
        if not self.passes:
            return ours
        kept = stream.codec
        self._use(
            (kept,) if kept.passes_through else [each for each in self.codecs if not each.passes_through]
        )
        return ours.with_codecs(self.codecs)

    def change(self, stream: AudioStream, codec: Codec | None, parameters: Parameters) -> bool:
        """The other side has another codec than was settled here: from now on it is that one. False, and nothing is
        changed, when the peer has said nothing of having it."""
        same = [] if codec is None else _like(codec, self._known)
        if not set(same).intersection(self.said(stream)):
            return False
        self.parameters = parameters
        self._use(same)
        return True

    def _use(self, codecs: Sequence[Codec]) -> None:
        self.codecs = tuple(codecs)
        self.reader = self.reader.for_codecs(self.codecs)


def _like(codec: Codec, codecs: Sequence[Codec]) -> list[Codec]:
    """Those of them that who has `codec` can hear."""
    return [each for each in codecs if each is codec or not (each.passes_through or codec.passes_through)]
