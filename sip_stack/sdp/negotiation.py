"""Offer and answer on one leg: whose turn it is, and which offer an answer is for.

RFC 3264 section 4, RFC 3261 sections 13.2.1 and 14, RFC 3262 section 5, RFC 3311 section 5, RFC 6337 section 2.

                       offer_locally                    offer_remotely
        LOCAL_OFFER  <---------------  STABLE  --------------->  REMOTE_OFFER
              |                         ^  ^                          |
              +---- settle, withdraw ---+  +---- settle, withdraw ----+

Opening an offer gives a token, and only that token settles it (the answer is in force) or withdraws it (the offer was
refused, or given up unsent: everything is as before it). A token whose offer is over is a `StaleOffer`, an offer on top
of an open one is `Glare`: a crossed or late answer is an error with a name, never a wrong description in force.

Pure: it sees no description and no message, and waits for nothing; what is said is in `local_description.py`, who may
send a re-INVITE when is `sip_stack.dialog`'s business.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from sip_stack.errors import LocalError


class State(StrEnum):
    """Whether an offer is open, and whose it is."""

    STABLE = "stable"
    LOCAL_OFFER = "local offer"
    REMOTE_OFFER = "remote offer"


class Glare(LocalError):
    """An offer while another is open; a peer that makes one is answered 491 (RFC 3261 section 14.2)."""


class StaleOffer(LocalError):
    """The offer is over already: answered, withdrawn, or never made here."""


class OfferToken(NamedTuple):
    """Stands for one offer while it is open."""

    number: int
    state: State
    """`LOCAL_OFFER` or `REMOTE_OFFER`."""


class Negotiation:
    """The state of one leg."""

    def __init__(self) -> None:
        self._open: OfferToken | None = None
        self._offers = 0

    @property
    def state(self) -> State:
        """Whose offer is open."""
        return State.STABLE if self._open is None else self._open.state

    def offer_locally(self) -> OfferToken:
        """We make an offer. Raises `Glare` when one is open."""
        return self._offer(State.LOCAL_OFFER)

    def offer_remotely(self) -> OfferToken:
        """The peer makes an offer. Raises `Glare` when one is open."""
        return self._offer(State.REMOTE_OFFER)

    def check(self, token: OfferToken) -> None:
        """Raises `StaleOffer` unless the offer is open."""
        if token != self._open:
            raise StaleOffer(f"offer {token.number} is not open")

    def settle(self, token: OfferToken) -> None:
        """The answer to an offer is in force. Raises `StaleOffer`."""
        self.check(token)
        self._open = None

    def withdraw(self, token: OfferToken) -> None:
        """An offer came to nothing. Raises `StaleOffer`."""
        self.check(token)
        self._open = None

    def _offer(self, state: State) -> OfferToken:
        if self._open is not None:
            raise Glare(f"offer {self._open.number} is open")
        self._offers += 1
        self._open = OfferToken(self._offers, state)
        return self._open


class BodyRole(StrEnum):
    """What a session description in a received message is."""

    OFFER = "offer"
    ANSWER = "answer"
    PREVIEW = "preview"
    """The answer to come, in a response that may get lost: good for early media, not the end of the round."""
    NOTHING = "nothing"
    """To be ignored: a repetition, or SDP where none belongs."""


def body_role(method: str, status: int | None, reliable: bool, state: State) -> BodyRole:
    """What a description received in that message is (RFC 6337 section 2.1).

    `status` is None for a request. `reliable` is whether a provisional response is one of RFC 3262; final ones always
    are. `state` is ours when the message arrives. An offer that comes out of turn is still an offer: opening it is
    what fails.
    """
    if status is None:
        return _request_role(method, state)
    if not 100 < status < 300 or method not in ("INVITE", "UPDATE", "PRACK"):
        return BodyRole.NOTHING
    if state is State.LOCAL_OFFER:
        return BodyRole.ANSWER if status >= 200 or reliable else BodyRole.PREVIEW
    # Our INVITEs always carry an offer, so a description in a response is never a new one: with no offer of ours open
    # it repeats the answer we have (a 2xx after a reliable 18x).
    return BodyRole.NOTHING


def _request_role(method: str, state: State) -> BodyRole:
    if method in ("INVITE", "UPDATE"):
        return BodyRole.OFFER
    if method in ("ACK", "PRACK") and state is State.LOCAL_OFFER:
        # The offer was in our response: the 2xx (ACK) or a reliable 1xx (PRACK).
        return BodyRole.ANSWER
    return BodyRole.OFFER if method == "PRACK" else BodyRole.NOTHING
