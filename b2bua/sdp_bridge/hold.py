"""Hold on one leg, in directions: what its peer wants, what the other side of the bridge does, what the peer knows.

RFC 3264 section 8.4, RFC 6337 section 5.3. A `Wish` comes in from the other side of the bridge, another goes out to it.
"""

from __future__ import annotations

from b2bua.sdp_bridge.wish import Wish
from sip_stack.sdp import Direction, common, turned

Directions = tuple[Direction, Direction, Direction, Direction | None]

_WISHES = {each: Wish(sends=each.sends, hears=each.receives) for each in Direction}


class Hold:
    """The directions of one leg; all but `wanted` from our side."""

    __slots__ = ("intent", "refused", "told", "wanted")

    def __init__(self) -> None:
        self.intent = Direction.SENDRECV
        """What the other side of the bridge wants: what we offer and answer."""
        self.told = Direction.SENDRECV
        """The intent that the peer knows."""
        self.wanted = Direction.SENDRECV
        """What the peer wants by its own will."""
        self.refused: Direction | None = None
        """The intent that the peer would not hear of."""

    @property
    def directions(self) -> Directions:
        """All of them, to be written down."""
        return self.intent, self.told, self.wanted, self.refused

    @directions.setter
    def directions(self, directions: Directions) -> None:
        self.intent, self.told, self.wanted, self.refused = directions

    @property
    def wish(self) -> Wish:
        """What the peer wants: what our own hold makes it say is not counted."""
        return _WISHES[self.wanted]

    @property
    def is_untold(self) -> bool:
        """True when the peer does not know the intent, and may be told."""
        return self.intent not in (self.told, self.refused)

    def permit(self, other: Wish) -> None:
        """The other side wants this from now on."""
        intent = Direction.of(sends=other.sends, receives=other.hears)
        if intent is not self.intent:
            self.intent, self.refused = intent, None

    def answer_to(self, theirs: Direction) -> Direction:
        """Our direction in an answer: what they want and the other side does (RFC 3264 section 6.1)."""
        return common(turned(theirs), self.intent)

    def was_offered(self, theirs: Direction, answer: Direction) -> None:
        """The peer has offered `theirs` in a running session, and we answer with `answer`."""
        # What it leaves out while we did not permit it is its own wish or what our hold made of it: where we permit it
        # by now, it has to be told, and its answer says which.
        unclear = (not (theirs.sends or self.told.receives) and self.intent.receives) or (
            not (theirs.receives or self.told.sends) and self.intent.sends
        )
        self.wanted = Direction.of(
            # No word about what we do not permit anyway is no wish: a phone on hold says recvonly of itself.
            sends=theirs.sends or (self.wanted.sends and not self.told.receives),
            receives=theirs.receives or (self.wanted.receives and not self.told.sends),
        )
        self.told = answer if unclear else self.intent

    def was_answered(self, ours: Direction, theirs: Direction) -> None:
        """The peer has answered our offer of `ours` with `theirs`."""
        self.told = ours
        if ours is Direction.SENDRECV:  # Else the answer is what our hold made of their wish.
            self.wanted = theirs
