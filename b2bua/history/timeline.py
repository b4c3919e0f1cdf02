"""What happened in a call, in order, from the times that records keep anyway."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2bua.call.record import CallRecord, JsonObject
    from b2bua.handoff.handoff import Handoff


def timeline(record: CallRecord, handoffs: Iterable[Handoff]) -> list[JsonObject]:
    """The moments of a call, the earliest first."""
    clock = record.clock
    moments: list[tuple[float | None, str, str]] = [(record.started, "received", "caller")]
    for attempt in [*record.attempts, *(each for handoff in handoffs for each in handoff.attempts)]:
        moments += [
            (attempt.started, "dialing", attempt.destination),
            (attempt.challenged, "challenged", attempt.destination),
            (attempt.ringing, "ringing", attempt.destination),
            (attempt.answered, "answered", attempt.destination),
            (attempt.ended, "ended", attempt.destination),
        ]
    for handoff in handoffs:
        moments.append((handoff.created, "handoff", handoff.destination))
        if handoff.state.final:
            moments.append((handoff.updated, f"handoff {handoff.state}", handoff.destination))
    moments += [(leg.started, "replaced", leg.role) for leg in record.legs if leg.replaces is not None]
    moments += [(bridge.at, "joined", bridge.call_id) for bridge in record.bridges]
    moments += [(record.answered, "answered", "caller"), (record.ended, "ended", "caller")]
    known = [(at, event, who) for at, event, who in moments if at is not None]
    return [{"at": clock.stamp(at), "event": event, "who": who} for at, event, who in sorted(known)]


def with_notes(call: JsonObject) -> list[JsonObject]:
    """The timeline of a call as the API shows it, with the moments of its notes."""
    moments = [
        *_objects(call["timeline"]),
        *(
            {"at": note["at"], "event": "annotated", "who": note["author"]}
            for note in _objects(call["annotations"])
        ),
        *(
            {"at": said["at"], "event": f"outcome {said['result']}", "who": said["agent"]}
            for handoff in _objects(call["handoffs"])
            if isinstance(said := handoff["resolution"], dict)
        ),
    ]
    return sorted(moments, key=lambda moment: str(moment["at"]))


def _objects(value: object) -> list[JsonObject]:
    assert isinstance(value, list), "a list of JSON objects"
    return value
