"""A call that we receive from a peer written by hand, and what that peer says in it."""

from __future__ import annotations

from sip_stack.dialog import ServerSession, SessionState
from sip_stack.events import InviteReceived
from sip_stack.message import Response
from tests.support.sip_text import Alone, sip_request

OFFER = b"v=0\r\n"
INVITE = sip_request("INVITE", branch="z9hG4bKinvite", body=OFFER)
NO_OFFER = sip_request("INVITE", branch="z9hG4bKinvite")


def incoming(alone: Alone, data: bytes = INVITE) -> ServerSession:
    alone.receive(data)
    return next(event.session for event in alone.events if isinstance(event, InviteReceived))


def answer(alone: Alone, session: ServerSession) -> Response:
    session.answer(alone.now, body=OFFER)
    (response,) = alone.drain()
    assert isinstance(response, Response)
    return response


def ack(session: ServerSession, cseq: int = 1, branch: str | None = None) -> bytes:
    return sip_request("ACK", to_tag=session.local_tag, cseq=cseq, branch=branch)


def established(alone: Alone, data: bytes = INVITE) -> ServerSession:
    session = incoming(alone, data)
    answer(alone, session)
    alone.receive(ack(session))
    assert session.state is SessionState.CONFIRMED
    return session


def within(
    session: ServerSession, method: str, cseq: int, body: bytes = b"", branch: str | None = None
) -> bytes:
    """A request of the peer in the dialog."""
    return sip_request(method, to_tag=session.local_tag, cseq=cseq, body=body, branch=branch)
