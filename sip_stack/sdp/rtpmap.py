"""What payload types carry: rtpmap lines (RFC 8866 section 6.6) and the static types (RFC 3551)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

MAX_REMEMBERED = 1_024
"""Characters of lines whose meaning is remembered: longer ones would let a peer fill memory."""


class RtpMap(NamedTuple):
    """What a payload type carries (RFC 8866 section 6.6). `encoding` as written; compare it without case."""

    encoding: str
    clock_rate: int
    channels: int = 1


STATIC_PAYLOADS = {
    0: RtpMap("PCMU", 8000),
    3: RtpMap("GSM", 8000),
    4: RtpMap("G723", 8000),
    8: RtpMap("PCMA", 8000),
    9: RtpMap("G722", 8000),
    13: RtpMap("CN", 8000),
    15: RtpMap("G728", 8000),
    18: RtpMap("G729", 8000),
}
"""The audio payload types that need no rtpmap (RFC 3551 table 4), as far as telephony uses them."""


def rtpmaps_of(formats: tuple[str, ...], lines: tuple[str, ...]) -> Mapping[int, RtpMap]:
    """Payload type -> what it carries, for the formats of an m= line in their order, by its rtpmap lines.

    A format without a readable rtpmap has its static meaning; one with neither is left out.
    """
    return (_remembered_rtpmaps if may_remember(formats, lines) else _read_rtpmaps)(formats, lines)


def may_remember(formats: tuple[str, ...], lines: tuple[str, ...]) -> bool:
    """Whether what comes of them may be kept: they are not long."""
    return len("".join((*formats, *lines))) <= MAX_REMEMBERED


def _read_rtpmaps(formats: tuple[str, ...], lines: tuple[str, ...]) -> Mapping[int, RtpMap]:
    written: dict[str, RtpMap] = {}
    for line in lines:
        payload_type, _, text = line.partition(" ")
        if rtpmap := _parse_rtpmap(text):
            written.setdefault(payload_type, rtpmap)
    maps: dict[int, RtpMap] = {}
    for text in formats:
        number = decimal(text, 127)
        if number is not None and (found := written.get(text) or STATIC_PAYLOADS.get(number)):
            maps.setdefault(number, found)
    return MappingProxyType(maps)


# The phones and gateways of a trunk say the same in each call.
_remembered_rtpmaps = lru_cache(maxsize=512)(_read_rtpmaps)


def _parse_rtpmap(text: str) -> RtpMap | None:
    encoding, *rest = text.strip().split("/")
    clock_rate = decimal(rest[0], 10_000_000) if rest else None
    channels = decimal(rest[1], 255) if len(rest) == 2 else 1
    if not encoding or not clock_rate or not channels or len(rest) > 2:
        return None
    return RtpMap(encoding, clock_rate, channels)


def decimal(text: str, most: int) -> int | None:
    """A plain decimal of at most `most`; `int()` alone would take `+5`, `1_0` and other scripts' digits."""
    if len(text) > 8 or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= most else None
