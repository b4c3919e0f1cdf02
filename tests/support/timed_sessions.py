"""Sessions with a session timer (RFC 4028), of ours and of theirs, against a peer written by hand."""

from __future__ import annotations

from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.events import Ended, InviteReceived
from sip_stack.extensions import Extensions, TimerTerms, Use
from sip_stack.message import Request, Response
from sip_stack.settings import EndpointSettings
from tests.support.sip_text import Alone, sip_request, sip_response, statuses

CONTACT = "Contact: <sip:them@10.0.0.2:5060>"
ALLOW = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE"
KNOWS = "Supported: timer"
OFFER = b"v=0\r\n"
SETTINGS = EndpointSettings(supported=("timer",))


def terms(use: Use = "supported", expires: int = 90, **options: object) -> Extensions:
    """What we say of session timers."""
    return Extensions(TimerTerms(use, expires, **options))  # type: ignore[arg-type]


def call(extensions: Extensions, **options: object) -> tuple[Alone, ClientSession, Request]:
    """Our INVITE."""
    alone = Alone(SETTINGS)
    session, invite = alone.invite(OFFER, extensions, **options)
    return alone, session, invite


def called(*answer: str, extensions: Extensions | None = None) -> tuple[Alone, ClientSession]:
    """An answered call of ours; `answer` are lines of the 2xx."""
    alone, session, invite = call(extensions or terms())
    alone.receive(sip_response(invite, 200, headers=[CONTACT, *answer], body=OFFER))
    assert session.state is SessionState.CONFIRMED
    return alone, session


def invited(*lines: str) -> tuple[Alone, ServerSession]:
    """An INVITE of theirs that nobody has answered yet."""
    alone = Alone(SETTINGS)
    alone.receive(sip_request("INVITE", branch="z9hG4bKinvite", headers=lines, body=OFFER))
    return alone, next(event.session for event in alone.events if isinstance(event, InviteReceived))


def taken(*lines: str, extensions: Extensions | None = None) -> tuple[Alone, ServerSession, Response]:
    """A call of theirs that we answered, and our 2xx."""
    alone, session = invited(*lines)
    session.use(extensions or terms())
    session.answer(alone.now, body=OFFER)
    (answer,) = alone.drain()
    assert isinstance(answer, Response)
    alone.receive(sip_request("ACK", to_tag=session.local_tag))
    return alone, session, answer


def within(session: ServerSession | ClientSession, method: str, cseq: int, *lines: str) -> bytes:
    """A request of theirs in the dialog."""
    return sip_request(
        method,
        to_tag=session.local_tag,
        cseq=cseq,
        headers=lines,
        call_id=session.call_id,
        body=OFFER if method == "INVITE" else b"",
    )


def ended_by(alone: Alone) -> str:
    """Who ended it."""
    (ended,) = [event for event in alone.events if isinstance(event, Ended)]
    return ended.by


def update_of(alone: Alone, seconds: float) -> Request:
    """The UPDATE that refreshes, after so long."""
    assert statuses(alone.wait(seconds - 1)) == []
    (update,) = alone.wait(1)
    assert isinstance(update, Request)
    assert (update.method, update.body) == ("UPDATE", b"")
    return update
