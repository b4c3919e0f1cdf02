"""What is written down of a call: enough to end it toward both sides, and to record it, without us."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from b2bua.journal import brought, ringing, waiting
from b2bua.journal.asked import Asked, read, written
from b2bua.journal.going_on import CallState, legs_up
from b2bua.telemetry.json_text import json_text
from sip_stack.dialog.snapshot import DialogSnapshot

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.call.record import JsonObject
    from b2bua.journal.brought import Brought
    from b2bua.journal.ringing import Ringing
    from b2bua.journal.seal import Seal
    from b2bua.journal.waiting import Waiting


class LegEntry(NamedTuple):
    """A leg whose far end is there."""

    role: str
    trunk: str
    """Its trunk; empty when it is none's."""
    place: str
    """The destination or assistant that was dialled; empty for who called us."""
    transport: str
    host: str
    """The far end's address."""
    port: int
    tls_name: str
    """What its certificate had to name; empty unless we made a TLS connection."""
    dialog: DialogSnapshot


class JournalEntry(NamedTuple):
    """A call at a moment."""

    call_id: str
    run: str
    """The process that wrote it."""
    record: JsonObject
    """The record as it is so far, with its handoffs as the API shows them."""
    legs: tuple[LegEntry, ...]
    asked: tuple[Asked, ...] = ()
    """In the order of the handoffs."""
    ringing: tuple[Ringing, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    """Who called us and may have no final response."""
    brought: tuple[Brought, ...] = ()
    """Humans of handoffs of calls that are over."""
    state: CallState | None = None
    """What it takes to go on with it; None when it can only be ended."""

    def as_text(self, seal: Seal | None = None) -> str:
        """As it is kept. What has keys in it is sealed, or left out where there is no seal."""
        asked = written(self.asked, seal, self.call_id)
        told = brought.written(self.brought, seal)
        ending = (self.call_id, self.run, self.record, self.legs, asked, self.ringing, self.waiting, told)
        if self.state is None or (self.state.has_keys and seal is None):
            return json_text(ending)
        state = self.state.plain()
        if self.state.has_keys and seal is not None:
            state = seal.close(json_text(state), self.call_id)
        return json_text((*ending, state))

    @classmethod
    def read(cls, text: str, seal: Seal | None = None) -> JournalEntry:
        """Raises `ValueError`, `TypeError` or `KeyError` for what is none of ours. A state that cannot be read is as
        good as none."""
        call_id, run, record, legs, asked, those_who_ring, who_waits, told, *going_on = json.loads(text)
        state: CallState | None = None
        with suppress(ValueError):
            state = _read_state(going_on[0], call_id, seal) if going_on else None
        return cls(
            call_id,
            run,
            cast("JsonObject", dict(record)),
            tuple(map(_read_leg, legs)),
            read(asked, seal, call_id),
            ringing.read(those_who_ring),
            waiting.read(who_waits),
            brought.read(told, seal),
            state,
        )


def entry_of(call: Call, run: str) -> JournalEntry:
    """The call as it is now."""
    for leg, kept in call.recorded_legs():
        if kept.ended is not None:
            leg.note_statistics(kept)  # Nobody can be asked later how its audio was.
    record = call.record.as_json()
    node = call.record.node
    record["handoffs"] = [{"channel": "voice", "node": node, **each.as_json()} for each in call.handoffs]
    legs = tuple(map(_entry_of, legs_up(call)))
    asked = tuple(map(Asked.of, call.handoffs))
    unanswered = (ringing.ringing_of(call), waiting.waiting_of(call))
    state = CallState.of(call) if call.answered else None
    return JournalEntry(call.id, run, record, legs, asked, *unanswered, brought.brought_to(call), state)


def _entry_of(leg: Leg) -> LegEntry:
    session = leg.session
    assert session.dialog is not None, "its far end is there"
    flow = session.flow
    return LegEntry(
        leg.role,
        leg.far_end.trunk,
        "" if leg.place is None else leg.place.name,
        flow.transport,
        flow.remote[0],
        flow.remote[1],
        "" if flow.peer is None else flow.peer.name,
        DialogSnapshot.of(session.dialog),
    )


def _read_state(going_on: object, call_id: str, seal: Seal | None) -> CallState | None:
    """None for one that nobody here can open. Raises `ValueError`."""
    if not isinstance(going_on, str):
        return CallState.read(going_on)
    return None if seal is None else CallState.read(json.loads(seal.open(going_on, call_id)))


def _read_leg(fields: list[object]) -> LegEntry:
    *plain, dialog = fields
    call_id, local, remote, target, route_set, cseq = cast("list[object]", dialog)
    snapshot = DialogSnapshot(
        str(call_id),
        str(local),
        str(remote),
        str(target),
        tuple(map(str, cast("list[object]", route_set))),
        int(cast("int", cseq)),
    )
    role, trunk, place, transport, host, port, tls_name = plain
    return LegEntry(
        str(role),
        str(trunk),
        str(place),
        str(transport),
        str(host),
        int(cast("int", port)),
        str(tls_name),
        snapshot,
    )
