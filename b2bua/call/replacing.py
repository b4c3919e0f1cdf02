"""INVITE with Replaces (RFC 3891): somebody takes the place of one of the two in a call, or of one who is being called.

They get 200 at once, are on the terms of whom they replace, and are heard as the human of a handoff is. A call that
rings is picked up: whoever was called gets CANCEL. What cannot be done is refused, and then nothing has changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from b2bua.call import cause, recording, telling
from b2bua.call.dialled_leg import DialledLeg
from b2bua.call.events import PickedUp, Replaced
from b2bua.call.new_leg import open_leg, read_offer
from b2bua.call.received_leg import ReceivedLeg
from b2bua.call.switching import switch
from media.engine import NoAddress, PortsExhausted
from sip_stack.dialog import SessionState
from sip_stack.errors import RemoteError

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from sip_stack.dialog import ServerSession
    from sip_stack.message import Request

BEING_REPLACED = "somebody is taking the place of one of the two"

REPLACED = cause.local("normal_hangup", source="b2bua")
"""Why whoever was replaced is let go."""


def is_dialled_at(leg: Leg, session: ServerSession) -> bool:
    """Whether an INVITE comes from the host that the INVITE of `leg` went to: whoever knows both tags there is them."""
    return leg.place is not None and leg.session.source.remote[0] == session.source.remote[0]


def replace_leg(old: Leg, session: ServerSession, request: Request) -> None:
    """Answer an INVITE whose sender may have the place of `old`. Raises `RemoteError`, and then nothing has changed."""
    if old.session.source.transport == "tls" and session.source.transport != "tls":
        raise RemoteError(403, "Not over TLS")
    call = old.call
    ringing = isinstance(old, DialledLeg) and old.session.state is SessionState.EARLY
    _check(call, old, ringing=ringing)
    new = _newcomer(call, old, session, request)
    stays = call.peer if old is call.caller else call.caller
    if stays is not None:
        new.follow(stays.wish)
        new.share(stays)
    new.answer()
    telling.leg_answered(new)
    call.log.info("replaced", leg=old.role, by=new.record.remote_address, ringing=ringing)
    if isinstance(old, DialledLeg) and ringing:
        old.picked_up_by = new
        call.inbox.put(PickedUp(old, new))
        return
    if old is call.caller:
        call.caller = new
    else:
        call.peer = new
    new.attempt, old.attempt = old.attempt, None
    call.note_up()
    call.replacement = Replaced(old, new)
    call.inbox.put(call.replacement)


async def take_place(call: Call, replacement: Replaced) -> None:
    """Whoever stays hears the newcomer from their first audio on; then whom they replace is let go."""
    old, new = replacement.leg, replacement.by
    stays = call.peer if new is call.caller else call.caller
    try:
        if stays is None or new.over or not await switch(call, stays, new):
            return
    finally:
        call.replacement = None
        old.hang_up(REPLACED)
        call.media.close_leg(old.media)
    caller, peer = call.caller, call.peer
    if caller is not None and peer is not None:
        call.join(caller, peer, heard_already=True)
        call.watch(peer)
        caller.wait_for_keys(peer.hangs_up_on_star)
        if new is caller:
            recording.go_on(call)


def _check(call: Call, old: Leg, *, ringing: bool) -> None:
    """Whether the place of `old` is one that can be taken now."""
    if call.over or old.over or (isinstance(old, DialledLeg) and old.picked_up_by is not None):
        raise RemoteError(603, "The dialog is over")
    if ringing:
        return
    if (
        call.handoff is not None
        or call.replacement is not None
        or call.caller is None
        or call.peer is None
        or call.caller.over
        or call.peer.over
        or old not in (call.caller, call.peer)
    ):
        raise RemoteError(480, "Not now")


def _newcomer(call: Call, old: Leg, session: ServerSession, request: Request) -> ReceivedLeg:
    """The leg of the INVITE, on the terms of the old one."""
    far_end = old.far_end
    session.use(call.configuration.extensions_for(far_end.trunk, old.place))
    offer = read_offer(request)
    try:
        media = open_leg(call, old.role, far_end.trunk, session.flow.remote[0], offer)
        try:
            new = ReceivedLeg(call, old.role, media, far_end, session, request, offer)
        except (RemoteError, NoAddress):
            call.media.close_leg(media)
            raise
    except PortsExhausted:
        raise RemoteError(503, "No port is free") from None
    except NoAddress as error:
        raise RemoteError(488, str(error)) from None
    new.place, new.timers, new.origin = old.place, old.timers, old.origin
    new.record.replaces = old.session.call_id
    if old.facts is not None:
        new.facts = replace(old.facts, id=session.call_id)
    call.add_leg(new)
    return new
