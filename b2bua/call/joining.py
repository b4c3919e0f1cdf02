"""Two calls become one: a leg of one is brought to the other, and those whom both talked to before are let go.

Done in one step, between two events of either call, so that neither can change its mind in between. The call that is
joined goes on as any call; the one that a leg left lives on without it, for as long as that leg does, so that its
record, its limits and `DELETE` mean what they did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from b2bua.call import attempts, cause
from b2bua.call.call import CallOver, MovedOn
from b2bua.call.codecs import check_understood
from b2bua.call.events import Ended, Joined, Moved, MoveOver, Transferred
from b2bua.call.record import BridgeRecord
from b2bua.call.replacing import BEING_REPLACED
from b2bua.control import ControlError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.call.record import CallRecord
    from b2bua.handoff.handoff import Handoff

JOINED = cause.local("normal_hangup", source="b2bua")
"""Why those are let go whom the two talked to before."""

_LONG = 3600.0
"""Seconds between two looks at nothing: no wait without a deadline."""
_OTHER_SIDE = {"caller": "agent", "agent": "caller"}


class Origin(NamedTuple):
    """Where a human comes from who was brought to another call."""

    record: CallRecord
    """Of the call that they were handed."""
    handoff: Handoff


def bridge(call: Call, other: Call) -> None:
    """Let those hear each other for whom two calls are there. Raises `ControlError`, and then nothing has changed."""
    if call is other:
        raise ControlError(400, "invalid_request", "a call cannot be joined with itself", "call_id")
    for each in (call, other):
        _check(each)
    # A call of our own has no caller: it is the one that is brought, unless both are.
    host, guest = (call, other) if call.caller is not None or other.caller is None else (other, call)
    check_understood((host.caller or host.peer, guest.caller or guest.peer), "joining two calls")
    if host.caller is None:
        host.caller, host.peer = host.peer, None
    leg = guest.caller or guest.peer
    assert host.caller is not None, "checked"
    assert leg is not None, "checked"
    _release(host)
    if leg is guest.caller:
        _release(guest)
    _bring(leg, guest, host)
    host.peer = leg
    host.join(host.caller, leg)
    host.watch(leg)
    host.inbox.put(Joined())
    host.log.info("joined", with_call=guest.id)


def transfer(leg: Leg, consulted: Leg) -> None:
    """The far end of both legs leaves the two it talks to together, in the call of `leg`; that call lets it go once it
    knows. Raises `ControlError`, and then nothing has changed."""
    call, guest = leg.call, consulted.call
    if call is guest:
        raise ControlError(409, "call_not_answered", "both are of one call")
    for each, own in ((call, leg), (guest, consulted)):
        _check(each)
        if own not in (each.caller, each.peer) or each.caller is None:
            raise ControlError(409, "call_not_answered", "it talks to nobody there")
    survivor = guest.peer if consulted is guest.caller else guest.caller
    assert survivor is not None, "checked"
    check_understood((survivor, call.peer if leg is call.caller else call.caller), "joining two calls")
    if leg is call.caller:
        call.caller, call.peer = call.peer, None
    else:
        call.lose_peer(JOINED)
    if consulted is guest.peer:
        _release(guest)
    assert call.caller is not None, "checked"
    _bring(survivor, guest, call)
    call.peer = survivor
    call.join(call.caller, survivor)
    call.watch(survivor)
    call.leaving.append(leg)
    call.inbox.put(Transferred(leg))
    call.log.info("transferred", by=leg.role, with_call=guest.id)


def dismiss(call: Call, leg: Leg) -> None:
    """Let somebody go who has joined those they talked to."""
    call.leaving.remove(leg)
    leg.hang_up(JOINED)
    call.media.close_leg(leg.media)


def _check(call: Call) -> None:
    if call.over:
        raise ControlError(409, "call_ended", "the call has ended")
    if call.handoff is not None:
        raise ControlError(409, "handoff_running", f"handoff {call.handoff.id} is under way")
    if call.replacement is not None:
        raise ControlError(409, "call_not_answered", BEING_REPLACED)
    legs = [leg for leg in (call.caller, call.peer) if leg is not None]
    if not call.answered or not legs or call.peer is None or any(leg.over for leg in legs):
        raise ControlError(
            409, "call_not_answered", "nobody has answered the call, or it talks in another one"
        )


def _release(call: Call) -> None:
    peer = call.peer
    if peer is not None:
        call.release_peer(JOINED)
        call.media.close_leg(peer.media)


def _bring(leg: Leg, guest: Call, host: Call) -> None:
    """Make a leg of `guest` one of `host`: its media, its events, a record of its own there."""
    now = host.services.now()
    host.media.adopt(leg.media, guest.media)
    lasts = guest.caller in (leg, None)
    if leg.home is not None:
        # It was brought here itself, and is no longer where that call could find it.
        leg.home.inbox.put(MoveOver(leg, JOINED))
    guest.caller = guest.peer = guest.bridge = None
    leg.origin = leg.origin or _origin(leg, guest)
    leg.call, leg.home = host, guest if lasts else None
    assert host.caller is not None, "there is somebody to talk to"
    leg.role = "agent" if host.caller.role != "agent" else "caller"
    leg.record = replace(leg.record, role=leg.role, started=now, answered=now)
    host.add_leg(leg)
    for call, with_call in ((host, guest), (guest, host)):
        call.record.bridges.append(BridgeRecord(with_call.id, now))
    # Before what it has not heard yet, or it would look for the leg and find that nobody is left.
    guest.inbox.put_first(Moved(leg, host, lasts))
    guest.note_up()


def _origin(leg: Leg, guest: Call) -> Origin | None:
    facts = leg.facts
    if facts is None:
        return None
    brought = (each for each in guest.handoffs if each.id == facts.handoff_id)
    return next((Origin(guest.record, each) for each in brought), None)


def bring_again(leg: Leg, guest: Call) -> None:
    """Of a leg that was in another call when the process ended: `guest`, which has just been restored, is its home."""
    leg.home = guest
    for record in guest.record.legs:
        if record.sip_call_id == leg.record.sip_call_id and record.ended is None:
            guest.take_leg(leg, record)
    attempts.tie(guest, leg)
    guest.inbox.put(Moved(leg, leg.call, lasts=True))


async def lasting(call: Call, story: Coroutine[None, None, cause.Outcome]) -> cause.Outcome:
    """The story to its end, wherever its leg goes."""
    try:
        return await story
    except MovedOn as moved:
        for leg in list(call.leaving):
            dismiss(call, leg)
        if not moved.lasts:
            # Its caller has left, and whom they talked to is elsewhere.
            _close_record(call, moved.leg)
            return cause.local("normal_hangup", source="caller")
        return await _away(call, moved.leg, moved.host)


async def _away(call: Call, leg: Leg, host: Call) -> cause.Outcome:
    """The leg is in another call: until that has let it go. Whoever ends this call ends the leg."""
    try:
        while True:
            try:
                event = await call.next_event(call.services.now() + _LONG)
            except TimeoutError:
                continue
            if isinstance(event, MoveOver) and event.leg is leg:
                outcome = event.outcome
                return replace(outcome, source=_OTHER_SIDE.get(outcome.source, outcome.source))
    except CallOver as over:
        leg.hang_up(over.outcome)
        host.inbox.put(Ended(leg, over.outcome))
        raise
    finally:
        if leg.home is call:
            leg.home = None
        _close_record(call, leg)


def _close_record(call: Call, leg: Leg) -> None:
    """The leg of the record of before ends with its time in this call."""
    for known, record in call.recorded_legs():
        if known is leg:
            record.end(record.role if leg.record.ended_by == leg.role else "b2bua", call.services.now())
