"""The record of a call, and its handoffs, as an earlier process has written them: values to go on with.

Moments become loop times of this process, mostly negative ones. What was said to it alone is gone: the headers that a
handoff was asked for with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from b2bua.call import cause
from b2bua.call.clock import CallClock
from b2bua.call.record import AttemptRecord, BridgeRecord, CallRecord, LegRecord, RecordingRecord
from b2bua.handoff.consultation import ConsultPhase
from b2bua.handoff.handoff import Confirmed, Handoff, HandoffRequest, HandoffState
from b2bua.headers import Dropped

if TYPE_CHECKING:
    from b2bua.call.record import JsonObject
    from b2bua.config import Configuration
    from b2bua.feed import Feed
    from b2bua.journal.asked import Asked


def reopened_record(left: JsonObject, now: float) -> CallRecord:
    """The record as it was. Raises `KeyError`, `TypeError` or `ValueError` for what is none of ours."""
    clock = CallClock(now)
    return CallRecord(
        call_id=str(left["call_id"]),
        session_id=str(left["session_id"]),
        node=str(left["node"]),
        trunk=str(left["trunk"]),
        caller=str(left["caller"]),
        called=str(left["called"]),
        started=clock.moment(str(left["started"])),
        clock=clock,
        answered=_moment(clock, left["answered"]),
        attempts=[_attempt(each, clock) for each in _objects(left["attempts"])],
        legs=[_leg(each, clock) for each in _objects(left["legs"])],
        bridges=[
            BridgeRecord(str(each["call_id"]), clock.moment(str(each["at"])))
            for each in _objects(left["bridges"])
        ],
        recordings=[_recording(each, clock) for each in _objects(left["recordings"])],
    )


def reopened_handoffs(
    record: JsonObject,
    asked: tuple[Asked, ...],
    clock: CallClock,
    configuration: Configuration,
    feed: Feed,
) -> list[Handoff]:
    """Its handoffs, and how each was `asked` for. Raises as `reopened_record`."""
    pairs = zip(_objects(record["handoffs"]), asked, strict=True)
    return [_handoff(left, how, clock, configuration, feed) for left, how in pairs]


def _handoff(
    left: JsonObject, asked: Asked, clock: CallClock, configuration: Configuration, feed: Feed
) -> Handoff:
    name = str(left["destination"])
    # Where it went is history: nobody dials it any more.
    first = configuration.destinations.get(name) or configuration.default_destination
    consult = left["consult"]
    return Handoff(
        id=str(left["id"]),
        call_id=str(left["call_id"]),
        request=HandoffRequest(
            destination=name,
            reason=str(left["reason"]),
            utterance=str(left["utterance"]),
            shared_id=str(left["shared_id"]),
            data=cast("dict[str, str]", left["data"]),
            asked_by=asked.by,
            idempotency_key=asked.idempotency_key,
            callback_url=first.callback_url if asked.callback_url is None else asked.callback_url or None,
            action_url=first.action_url if asked.action_url is None else asked.action_url or None,
        ),
        first=first,
        method=str(left["method"]),
        destination=name,
        created=clock.moment(str(left["created"])),
        updated=clock.moment(str(left["updated"])),
        clock=clock,
        state=HandoffState(str(left["state"])),
        attempts=[_attempt(each, clock) for each in _objects(left["attempts"])],
        outcome=cause.of_record(cast("JsonObject", left["outcome"] or {})),
        confirmed=cast("Confirmed | bool | None", left["confirmed"]),
        headers_sent=list(cast("dict[str, str]", left["headers_sent"]).items()),
        headers_dropped=[
            Dropped(str(each["name"]), str(each["reason"])) for each in _objects(left["headers_dropped"])
        ],
        consult=None if consult is None else ConsultPhase(str(consult)),
        in_hand=True,
        feed=feed,
    )


def _attempt(left: JsonObject, clock: CallClock) -> AttemptRecord:
    return AttemptRecord(
        destination=str(left["destination"]),
        method=str(left["method"]),
        target=str(left["target"]),
        encryption=str(left["encryption"]),
        started=clock.moment(str(left["started"])),
        challenged=_moment(clock, left["challenged"]),
        ringing=_moment(clock, left["ringing"]),
        answered=_moment(clock, left["answered"]),
        ended=_moment(clock, left["ended"]),
        outcome=cause.of_record({**cast("JsonObject", left["outcome"]), "detail": left["detail"]}),
    )


def _leg(left: JsonObject, clock: CallClock) -> LegRecord:
    return LegRecord(
        role=str(left["role"]),
        sip_call_id=str(left["sip_call_id"]),
        local_tag=str(left["local_tag"]),
        remote_tag=str(left["remote_tag"]),
        remote_address=str(left["remote_address"]),
        transport=str(left["transport"]),
        started=clock.moment(str(left["started"])),
        has_srtp=str(left["encryption"]).endswith("/srtp"),
        answered=_moment(clock, left["answered"]),
        ended=_moment(clock, left["ended"]),
        ended_by=_text(left["ended_by"]),
        media=cast("JsonObject", left["media"]),
        session_id=_text(left["session_id"]) or "",
        replaces=_text(left["replaces"]),
    )


def _recording(left: JsonObject, clock: CallClock) -> RecordingRecord:
    return RecordingRecord(
        path=str(left["path"]),
        started=clock.moment(str(left["started"])),
        state=cast("Literal['ended', 'failed']", left["state"]),
        ended=_moment(clock, left["ended"]),
        error=_text(left["error"]),
        dropped=cast("int", left["dropped"]),
    )


def _moment(clock: CallClock, stamp: object) -> float | None:
    return None if stamp is None else clock.moment(str(stamp))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _objects(value: object) -> list[JsonObject]:
    return cast("list[JsonObject]", value)
