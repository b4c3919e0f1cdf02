"""Offers, theirs and ours while they are open, and what a re-offer changed."""

from __future__ import annotations

from dataclasses import field
from enum import Flag, auto

from b2bua.sdp_bridge.audio_stream import AudioStream, OurSections
from media.value_class import value_class
from sip_stack.sdp import OfferToken, Session, offered_host, parse


class Change(Flag):
    """What a re-offer changed in a stream."""

    NOTHING = 0
    DIRECTION = auto()
    CONNECTION = auto()
    PORT = auto()
    CODEC = auto()


@value_class
class RemoteOffer:
    """A first offer of a peer, before there is a leg for it."""

    session: Session = field(repr=False)
    """Not in a `repr`: there may be keys in it."""
    host: str | None
    """Where it wants audio, by which the version of IP of the leg is chosen; None where that is nowhere we could send
    to."""

    @classmethod
    def read(cls, body: bytes) -> RemoteOffer:
        """Raises `RemoteError` (400)."""
        session = parse(body)
        return cls(session, offered_host(session))


@value_class
class LocalOffer:
    """An offer of ours, while it is open: what to send, and what an answer to it refers to."""

    token: OfferToken
    body: bytes = field(repr=False)
    """Not in a `repr`: there may be keys in it."""
    ours: OurSections
    first: bool
    """True when there was nothing agreed before: several previews may answer it, the last one holds."""


@value_class
class Reoffer:
    """A re-offer of the peer that was followed: our answer, and what it changed."""

    change: Change
    answer: bytes = field(repr=False)


def change_of(before: AudioStream, now: AudioStream) -> Change:
    """What is another in a stream."""
    change = Change.NOTHING
    if before.direction is not now.direction:
        change |= Change.DIRECTION
    if (before.address and before.address[0]) != (now.address and now.address[0]):
        change |= Change.CONNECTION
    if before.media.port != now.media.port:
        change |= Change.PORT
    if before.format != now.format:
        change |= Change.CODEC
    return change
