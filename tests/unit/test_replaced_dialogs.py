"""Which dialog Replaces names (RFC 3891 section 3), and what is refused before anybody looks."""

from __future__ import annotations

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.dialog.ended import MAX_ENDED, EndedDialogs
from sip_stack.dialog.replaces import Replaces
from sip_stack.errors import RemoteError
from sip_stack.events import InviteReceived
from sip_stack.gate import OpenGate, Verdict
from sip_stack.message import Request
from sip_stack.refusals import Refusal
from tests.support.sip_text import Alone, sip_request, statuses


def established(alone: Alone, invite: bytes) -> ServerSession:
    alone.receive(invite)
    session = next(event.session for event in alone.events if isinstance(event, InviteReceived))
    session.answer(alone.now, body=b"v=0\r\n")
    alone.receive(sip_request("ACK", to_tag=session.local_tag))
    return session


def found(alone: Alone, session: ServerSession, from_tag: str) -> object:
    named = Replaces(session.call_id, session.local_tag, from_tag, early_only=False)
    try:
        return alone.endpoint.find_replaced(named)
    except RemoteError as error:
        return error.status_hint


def test_a_far_end_without_a_tag_is_named_0() -> None:
    alone = Alone()
    invite = sip_request("INVITE", branch="z9hG4bKinvite").replace(b";tag=them", b"")
    session = established(alone, invite)
    assert session.remote_tag is None, "a far end of RFC 2543"
    assert found(alone, session, "0") is session
    assert found(alone, session, "them") == 481


def test_0_is_no_wildcard() -> None:
    alone = Alone()
    session = established(alone, sip_request("INVITE", branch="z9hG4bKinvite"))
    assert found(alone, session, "them") is session
    assert found(alone, session, "0") == 481


def test_a_dialog_that_is_over_is_known_for_a_while() -> None:
    alone = Alone()
    session = established(alone, sip_request("INVITE", branch="z9hG4bKinvite"))
    alone.receive(sip_request("BYE", to_tag=session.local_tag, cseq=2))
    assert found(alone, session, "them") == 603
    assert found(alone, session, "0") == 481


def test_of_those_that_are_over_only_so_many_are_known() -> None:
    ended = EndedDialogs()
    for number in range(MAX_ENDED + 1):
        ended.add(f"call {number}", "them")
    assert not ended.has("call 0", "them")
    assert ended.has("call 1", "them")
    assert ended.has(f"call {MAX_ENDED}", "them")


@pytest.mark.parametrize("method", ["OPTIONS", "BYE", "INFO"])
def test_replaces_outside_invite_is_400(method: str) -> None:
    alone = Alone()
    session = established(alone, sip_request("INVITE", branch="z9hG4bKinvite"))
    header = f"Replaces: {session.call_id};to-tag={session.local_tag};from-tag=them"
    sent = alone.receive(sip_request(method, to_tag=session.local_tag, cseq=2, headers=[header]))
    # INFO is not among the methods that this endpoint allows.
    assert statuses(sent) == [405 if method == "INFO" else 400]


def test_who_names_a_dialog_of_ours_is_heard_like_one_who_is_in_it() -> None:
    """The destination of a call need not be a trunk: the gate knows nothing of it."""

    class Closed(OpenGate):
        def judge(self, request: Request, source: str, now: float) -> Verdict:
            return Refusal(403)

    alone = Alone()
    session = established(alone, sip_request("INVITE", branch="z9hG4bKinvite"))
    alone.endpoint.gate = Closed()
    for to_tag, status in ((session.local_tag, 100), ("guessed", 403)):
        header = f"Replaces: {session.call_id};to-tag={to_tag};from-tag=them"
        invite = sip_request("INVITE", branch=f"z9hG4bK{to_tag}", call_id=to_tag, headers=[header])
        assert statuses(alone.receive(invite)) == [status]
