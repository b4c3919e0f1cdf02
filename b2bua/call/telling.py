"""What the feed is told of a call and of its legs; an event is made when somebody listens to its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.feed import CallAnswered, CallEnded, CallStarted, DigitPressed, LegAnswered, LegEnded, LegRinging

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.cause import Outcome
    from b2bua.call.left import Left
    from b2bua.call.leg import Leg


def call_started(call: Call) -> None:
    """Somebody calls, or is called."""
    record = call.record
    facts = record.started, record.trunk, record.caller, record.called
    call.services.feed.tell(CallStarted, call.id, record.clock, *facts)


def call_answered(call: Call, now: float, by: Leg | Left) -> None:
    """The caller is answered, by whom this leg leads to, or led to: they may have gone before the 200 could go."""
    where = "" if by.place is None else by.place.name
    call.services.feed.tell(CallAnswered, call.id, call.record.clock, now, by.role, where)


def call_ended(call: Call) -> None:
    """It is over, and recorded."""
    record = call.record
    assert record.ended is not None, "it has ended"
    assert record.outcome is not None, "it has ended"
    call.services.feed.tell(
        CallEnded, call.id, record.clock, record.ended, record.outcome, record.duration_ms
    )


def digit_pressed(call: Call, leg: Leg, digit: str, duration_ms: int) -> None:
    """A key, with the handoff that has brought whom the caller talks to."""
    last = call.handoffs[-1] if call.handoffs else None
    handoff_id = last.id if last is not None and last.is_talking else ""
    of_leg = leg.role, leg.record.sip_call_id
    call.services.feed.tell(
        DigitPressed, call.id, call.record.clock, call.services.now(), *of_leg, digit, duration_ms, handoff_id
    )


def leg_ringing(leg: Leg, status: int) -> None:
    """The far end has said so, by this 1xx."""
    if leg.facts is not None:
        call = leg.call
        call.services.feed.tell(LegRinging, call.id, call.record.clock, leg.now(), leg.facts, status)


def leg_answered(leg: Leg) -> None:
    """The far end has."""
    if leg.facts is not None:
        call = leg.call
        call.services.feed.tell(LegAnswered, call.id, call.record.clock, leg.now(), leg.facts)


def leg_ended(leg: Leg, now: float, by: str, outcome: Outcome) -> None:
    """However it began."""
    if leg.facts is not None:
        call, answered = leg.call, leg.record.answered
        call.services.feed.tell(LegEnded, call.id, call.record.clock, now, leg.facts, outcome, by, answered)
