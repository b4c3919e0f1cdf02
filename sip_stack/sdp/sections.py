"""The media sections of an answer and of a re-offer: their order, their directions, those we do not carry.

RFC 3264 sections 6 and 8. Pure functions; which section is carried is chosen in `b2bua/sdp_bridge`.
"""

from __future__ import annotations

from functools import cache

from sip_stack.sdp.media_lines import Direction, MediaLines
from sip_stack.sdp.model import Media, Session
from sip_stack.sdp.not_acceptable import WARN_MEDIA, not_acceptable


def refuse(media: Media) -> Media:
    """The answer to a media section we do not carry: its own line with port 0 (RFC 3264 section 6)."""
    return Media(media.kind, 0, MediaLines(media.lines.protocol, media.lines.formats))


@cache
def turned(direction: Direction) -> Direction:
    """The same flow of media as the other side writes it: what one sends the other receives."""
    return Direction.of(sends=direction.receives, receives=direction.sends)


@cache
def common(one: Direction, other: Direction) -> Direction:
    """What both permit."""
    return Direction.of(sends=one.sends and other.sends, receives=one.receives and other.receives)


def check_slots(before: tuple[Media, ...], now: Session, carried: int) -> None:
    """Raises 488 unless a re-offer keeps the m-lines in place (RFC 3264 section 8).

    `before` are the sections of our description in force, `carried` is the slot of the stream in use. Sections beside
    it may come and go, they are refused one by one; but when it is switched off for one of them (fax in place of
    audio), there is nothing left that we could carry.
    """
    if len(now.media) < len(before):
        raise not_acceptable(WARN_MEDIA, "A media section is missing")
    stream = now.media[carried]
    if stream.kind.lower() != before[carried].kind.lower():
        raise not_acceptable(WARN_MEDIA, "The stream cannot be replaced by another kind")
    if not stream.port and any(media.port for media in now.media):
        raise not_acceptable(WARN_MEDIA, "No audio stream")
