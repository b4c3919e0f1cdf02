"""Offer and answer: whose turn it is (RFC 3264 section 4), and what a description in a message is (RFC 6337)."""

from __future__ import annotations

import pytest

from sip_stack.errors import LocalError
from sip_stack.sdp import BodyRole, Glare, Negotiation, StaleOffer, State, body_role

STABLE, LOCAL, REMOTE = State.STABLE, State.LOCAL_OFFER, State.REMOTE_OFFER
OFFER, ANSWER, PREVIEW, NOTHING = BodyRole.OFFER, BodyRole.ANSWER, BodyRole.PREVIEW, BodyRole.NOTHING


def test_one_round_after_the_other_from_either_side() -> None:
    talk = Negotiation()
    assert talk.state is STABLE
    ours = talk.offer_locally()
    assert talk.state is LOCAL
    talk.settle(ours)
    theirs = talk.offer_remotely()
    assert talk.state is REMOTE
    talk.withdraw(theirs)
    assert talk.state is STABLE


def test_two_offers_at_once_are_glare_whoever_makes_them() -> None:
    for first in ("offer_locally", "offer_remotely"):
        for second in ("offer_locally", "offer_remotely"):
            talk = Negotiation()
            token = getattr(talk, first)()
            with pytest.raises(Glare):
                getattr(talk, second)()
            talk.settle(token)


def test_only_the_open_offer_is_settled_or_withdrawn() -> None:
    talk = Negotiation()
    old = talk.offer_locally()
    talk.withdraw(old)
    new = talk.offer_locally()
    for late in (talk.settle, talk.withdraw, talk.check):
        with pytest.raises(StaleOffer):
            late(old)
    talk.settle(new)
    with pytest.raises(StaleOffer):
        talk.settle(new)


def test_a_token_of_another_leg_is_worth_nothing_once_the_counts_differ() -> None:
    here, there = Negotiation(), Negotiation()
    there.withdraw(there.offer_locally())
    token = there.offer_locally()
    here.offer_locally()
    with pytest.raises(StaleOffer):
        here.settle(token)


def test_both_errors_are_mistakes_of_ours_until_somebody_answers_491() -> None:
    assert issubclass(Glare, LocalError)
    assert issubclass(StaleOffer, LocalError)


@pytest.mark.parametrize(
    ("method", "status", "reliable", "state", "role"),
    [
        # RFC 3261 section 13.2.1: the INVITE has the offer, the first reliable non-failure response the answer.
        ("INVITE", None, True, STABLE, OFFER),
        ("INVITE", 183, False, LOCAL, PREVIEW),
        ("INVITE", 180, False, LOCAL, PREVIEW),
        ("INVITE", 100, False, LOCAL, NOTHING),
        ("INVITE", 200, True, LOCAL, ANSWER),
        ("INVITE", 200, True, STABLE, NOTHING),
        ("INVITE", 488, True, LOCAL, NOTHING),
        # RFC 3262 section 5.
        ("INVITE", 183, True, LOCAL, ANSWER),
        ("INVITE", 183, True, STABLE, NOTHING),
        ("PRACK", None, True, STABLE, OFFER),
        ("PRACK", None, True, LOCAL, ANSWER),
        ("PRACK", 200, True, LOCAL, ANSWER),
        # The offer was in our 2xx: its answer is in the ACK, and only the first ACK.
        ("ACK", None, True, LOCAL, ANSWER),
        ("ACK", None, True, STABLE, NOTHING),
        ("ACK", None, True, REMOTE, NOTHING),
        # RFC 3311 section 5.
        ("UPDATE", None, True, STABLE, OFFER),
        ("UPDATE", None, True, LOCAL, OFFER),
        ("UPDATE", 200, True, LOCAL, ANSWER),
        ("UPDATE", 491, True, LOCAL, NOTHING),
        # Nothing else negotiates.
        ("INFO", None, True, STABLE, NOTHING),
        ("INFO", 200, True, LOCAL, NOTHING),
        ("BYE", 200, True, LOCAL, NOTHING),
    ],
)
def test_what_a_description_is(
    method: str, status: int | None, reliable: bool, state: State, role: BodyRole
) -> None:
    assert body_role(method, status, reliable, state) is role
