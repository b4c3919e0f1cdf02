"""What must hold of a random call when it is over, whatever was drawn and whatever the network did to it."""

from __future__ import annotations

from b2bua.call.cause import CAUSES
from b2bua.call.record import AttemptRecord, CallRecord, LegRecord
from sip_stack.dialog import SessionState
from sip_stack.events import Acknowledged, Answered, Cancelled, Ended, Failed, Rejected
from tests.support.random_calls import RandomCall
from tests.support.random_party import TERMINAL, Party

KNOWN = {(row.name, row.code) for row in CAUSES.values()}
NEVER = {"internal_error", "overload", "media_engine_lost", "media_ports_exhausted", "shutdown"}
"""Outcomes that no plan asks for."""
SETTLED = 40.0
"""Seconds within which both sides of an answered call are over: 64*T1, and a lost BYE or two."""


def judge(call: RandomCall, records: list[CallRecord]) -> None:
    """Fails with the plan and the ladder of the call when something does not hold."""
    own = [record for record in records if record.legs[0].sip_call_id == call.caller.session.call_id]
    try:
        assert len(own) == 1, f"{len(own)} records"
        assert not call.disagreements, call.disagreements
        for party in (call.caller, *call.parties):
            check_party(party)
        check_record(own[0])
        _check_caller(call, own[0])
        _check_cause(call, own[0])
        _check_both_sides(call, own[0])
    except AssertionError as error:
        raise AssertionError(f"{error}\n{_story(call, own)}") from error


def check_party(party: Party) -> None:
    """Over, told so once, and answered only if its user did."""
    assert party.session.state is SessionState.ENDED, f"{party.phone.host} is left {party.session.state}"
    endings = sum(isinstance(event, TERMINAL) for event in party.events)
    assert endings == (0 if party.rejected else 1), f"{party.phone.host} ended {endings} times"


def check_record(record: CallRecord, possible: frozenset[str] = frozenset()) -> None:
    """Complete, in order of time, with causes from the table; those that are `possible` were asked for after all."""
    assert record.outcome is not None
    assert record.ended is not None
    outcomes = [record.outcome, *(attempt.outcome for attempt in record.attempts)]
    for outcome in outcomes:
        assert outcome is not None, "an attempt without an outcome"
        assert (outcome.name, outcome.code) in KNOWN, outcome
        assert outcome.name not in NEVER - possible, outcome
    assert record.started <= (record.answered or record.started) <= record.ended
    parts: list[AttemptRecord | LegRecord] = [*record.attempts, *record.legs]
    for part in parts:
        assert part.ended is not None, f"without an end: {part}"
        assert part.started <= (part.answered or part.started) <= part.ended, part
    assert all(leg.ended_by for leg in record.legs), record.legs
    if record.answered is None:
        assert (
            record.attempts == []
            or record.outcome.name == "cancel"
            or record.outcome in (attempt.outcome for attempt in record.attempts[-2:])
        ), "never answered: it ends as its last attempt did, or as one of two at once"


def _check_caller(call: RandomCall, record: CallRecord) -> None:
    """What the caller was told is what the record says."""
    assert record.outcome is not None
    answered = next((event for event in call.caller.events if isinstance(event, Answered)), None)
    rejected = next((event for event in call.caller.events if isinstance(event, Rejected)), None)
    assert not call.caller.saw(Failed), "the caller was never answered at all"
    if answered is not None:
        assert record.answered is not None, "the caller heard a 200 that the record does not know"
    elif rejected is not None:
        assert record.answered is None, "the caller was refused, the record says answered"
        assert rejected.response.status == record.outcome.caller_status
    else:
        assert call.gave_up, "no final response"
        assert record.answered is not None or record.outcome.caller_status, "left without an answer"


def _check_cause(call: RandomCall, record: CallRecord) -> None:
    """Causes that have one reason have it."""
    assert record.outcome is not None
    name, plan = record.outcome.name, call.plan
    reasons = {
        "cancel": call.gave_up,
        "scheduled_hangup": plan.ending in ("time limit", "no audio", "desk", "desk vanishes", "never ACKed"),
        "media_timeout": plan.ending == "no audio",
        "not_acknowledged": plan.ending == "never ACKed",
        "sip_auth_failed": plan.called == "billing",
        "busy": plan.answer == "refuse" or plan.called in ("pair", "fallback"),
        "media_not_acceptable": plan.answer == "useless" or plan.refusal in (488, 606) or not plan.offers,
    }
    assert reasons.get(name, True), f"{name} without a reason"
    if record.answered is not None:
        sources = {"caller": "caller", "desk": "agent", "api": "api"}
        wanted = sources.get(plan.ending)
        if name == "normal_hangup" and wanted is not None and not call.gave_up:
            assert record.outcome.source == wanted


def _check_both_sides(call: RandomCall, record: CallRecord) -> None:
    """Who was in the call learned of its end; who answered in vain was let go."""
    answered = [party for party in call.parties if party.answered]
    if record.answered is not None:
        assert answered, "answered, but by nobody"
        assert any(leg.role == "agent" and leg.answered is not None for leg in record.legs)
    dead = {party.session.call_id for party in (call.caller, *answered)} & call.wire.dead
    if dead or call.plan.ending == "never ACKed":
        return
    assert record.ended is not None
    for party in answered:
        # Its 200 may have waited for a PRACK when the caller left.
        assert party.saw(Ended) or party.saw(Cancelled), "answered, and never hung up on"
        assert party.ended_at is not None
        assert party.ended_at <= record.ended + SETTLED, "left alone in the call"
        if record.answered is not None and not party.saw(Acknowledged):
            ended = next(event for event in party.events if isinstance(event, Ended))
            # no_prack: another fork had answered, and its reliable response came too late for a PRACK.
            assert ended.by in ("remote", "no_ack", "no_prack", "local")
    if call.caller.saw(Answered):
        assert call.caller.ended_at is not None
        assert call.caller.ended_at <= record.ended + SETTLED, "the caller is left alone in the call"


def _story(call: RandomCall, records: list[CallRecord]) -> str:
    sides = {"caller": call.caller} | {
        f"{party.phone.host} #{n}": party for n, party in enumerate(call.parties)
    }
    ids = {party.session.call_id for party in sides.values()}
    ids.update(leg.sip_call_id for record in records for leg in record.legs)
    seen = [f"{name}: {[type(event).__name__ for event in party.events]}" for name, party in sides.items()]
    return "\n".join([str(call.plan), *map(str, records), *seen, call.wire.ladder(ids)])
