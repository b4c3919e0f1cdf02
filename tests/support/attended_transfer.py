"""What a phone with two calls does to join those it talks to: REFER with Replaces (RFC 5589 section 7)."""

from __future__ import annotations

from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.dialog.refer import refer_to
from sip_stack.events import RequestCompleted
from tests.support.b2bua_world import B2BUA, Phone

Session = ClientSession | ServerSession


def replaces(session: Session) -> str:
    """A dialog as its far end, which is us, has to see it."""
    return f"{session.call_id};to-tag={session.remote_tag};from-tag={session.local_tag}"


async def refer(phone: Phone, on: Session, value: str) -> int:
    """REFER on one dialog to what `value` names; the status."""
    headers = [("Refer-To", refer_to(f"sip:b2bua@{B2BUA}", [("Replaces", value)]))]
    count = len([event for event in phone.events if isinstance(event, RequestCompleted)])
    phone.do(lambda now: on.request(now, "REFER", headers=headers))
    done = await phone.until(RequestCompleted, count=count + 1)
    assert done.response is not None
    return done.response.status
