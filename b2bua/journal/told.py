"""What listeners of the feed must know of a handoff that an earlier process began, to be told how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from b2bua.feed import LegFacts

if TYPE_CHECKING:
    from b2bua.call.record import CallRecord, LegRecord
    from b2bua.handoff.handoff import Handoff
    from b2bua.journal.entry import JournalEntry


CUT = 0.001
"""Stamps are cut to milliseconds."""
HEARD = 0.5
"""Seconds in which an attempt has heard that its leg has answered, at the latest."""


class Up(NamedTuple):
    """A human who has answered and is there."""

    leg: LegFacts
    answered: float
    """Loop time."""


Follow = Callable[["CallRecord", list["Handoff"], list[Up]], None]
"""Takes the handoffs of a call, those that are over included, and whom they have brought."""


def facts_of(entry: JournalEntry, record: CallRecord, handoffs: list[Handoff]) -> list[Up]:
    """The humans whom the handoffs of a call have brought and who are there: who has the caller while another is
    consulted, and who was handed on and so has a handoff that is over."""
    return [
        Up(facts_of_leg(entry, handoff, leg), leg.answered)
        for leg in record.legs
        if leg.role == "agent" and leg.answered is not None and leg.ended is None
        for handoff in _handoffs_of(leg, handoffs)
    ]


def _handoffs_of(leg: LegRecord, handoffs: list[Handoff]) -> list[Handoff]:
    """The handoff that has brought a leg, the last one before it; none when that is over and has brought another."""
    before = [each for each in handoffs if each.created - CUT <= leg.started]
    return [each for each in before[-1:] if not each.state.final or _has_brought(each, leg)]


def _has_brought(handoff: Handoff, leg: LegRecord) -> bool:
    """Whether the leg is of an attempt of the handoff. Who came from another call stands in this one from then on."""
    if leg.answered is None:
        return False
    answers = [each.answered for each in handoff.attempts if each.answered is not None]
    return any(-CUT <= each - leg.answered <= HEARD for each in answers)


def facts_of_leg(entry: JournalEntry, handoff: Handoff, leg: LegRecord) -> LegFacts:
    """What the feed told of a leg; as far as its record knows, where its state is not there."""
    for state in () if entry.state is None else entry.state.legs:
        if state is not None and state.facts is not None and state.facts.id == leg.sip_call_id:
            return state.facts
    answered = [each for each in handoff.attempts if each.answered is not None]
    return LegFacts(
        id=leg.sip_call_id,
        role=leg.role,
        destination=answered[-1].destination if answered else "",
        target=answered[-1].target if answered else "",
        from_user="",
        handoff_id=handoff.id,
    )
