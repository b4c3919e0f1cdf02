"""The codecs an engine carries, and what it can do with each."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property, lru_cache


class Codec(StrEnum):
    """The audio codecs an engine carries, by their RTP encoding name (RFC 3551 section 4.5, RFC 7587)."""

    PCMU = "PCMU"
    PCMA = "PCMA"
    G722 = "G722"
    OPUS = "opus"

    @cached_property
    def clock_rate(self) -> int:
        """Of its RTP timestamps, Hz. That of G.722 is half its sampling rate (RFC 3551 section 4.5.2)."""
        return 48000 if self is Codec.OPUS else 8000

    @cached_property
    def passes_through(self) -> bool:
        """True for what is carried as it is: nothing of it is made, mixed, recorded, listened to or turned into another
        codec. A leg that has it hears nothing where a prompt or silence in time would be sent."""
        return self not in G711


G711 = (Codec.PCMU, Codec.PCMA)
"""What an engine understands."""


@lru_cache(maxsize=64)
def passes_through(codecs: tuple[Codec, ...]) -> bool:
    """True when some of them only suit a far end that has the same."""
    return any(codec.passes_through for codec in codecs)
