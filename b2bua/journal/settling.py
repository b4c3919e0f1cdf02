"""What was under way when a process was killed, brought to an end by the next one.

A human who had answered, and whom nothing kept from being heard any more, gets the caller. A REFER is followed to its
end. Of any other handoff nothing comes: the caller goes on with whom they had, and whoever else was there is let go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from b2bua.call import attempts, cause
from b2bua.call.events import HangUp, Transferred
from b2bua.call.restored_leg import RestoredLeg
from b2bua.handoff.consultation import ConsultPhase
from b2bua.handoff.handoff import HandoffState
from b2bua.handoff.invite import connect

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.handoff.handoff import Handoff


class There(NamedTuple):
    """Who is there, beside the peer."""

    caller: Leg | None
    newcomer: Leg | None
    """The human who gets the caller."""
    others: list[Leg]
    """Those who are let go."""


def settle(call: Call, there: There) -> None:
    """Bring a call that has just been restored to rest. Nothing is waited for."""
    caller, newcomer, others = there
    for leg in (caller, call.peer):
        if leg is not None:
            attempts.tie(call, leg)
    if caller is None:  # A call of our own, which nobody has joined yet.
        assert call.peer is not None, "somebody was called"
        call.media.hear(call.peer.media, None)
        call.watch(call.peer)
    elif newcomer is not None:
        assistant = connect(call, caller, newcomer, call.handoffs[-1], heard_already=False)
        if assistant is not None:
            call.leaving.append(assistant)
            call.inbox.put(Transferred(assistant))
    elif call.peer is not None:
        call.join(caller, call.peer)
        call.watch(call.peer)
        caller.wait_for_keys(call.peer.hangs_up_on_star)
    for leg in (caller, call.peer):
        if leg is not None:
            leg.agree()
            _tell_where(leg)
    lost = cause.local("process_lost")
    for leg in others:
        leg.hang_up(lost)
        call.media.close_leg(leg.media)
    _close_records(call, lost)
    for handoff in call.handoffs:
        _settle_handoff(call, caller, handoff, lost)
    call.note_up()


def _settle_handoff(call: Call, caller: Leg | None, handoff: Handoff, lost: cause.Outcome) -> None:
    if _is_referred(call, handoff):
        call.handoff = handoff
        if caller is not None and call.peer is None:
            call.media.hear(caller.media, call.ringback())
    elif not (handoff.is_connected or handoff.state.final):
        _fail(call, handoff, lost)
    elif handoff.method == "refer" and handoff.state is HandoffState.COMPLETED:
        # The far side has the caller, and had a moment to hang up by itself.
        call.inbox.put(HangUp("b2bua"))


def _tell_where(leg: Leg) -> None:
    """Who knows us at another address finds us by the Contact of a re-INVITE (RFC 3261 section 12.2.2)."""
    if isinstance(leg, RestoredLeg) and leg.moved:
        leg.reoffers.refresh()


def _is_referred(call: Call, handoff: Handoff) -> bool:
    """Whether what becomes of its REFER can still be told, by the destination that it was for."""
    handoff.referred = handoff.referred if not handoff.state.final else None
    place = call.configuration.destinations.get(handoff.destination)
    return handoff.referred is not None and place is not None and place.method == "refer"


def _fail(call: Call, handoff: Handoff, lost: cause.Outcome) -> None:
    """Nothing comes of it: whoever rang for it has nobody to answer to."""
    now = call.services.now()
    if handoff.consult not in (None, ConsultPhase.ACCEPTED, ConsultPhase.DECLINED):
        handoff.move_consult(ConsultPhase.DECLINED, now)
    handoff.close(lost, now)


def _close_records(call: Call, lost: cause.Outcome) -> None:
    """Those who rang, and those of whom nothing is left, are not of the call any more."""
    now, there = call.services.now(), {id(leg.record) for leg in call.legs}
    for record in call.record.legs:
        if id(record) not in there:
            record.end("b2bua", now)
    for attempt in call.record.attempts:
        if attempt.answered is None:
            attempt.close(now, lost)
