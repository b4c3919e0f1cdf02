"""Humans who were brought to a call from one that is over: the applications that asked for them are told how it ends
once they have hung up, and the call where they are is the only one of which anything is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from b2bua.call.joining import Origin
from b2bua.journal import asked
from b2bua.journal.asked import Asked
from b2bua.journal.going_on import legs_up
from b2bua.journal.reopened import reopened_handoffs, reopened_record
from b2bua.journal.told import Up, facts_of_leg

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.record import CallRecord, JsonObject
    from b2bua.config import Configuration
    from b2bua.feed import Feed
    from b2bua.journal.entry import JournalEntry
    from b2bua.journal.seal import Seal


class Brought(NamedTuple):
    """One of them."""

    leg: str
    """Its Call-ID."""
    record: JsonObject
    """Of the call that is over, with the handoff alone that has brought them, as the API shows it."""
    asked: tuple[Asked, ...]


def brought_to(call: Call) -> tuple[Brought, ...]:
    """Those who are in a call, and of whom somebody waits to be told."""
    found: list[Brought] = []
    for leg in legs_up(call):
        if leg.origin is None or not leg.origin.handoff.state.final:
            continue  # As long as its call lasts, that one's entry tells of the handoff.
        record, handoff = leg.origin
        if handoff.request.callback_url or handoff.request.action_url:
            shown = {"channel": "voice", "node": record.node, **handoff.as_json()}
            told = {**record.as_json(), "handoffs": [shown]}
            found.append(Brought(leg.session.call_id, told, (Asked.of(handoff),)))
    return tuple(found)


def written(brought: tuple[Brought, ...], seal: Seal | None) -> list[object]:
    """As it may stand in the journal."""
    return [(leg, record, asked.written(how, seal, str(record["call_id"]))) for leg, record, how in brought]


def read(plain: object, seal: Seal | None) -> tuple[Brought, ...]:
    """What was `written`. Raises `ValueError`, `TypeError` or `KeyError` for what is none of ours."""
    found: list[Brought] = []
    for leg, left, how in cast("list[list[object]]", plain):
        record = cast("JsonObject", left)
        found.append(Brought(str(leg), record, asked.read(how, seal, str(record["call_id"]))))
    return tuple(found)


class OfOrigin(NamedTuple):
    """A human with the call that they came from, as it is known again."""

    leg: str
    """Its Call-ID."""
    origin: Origin
    up: Up


def origins_of(
    entry: JournalEntry, host: CallRecord, now: float, configuration: Configuration, feed: Feed
) -> list[OfOrigin]:
    """Those of an entry, whose call has the record `host`. Raises as `reopened_record`."""
    found: list[OfOrigin] = []
    for brought in entry.brought:
        record = reopened_record(brought.record, now)
        (handoff,) = reopened_handoffs(brought.record, brought.asked, record.clock, configuration, feed)
        # Who has taken their place since is in the record of the call where they were then.
        legs = [leg for leg in (*record.legs, *host.legs) if leg.sip_call_id == brought.leg]
        answers = [leg.answered for leg in legs if leg.answered is not None]
        if not answers:
            raise KeyError(brought.leg)
        up = Up(facts_of_leg(entry, handoff, legs[0]), answers[0])
        found.append(OfOrigin(brought.leg, Origin(record, handoff), up))
    return found
