"""The feed: in order, to whoever listens to that kind, and never at the expense of a call."""

from __future__ import annotations

import json

from b2bua.call import cause
from b2bua.call.clock import CallClock
from b2bua.feed import (
    CallAnswered,
    CallEnded,
    CallStarted,
    Entry,
    Feed,
    FeedEvent,
    HandoffChanged,
)
from b2bua.handoff.handoff import HandoffRequest, HandoffState
from sip_stack.auth import Credentials

CLOCK = CallClock(0.0)


def started(call_id: str = "call-1") -> CallStarted:
    return CallStarted(call_id, CLOCK, 1.0, "acme-sbc", "sip:alice@sbc", "support")


def answered(call_id: str = "call-1") -> CallAnswered:
    return CallAnswered(call_id, CLOCK, 2.0, "assistant", "")


class Heard:
    """A listener that writes down what it hears."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def hear(self, entry: Entry) -> None:
        self.entries.append(entry)


class Broken:
    """A listener with a defect."""

    def hear(self, entry: Entry) -> None:
        raise KeyError("a defect")


def test_every_listener_hears_the_kinds_it_asked_for_in_order() -> None:
    feed, everything, starts = Feed(), Heard(), Heard()
    feed.listen(everything, [CallStarted, CallAnswered])
    feed.listen(starts, [CallStarted])
    events: list[FeedEvent] = [started(), answered(), started("call-2")]
    for event in events:
        feed.publish(event)
    assert [entry.event for entry in everything.entries] == events
    assert [entry.number for entry in everything.entries] == [1, 2, 3]
    assert [entry.number for entry in starts.entries] == [1, 3], "an event has one number, whoever hears it"


def test_who_left_hears_nothing_and_the_others_go_on() -> None:
    feed, gone, there = Feed(), Heard(), Heard()
    for listener in (gone, there):
        feed.listen(listener, [CallStarted])
    feed.leave(gone)
    feed.leave(gone)
    feed.publish(started())
    assert (len(gone.entries), len(there.entries)) == (0, 1)


def test_a_listener_with_a_defect_costs_neither_the_call_nor_another_listener() -> None:
    feed, other = Feed(), Heard()
    feed.listen(Broken(), [CallStarted])
    feed.listen(other, [CallStarted])
    feed.publish(started())
    assert len(other.entries) == 1
    assert feed.defects == 1


def test_events_show_facts_and_no_secrets() -> None:
    request = HandoffRequest(
        route=("sip:a@b",),
        credentials=Credentials("acme", "s3cret-of-billing", None),
        reason="refund",
        action_url="https://app.example/done?token=s3cret",
    )
    busy = cause.from_response(486, "Busy Here")
    events: list[FeedEvent] = [
        CallEnded("call-1", CLOCK, 3.0, busy, 0),
        HandoffChanged(
            "call-1", CLOCK, 3.0, "handoff-1", HandoffState.FAILED, "invite", "", request, busy, None
        ),
    ]
    shown = [event.as_json() for event in events]
    assert [(each["event"], each["call_id"]) for each in shown] == [
        ("call.ended", "call-1"),
        ("handoff", "call-1"),
    ]
    assert shown[1]["outcome"] == busy.as_record()
    assert "s3cret" not in json.dumps(shown) + repr(events[1].request.credentials)  # type: ignore[attr-defined]
