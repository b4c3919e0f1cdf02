"""The records of a random story: of a process that has seen the end of a call, and of one that found it in the journal
and could not go on with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from b2bua.call.record import CallRecord, JsonObject
from b2bua.journal.closing import ClosedCall
from tests.support.kept_history import as_object, as_objects

if TYPE_CHECKING:
    from tests.support.story_stage import Stage

Record = CallRecord | ClosedCall


def records_of(stage: Stage) -> list[Record]:
    """All of them, of whichever kind."""
    return [*stage.world.records]


def dialogs_of(record: Record) -> list[str]:
    """Call-IDs of all its legs."""
    return [str(leg["sip_call_id"]) for leg in as_objects(record.as_json()["legs"])]


def handoffs_of(record: Record, handoff_id: str) -> list[JsonObject]:
    """What it says of a handoff."""
    return [each for each in as_objects(record.as_json()["handoffs"]) if each["id"] == handoff_id]


def faults_of_closed(stage: Stage, call: ClosedCall) -> Iterator[str]:
    """It is complete, and there was a kill."""
    record = call.as_json()
    outcome = as_object(record["outcome"])
    if not stage.kills.moments or outcome["name"] != "process_lost":
        done = any(each["method"] == "bye" for each in as_objects(record["handoffs"]))
        if not done:
            yield f"{call.call_id}: closed with {outcome}"
    for part in ("attempts", "handoffs", "legs"):
        for each in as_objects(record[part]):
            if each.get("outcome", each.get("ended_by")) is None:
                yield f"{call.call_id}: without an end: {each}"
