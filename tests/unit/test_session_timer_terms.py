"""What the two sides of a session say of its timer, and what they agree on (RFC 4028 sections 4 to 9)."""

from __future__ import annotations

import pytest

from sip_stack.auth import Credentials
from sip_stack.dialog import SessionState
from sip_stack.errors import RemoteError
from sip_stack.events import Rejected
from sip_stack.extensions import Use
from sip_stack.message import Request
from tests.support.sip_text import sip_response, statuses
from tests.support.timed_sessions import (
    CONTACT,
    KNOWS,
    OFFER,
    call,
    invited,
    taken,
    terms,
)

# -- what is said ---------------------------------------------------------------------------------------------------


def test_an_invite_says_what_we_ask_for() -> None:
    _, _, invite = call(terms(expires=600))
    assert invite.headers.get("Session-Expires") == "600"
    assert invite.headers.get("Min-SE") == "90"
    assert invite.supported == ["timer"]
    assert invite.require == []


def test_required_says_so() -> None:
    _, _, invite = call(terms("required", refresher="us"))
    assert invite.headers.get("Session-Expires") == "90;refresher=uac"
    assert invite.require == ["timer"]


def test_disabled_says_nothing_and_starts_nothing() -> None:
    alone, session, invite = call(terms("disabled"))
    assert invite.supported == []
    assert "Session-Expires" not in invite.headers
    lines = [CONTACT, "Session-Expires: 90;refresher=uac"]
    alone.receive(sip_response(invite, 200, headers=lines, body=OFFER))
    assert statuses(alone.wait(1000)) == []
    assert session.state is SessionState.CONFIRMED


@pytest.mark.parametrize(
    ("lines", "answer", "require"),
    [
        ([KNOWS, "Session-Expires: 600"], "300;refresher=uac", ["timer"]),
        ([KNOWS, "x: 120"], "120;refresher=uac", ["timer"]),
        ([KNOWS, "Session-Expires: 600;refresher=uas"], "300;refresher=uas", []),
        ([KNOWS, "Session-Expires: 600; Refresher=UAC"], "300;refresher=uac", ["timer"]),
        ([KNOWS, "Session-Expires: 600", "Min-SE: 400"], "400;refresher=uac", ["timer"]),
        ([KNOWS], "300;refresher=uac", ["timer"]),
        # A proxy wants it and the caller does not know it: it falls to us (table 2).
        (["Session-Expires: 600;refresher=uac"], "300;refresher=uas", []),
        ([], None, []),
    ],
)
def test_our_answer_agrees_on_the_interval(lines: list[str], answer: str | None, require: list[str]) -> None:
    _, _, response = taken(*lines, extensions=terms(expires=300))
    assert response.headers.get("Session-Expires") == answer
    assert response.require == require
    assert response.supported == ["timer"]


def test_we_refresh_what_we_answered_where_that_is_configured() -> None:
    _, _, response = taken(KNOWS, "Session-Expires: 90", extensions=terms(refresher="us"))
    assert response.headers.get("Session-Expires") == "90;refresher=uas"


# -- 420, 421, 422 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "lines", "status", "header"),
    [
        ("supported", [KNOWS, "Session-Expires: 60"], 422, ("Min-SE", "90")),
        ("required", [], 421, ("Require", "timer")),
        ("disabled", ["Require: timer"], 420, ("Unsupported", "timer")),
        ("supported", [KNOWS, "Session-Expires: soon"], 400, None),
        ("supported", [KNOWS, "Min-SE: -1"], 400, None),
    ],
)
def test_an_invite_that_cannot_be_agreed_on(
    use: Use, lines: list[str], status: int, header: tuple[str, str] | None
) -> None:
    _, session = invited(*lines)
    with pytest.raises(RemoteError) as refused:
        session.use(terms(use))
    assert refused.value.status_hint == status
    assert refused.value.headers == (() if header is None else (header,))


def test_a_short_interval_of_a_proxy_is_not_refused_to_a_caller_who_does_not_know_timers() -> None:
    _, _, response = taken("Session-Expires: 60")
    assert response.headers.get("Session-Expires") == "60;refresher=uas"


def test_422_is_followed_with_what_it_asks_for() -> None:
    alone, session, invite = call(terms())
    ack, retry = alone.receive(sip_response(invite, 422, headers=["Min-SE: 400"]))
    assert isinstance(retry, Request)
    assert (ack.cseq.method, retry.method, retry.cseq.number) == ("ACK", "INVITE", 2)
    assert retry.headers.get_all("Session-Expires") == ["400"]
    assert retry.headers.get_all("Min-SE") == ["400"]
    assert (retry.call_id, retry.from_.tag, retry.to.tag) == (invite.call_id, session.local_tag, None)
    assert retry.branch != invite.branch
    answer = sip_response(retry, 200, headers=[CONTACT, "Session-Expires: 400;refresher=uas"], body=OFFER)
    assert statuses(alone.receive(answer)) == ["ACK"]
    assert session.state is SessionState.CONFIRMED


def test_422_after_a_challenge_keeps_the_credentials() -> None:
    alone, _, invite = call(terms(), credentials=Credentials("us", "secret"))
    challenge = 'WWW-Authenticate: Digest realm="them", nonce="n1", qop="auth"'
    _, first = alone.receive(sip_response(invite, 401, headers=[challenge]))
    assert isinstance(first, Request)
    _, second = alone.receive(sip_response(first, 422, headers=["Min-SE: 400"]))
    (credentials,) = second.headers.get_all("Authorization")
    assert "nc=00000002" in credentials


@pytest.mark.parametrize("header", ["Min-SE: 90", "Min-SE: 99999999", "Min-SE: x", "X-Nothing: 1"])
def test_422_that_asks_for_nothing_we_can_give_is_a_rejection(header: str) -> None:
    alone, _, invite = call(terms())
    assert statuses(alone.receive(sip_response(invite, 422, headers=[header]))) == ["ACK"]
    assert alone.names() == ["Rejected"]


def test_422_for_ever_comes_to_an_end() -> None:
    alone, _, invite = call(terms())
    for minimum in range(100, 1000, 100):
        sent = alone.receive(sip_response(invite, 422, headers=[f"Min-SE: {minimum}"]))
        if len(sent) == 1:
            break
        assert isinstance(sent[1], Request)
        invite = sent[1]
    assert invite.cseq.number == 4
    assert [event for event in alone.events if isinstance(event, Rejected)]
