"""Why a call of a random story ended: what its record says has to have happened, and a failed handoff is no reason."""

from __future__ import annotations

from collections.abc import Iterator

from b2bua.call.record import CallRecord
from b2bua.feed import HandoffChanged
from b2bua.handoff.handoff import HandoffState
from tests.support.story_plan import RELEASING, TIME_LIMIT
from tests.support.story_stage import Stage


def faults_of_reason(stage: Stage, record: CallRecord) -> Iterator[str]:
    """What its record says did not happen. Nothing is said of calls that were joined: either may end both."""
    outcome = record.outcome
    if outcome is None or record.bridges or stage.wire.dead & {leg.sip_call_id for leg in record.legs}:
        return
    told = [event for event in stage.told.of(record.call_id) if isinstance(event, HandoffChanged)]
    taken = any(event.state is HandoffState.COMPLETED and event.method in ("refer", "bye") for event in told)
    happened = {
        "cancel": _left(stage, record, "caller"),
        "scheduled_hangup": _talked(record) >= TIME_LIMIT - 0.002,
        "media_timeout": _took(stage, "falls silent"),
        "shutdown": _took(stage, "drain"),
        "draining": _took(stage, "drain"),
        "media_engine_lost": _took(stage, "engine is lost"),
        "session_expired": stage.plan.rough or _took(stage, "kill"),
    }.get(outcome.name, True)
    if outcome.name == "normal_hangup":
        match outcome.source:
            case "api":
                happened = record.call_id in stage.deleted
            case "b2bua":
                # The SBC has the caller, nobody was found for one who was alone, or nobody was to be looked for.
                happened = taken or bool(outcome.detail) or _released(told)
            case role:
                happened = _left(stage, record, role)
    if not happened:
        yield f"{record.call_id}: {outcome} without a reason"


def _talked(record: CallRecord) -> float:
    """Seconds that count for the time limit: a process that follows a killed one counts from the answer of the phone,
    as it was written down in milliseconds, not from when its user had accepted."""
    answers = [leg.answered for leg in record.legs if leg.answered is not None]
    return (record.ended or 0.0) - min(answers, default=record.started)


def _took(stage: Stage, what: str) -> bool:
    return any(step.what == what for step in stage.plan.steps)


def _left(stage: Stage, record: CallRecord, role: str) -> bool:
    """Whether the user of a phone in that role hung up, or gave up."""
    own = {leg.sip_call_id for leg in record.legs if leg.role == role}
    parties = [party for phone in stage.phones.values() for party in phone.parties]
    return any(party.left for party in parties if party.session.call_id in own)


def _released(told: list[HandoffChanged]) -> bool:
    """Whether a handoff let the assistant go before the human had answered."""
    return any(event.request.release_assistant or event.destination in RELEASING for event in told)
