"""What must hold of a random story when it is over, whatever was done in it and in whichever order."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise

from b2bua.call.record import CallRecord
from b2bua.feed import CallAnswered, CallEnded, CallStarted, HandoffChanged, LegAnswered, LegEnded, LegRinging
from b2bua.handoff.handoff import HandoffState
from b2bua.store import Kind
from b2bua.webhooks.parameters import FINAL
from sip_stack.dialog import SessionState
from sip_stack.events import Acknowledged
from tests.support.random_verdict import check_party, check_record
from tests.support.story_closed import Record, dialogs_of, faults_of_closed, handoffs_of, records_of
from tests.support.story_phones import FORKED, StoryParty
from tests.support.story_reasons import faults_of_reason
from tests.support.story_stage import Stage

NEXT: dict[HandoffState, set[HandoffState]] = {
    HandoffState.REQUESTED: {HandoffState.DIALING},
    HandoffState.DIALING: {HandoffState.RINGING, HandoffState.CONNECTED},
    HandoffState.RINGING: {HandoffState.DIALING, HandoffState.CONNECTED},
    HandoffState.CONNECTED: set(),
}
"""Where a handoff may go from where it is, beside its end. A fallback is dialled anew."""
LEFT_OVER = (Kind.TRANSFER, Kind.JOURNAL, Kind.WEBHOOK)
"""Documents that are there only while something is under way."""
OF_STEPS = {
    "drain": ("draining", "shutdown"),
    "engine is lost": ("media_engine_lost",),
    "ports run out": ("media_ports_exhausted",),
    "kill": ("process_lost",),
}
"""Outcomes that there are only where there was such a step."""
SETTLED = 40.0
"""Seconds within which every far end knows that a call is over: 64*T1, and a lost BYE or two."""


async def judge(stage: Stage) -> None:
    """Fails with all that does not hold."""
    faults = [*_faults(stage)]
    faults += [fault async for fault in _faults_of_history(stage)]
    assert not faults, "\n".join(faults)


def _faults(stage: Stage) -> Iterator[str]:
    yield from stage.logged
    yield from stage.kills.complaints
    yield from stage.audio.complaints
    yield from _faults_of_phones(stage)
    records = {record.call_id: record for record in records_of(stage)}
    if len(records) != len(stage.world.records):
        yield f"{len(stage.world.records)} records of {len(records)} calls"
    for call_id in stage.told.started:
        if (call_id in records) == (call_id in stage.kills.lost_calls):
            yield f"{call_id} has {'a' if call_id in records else 'no'} record"
    for record in records_of(stage):
        if isinstance(record, CallRecord):
            yield from _faults_of_record(stage, record)
            yield from faults_of_reason(stage, record)
        else:
            yield from faults_of_closed(stage, record)
    yield from _faults_of_legs(stage)
    for handoff_id, told in stage.told.handoffs.items():
        if handoff_id in stage.kills.lost_handoffs:
            continue
        yield from _faults_of_handoff(stage, handoff_id, told, records)
    for asked in stage.asked:
        if asked not in stage.told.handoffs:
            yield f"nothing was told of handoff {asked}"


def _faults_of_phones(stage: Stage) -> Iterator[str]:
    ended = _ends_of_dialogs(stage)
    for phone in stage.phones.values():
        for party in phone.parties:
            try:
                check_party(party)
            except AssertionError as error:
                yield f"{error}: {_shown(party)}"
            call_id = party.session.call_id
            alone = (party.ended_at or 0.0) - ended.get(call_id, float("inf"))
            # A fork that lost and was never told is the proxy's business.
            lost = party.phone.host in FORKED and not party.saw(Acknowledged)
            if alone > SETTLED and call_id not in stage.wire.dead | stage.kills.lost_dialogs and not lost:
                yield f"alone for {alone:.0f} s: {_shown(party)}"


def _ends_of_dialogs(stage: Stage) -> dict[str, float]:
    """When the call of each dialog was over; one that was brought to another call is over with the last of them."""
    ended: dict[str, float] = {}
    for record in records_of(stage):
        over = record.ended or 0.0 if isinstance(record, CallRecord) else stage.kills.over
        for dialog in dialogs_of(record):
            ended[dialog] = max(ended.get(dialog, 0.0), over)
    return ended


def _shown(party: StoryParty) -> str:
    return f"{party.phone.host} {party.session.call_id} {[type(event).__name__ for event in party.events]}"


def _faults_of_record(stage: Stage, record: CallRecord) -> Iterator[str]:
    try:
        steps = (step.what for step in stage.plan.steps)
        check_record(record, frozenset(name for what in steps for name in OF_STEPS.get(what, ())))
    except AssertionError as error:
        yield f"{record.call_id}: {error}"
    told = stage.told.of(record.call_id)
    if not told:
        return  # It was refused before it began.
    if not isinstance(told[0], CallStarted) or not isinstance(told[-1], CallEnded):
        yield f"{record.call_id} began with {told[0]} and ended with {told[-1]}"
    counts = Counter(type(event) for event in told)
    if (counts[CallStarted], counts[CallEnded]) != (1, 1) or counts[CallAnswered] > 1:
        yield f"{record.call_id}: {counts}"
    ended = next(event for event in told if isinstance(event, CallEnded))
    if (ended.outcome, ended.at) != (record.outcome, record.ended):
        yield f"{record.call_id}: told {ended}, written {record.outcome}"
    moments = [event.at for event in told if isinstance(event, CallAnswered)]
    untold = any(stage.kills.between(moment, told[-1].at) for moment in moments)
    # A 200 that waited for a PRACK when the caller gave up has answered nobody.
    untold |= record.answered is None and record.outcome is not None and record.outcome.name == "cancel"
    if not untold and (record.answered is not None) != (counts[CallAnswered] == 1):
        yield f"{record.call_id}: answered {record.answered}, told {counts[CallAnswered]} times"
    handoffs = [event.handoff_id for event in told if isinstance(event, HandoffChanged)]
    handoffs = [each for each in handoffs if each not in stage.kills.lost_handoffs]
    if list(dict.fromkeys(handoffs)) != [each["id"] for each in record.handoffs]:
        yield f"{record.call_id}: told of handoffs {handoffs}, written {record.handoffs}"


def _faults_of_legs(stage: Stage) -> Iterator[str]:
    """A leg rings at most once, is answered at most once, ends once, in that order, in whichever call it is by then."""
    legs: dict[str, list[LegRinging | LegAnswered | LegEnded]] = {}
    for event in stage.told.events:
        if isinstance(event, LegRinging | LegAnswered | LegEnded):
            legs.setdefault(event.leg.id, []).append(event)
    order = ["leg.ringing", "leg.answered", "leg.ended"]
    for leg_id, told in legs.items():
        names = [event.name for event in told]
        # What the next process does not go on with it does not tell of (docs/restart.md).
        ended = names[-1] == "leg.ended" or any(told[-1].at <= moment for moment in stage.kills.moments)
        if names[-2:] == ["leg.ended", "leg.ended"] and stage.kills.between(told[-2].at, told[-1].at):
            names.pop()
        if names != [name for name in order if name in names] or not ended:
            yield f"leg {leg_id}: {names}"


def _faults_of_handoff(
    stage: Stage, handoff_id: str, told: list[HandoffChanged], records: dict[str, Record]
) -> Iterator[str]:
    codes = [str(event.outcome.code) for event in told if event.outcome is not None]
    states = [event.state for event in told]
    if states[0] is not HandoffState.REQUESTED or not states[-1].final:
        yield f"handoff {handoff_id}: {states}"
    for event, then in pairwise(told):
        state, following = event.state, then.state
        goes_on = (following.final and not state.final) or following in NEXT.get(state, set())
        if not goes_on and not stage.kills.between(event.at, then.at):
            yield f"handoff {handoff_id}: {state} and then {following}"
    last = told[-1]
    outcome = None if last.outcome is None else last.outcome.as_record()
    if last.call_id not in records:
        yield f"handoff {handoff_id} of {last.call_id}, which has no record"
        return
    written = handoffs_of(records[last.call_id], handoff_id)
    if [each["outcome"] for each in written] != [outcome] or outcome is None:
        yield f"handoff {handoff_id}: told {outcome}, written {written}"
    if [each["confirmed"] for each in written] != [last.confirmed]:
        yield f"handoff {handoff_id}: confirmed {last.confirmed}, written {written}"
    requests = [each for each in stage.application.told_once() if each["HandoffID"] == handoff_id]
    if last.request.action_url is not None:
        finals = [each for each in requests if each["Event"] == FINAL]
        if len(finals) != 1 or requests[-1] is not finals[0]:
            yield f"handoff {handoff_id}: webhooks {[each['Event'] for each in requests]}"
        elif finals[0]["DialBLegHangupCauseCode"] not in codes:
            yield f"handoff {handoff_id}: webhook {finals[0]}, told {last.outcome}"


async def _faults_of_history(stage: Stage) -> AsyncIterator[str]:
    """What the API tells afterwards is what was written, and nothing says that something is under way."""
    await stage.wait(1.0)
    flagged = {stage.told.handoffs[each][-1].call_id for each in stage.kills.lost_handoffs}
    for kind, key in stage.watched.keeping.backend.documents:
        if kind in LEFT_OVER and (kind, key) not in {(Kind.TRANSFER, call_id) for call_id in flagged}:
            yield f"a document is left: {kind} {key}"
    for handoff_id, told in stage.told.handoffs.items():
        if handoff_id in stage.kills.lost_handoffs:
            continue
        shown = await stage.operations.handoff(handoff_id)
        outcome = None if told[-1].outcome is None else told[-1].outcome.as_record()
        if (shown["state"], shown["outcome"]) != (str(told[-1].state), outcome):
            yield f"handoff {handoff_id}: the API shows {shown}, told {told[-1]}"
    for record in records_of(stage):
        if isinstance(record, CallRecord) and stage.kills.between(record.ended or 0.0, float("inf")):
            continue  # That it was over had not been written down.
        shown, written = await stage.operations.call(record.call_id), record.as_json()["outcome"]
        if shown["outcome"] != written:
            yield f"{record.call_id}: the API shows {shown['outcome']}, written {written}"


def assert_nothing_left(stage: Stage) -> None:
    """No port, timer, place among the limits or open session."""
    world = stage.world
    assert world.media.free_ports == world.media.capacity
    assert not world.registry.running, world.registry.running
    for stack in (world.stack, *(phone.stack for phone in stage.phones.values())):
        assert stack.endpoint.next_timer() is None, "a timer is left"
    for phone in stage.phones.values():
        assert all(party.session.state is SessionState.ENDED for party in phone.parties)
