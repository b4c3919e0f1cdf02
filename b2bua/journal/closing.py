"""The record and the story of a call that ended with the process that carried it.

Nobody knows when that was: what was open then ends, by `process_lost`, when the next process finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from b2bua.call.cause import local, of_record
from b2bua.handoff.handoff import HandoffState

if TYPE_CHECKING:
    from b2bua.call.cause import Outcome
    from b2bua.call.record import JsonObject
    from b2bua.journal.entry import JournalEntry

_OF_A_RECORD = ("id", "destination", "method", "reason", "confirmed", "outcome", "attempts")
"""What records tell of a handoff (`Handoff.as_record`)."""


@dataclass(frozen=True, slots=True)
class ClosedCall:
    """What is kept of such a call."""

    call_id: str
    started: int
    """Milliseconds since 1970."""
    record: JsonObject
    story: JsonObject
    """As the API tells it."""
    handoffs: tuple[JsonObject, ...]
    """As the API shows them."""

    def as_json(self) -> JsonObject:
        """The line of the record file."""
        return self.record


def closed(entry: JournalEntry, outcome: Outcome, now: float) -> ClosedCall:
    """The call as it ends at `now`, seconds since 1970."""
    stamp = datetime.fromtimestamp(int(now * 1000) / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    left = entry.record
    handoffs = tuple(_closed_handoff(each, outcome, stamp) for each in _objects(left["handoffs"]))
    record: JsonObject = {
        **left,
        "ended": stamp,
        "duration_ms": 0
        if left["answered"] is None
        else max(round(now * 1000) - _milliseconds(left["answered"]), 0),
        "outcome": outcome.as_record(),
        "attempts": _closed_attempts(left, outcome, stamp),
        "handoffs": [{key: each[key] for key in _OF_A_RECORD} for each in handoffs],
        "legs": [
            {**leg, "ended": leg["ended"] or stamp, "ended_by": leg["ended_by"] or "b2bua"}
            for leg in _objects(left["legs"])
        ],
        "recordings": [
            each if each["ended"] else {**each, "state": "ended", "ended": stamp}
            for each in _objects(left["recordings"])
        ],
    }
    story = story_of({**record, "handoffs": list(handoffs)})
    return ClosedCall(entry.call_id, _milliseconds(left["started"]), record, story, handoffs)


def as_recorded(entry: JournalEntry, record: JsonObject) -> ClosedCall:
    """The call as its own process has recorded its end, for those who tell of it."""
    outcome = of_record(cast("JsonObject", record["outcome"])) or local("process_lost")
    ended = datetime.fromisoformat(str(record["ended"])).timestamp()
    call = closed(entry, outcome, ended)
    said = {str(each["id"]): each for each in _objects(record["handoffs"])}
    handoffs = tuple({**each, **said.get(str(each["id"]), {})} for each in call.handoffs)
    story = {**call.story, **record, "handoffs": list(handoffs)}
    return replace(call, record=record, story=story, handoffs=handoffs)


def story_of(record: JsonObject) -> JsonObject:
    """What the API tells of a call of which there is no more than the record of an entry."""
    moments = (("started", "received"), ("answered", "answered"), ("ended", "ended"))
    timeline = [
        {"at": record[key], "event": event, "who": "caller"}
        for key, event in moments
        if record[key] is not None
    ]
    return {**record, "timeline": timeline}


def _closed_handoff(handoff: JsonObject, outcome: Outcome, stamp: str) -> JsonObject:
    """What was connected is complete, what was under way has failed."""
    state = HandoffState(str(handoff["state"]))
    if state.final:
        return handoff
    end = HandoffState.COMPLETED if state is HandoffState.CONNECTED else HandoffState.FAILED
    return {
        **handoff,
        "state": str(end),
        "outcome": outcome.as_record(),
        "attempts": _closed_attempts(handoff, outcome, stamp),
        "updated": stamp,
    }


def _closed_attempts(of: JsonObject, outcome: Outcome, stamp: str) -> list[JsonObject]:
    return [
        each if each["ended"] else {**each, "ended": stamp, "outcome": outcome.as_record()}
        for each in _objects(of["attempts"])
    ]


def _milliseconds(stamp: object) -> int:
    return round(datetime.fromisoformat(str(stamp)).timestamp() * 1000)


def _objects(value: object) -> list[JsonObject]:
    return cast("list[JsonObject]", value)
