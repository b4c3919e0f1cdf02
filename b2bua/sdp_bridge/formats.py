"""Codecs in SDP: their names, numbers, clocks and parameters (RFC 3551, RFC 4733, RFC 7587)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from media.engine import Codec
from sip_stack.sdp import Attribute, Media
from sip_stack.sdp.rtpmap import rtpmaps_of

PAYLOAD_TYPES = {Codec.PCMU: 0, Codec.PCMA: 8, Codec.G722: 9, Codec.OPUS: 96}
"""Our numbers for our codecs."""

TELEPHONE_EVENTS = {8000: 101, 48000: 102}
"""Our numbers for telephone-event by its clock, which is that of the audio beside it (RFC 4733 section 2.1); 101 is
what nearly every gateway uses."""

COMFORT_NOISE = 13
"""Payload type of comfort noise on an 8 kHz clock, for everybody."""

Format = tuple[int, Codec]
"""A payload type and the codec it stands for."""
Parameters = Mapping[Codec, str]
"""The fmtp text of codecs: what who listens wants to hear."""

_CHANNELS = {Codec.OPUS: 2}
"""In SDP opus always has two, whatever is sent (RFC 7587 section 7)."""
_BY_NAME = {codec.upper(): codec for codec in Codec}


Event = tuple[int, int]
"""Number and clock of a telephone-event."""


class AudioFormats(NamedTuple):
    """What the numbers of an audio section stand for, in the order of its m-line."""

    codecs: tuple[Format, ...]
    """Those an engine could carry."""
    events: tuple[Event, ...]


def formats_of(media: Media) -> AudioFormats:
    """What an audio section lists."""
    lines = media.lines
    read = _remembered_formats if lines.may_remember_formats else _read_formats
    return read(lines.formats, lines.rtpmaps)


def _read_formats(formats: tuple[str, ...], lines: tuple[str, ...]) -> AudioFormats:
    maps = rtpmaps_of(formats, lines)
    codecs = [
        (number, codec)
        for number, rtpmap in maps.items()
        if (codec := _BY_NAME.get(rtpmap.encoding.upper())) is not None
        and (rtpmap.clock_rate, rtpmap.channels) == (codec.clock_rate, _CHANNELS.get(codec, 1))
    ]
    events = [
        (number, rtpmap.clock_rate)
        for number, rtpmap in maps.items()
        if rtpmap.encoding.lower() == "telephone-event"
    ]
    return AudioFormats(tuple(codecs), tuple(events))


def event_beside(codec: Codec, events: Iterable[Event]) -> int | None:
    """Number of the events on the clock of `codec`; others cannot be mapped (RFC 4733 section 2.1)."""
    for number, clock in events:
        if clock == codec.clock_rate:
            return number
    return None


@lru_cache(maxsize=512)
def our_formats(codecs: tuple[Codec, ...]) -> tuple[Format, ...]:
    """These codecs with our numbers, for an offer."""
    return tuple((PAYLOAD_TYPES[codec], codec) for codec in codecs)


@lru_cache(maxsize=512)
def our_events(codecs: tuple[Codec, ...], number: int | None = None) -> tuple[Event, ...]:
    """The telephone-events beside these codecs, in an offer of ours; `number` is that beside G.711, where it is not
    ours to choose."""
    clocks = dict.fromkeys(codec.clock_rate for codec in codecs)
    ours = TELEPHONE_EVENTS if number is None else {**TELEPHONE_EVENTS, 8000: number}
    return tuple((ours[clock], clock) for clock in clocks)


def format_lines(
    formats: Iterable[Format],
    parameters: Parameters,
    events: Iterable[Event],
    *,
    comfort_noise: bool,
) -> tuple[tuple[str, ...], tuple[Attribute, ...]]:
    """The numbers and lines of an audio section, rtpmap lines for static payload types too: some phones want them."""
    numbers: list[str] = []
    attributes: list[Attribute] = []
    for number, codec in formats:
        numbers.append(str(number))
        channels = f"/{_CHANNELS[codec]}" if codec in _CHANNELS else ""
        attributes.append(("rtpmap", f"{number} {codec}/{codec.clock_rate}{channels}"))
        if codec in parameters:
            attributes.append(("fmtp", f"{number} {parameters[codec]}"))
    if comfort_noise:
        numbers.append(str(COMFORT_NOISE))
        attributes.append(("rtpmap", f"{COMFORT_NOISE} CN/8000"))
    for number, clock in events:
        numbers.append(str(number))
        attributes.append(("rtpmap", f"{number} telephone-event/{clock}"))
        attributes.append(("fmtp", f"{number} 0-15"))
    return tuple(numbers), tuple(attributes)


# The phones and gateways of a trunk say the same in each call.
_remembered_formats = lru_cache(maxsize=512)(_read_formats)
