"""Session timers (RFC 4028) against a peer written by hand, as either refresher, in virtual time (pitfall 54)."""

from __future__ import annotations

import pytest

from sip_stack.auth import Credentials
from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.dialog.session_timer import SESSION_TIMER, State
from sip_stack.errors import RemoteError
from sip_stack.events import Ended, InviteReceived, RefreshDue, Rejected, ReofferCompleted, ReofferReceived
from sip_stack.extensions import Extensions, TimerTerms, Use
from sip_stack.message import NameAddr, Request, Response
from sip_stack.settings import EndpointSettings
from tests.support.sip_text import FLOW, Alone, sip_request, sip_response, statuses

CONTACT = "Contact: <sip:them@10.0.0.2:5060>"
ALLOW = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE"
KNOWS = "Supported: timer"
OFFER = b"v=0\r\n"
SETTINGS = EndpointSettings(supported=("timer",))


def terms(use: Use = "supported", expires: int = 90, **options: object) -> Extensions:
    return Extensions(TimerTerms(use, expires, **options))  # type: ignore[arg-type]


def call(extensions: Extensions, **options: object) -> tuple[Alone, ClientSession, Request]:
    """Our INVITE."""
    alone = Alone(SETTINGS)
    session = alone.endpoint.invite(
        alone.now,
        flow=FLOW,
        uri="sip:them@10.0.0.2",
        from_=NameAddr.parse("<sip:us@10.0.0.1>"),
        to=NameAddr.parse("<sip:them@10.0.0.2>"),
        body=OFFER,
        extensions=extensions,
        **options,  # type: ignore[arg-type]
    )
    (invite,) = alone.drain()
    assert isinstance(invite, Request)
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
    return sip_request(
        method,
        to_tag=session.local_tag,
        cseq=cseq,
        headers=lines,
        call_id=session.call_id,
        body=OFFER if method == "INVITE" else b"",
    )


def ended_by(alone: Alone) -> str:
    (ended,) = [event for event in alone.events if isinstance(event, Ended)]
    return ended.by


def update_of(alone: Alone, seconds: float) -> Request:
    """The UPDATE that refreshes, after so long."""
    assert statuses(alone.wait(seconds - 1)) == []
    (update,) = alone.wait(1)
    assert isinstance(update, Request)
    assert (update.method, update.body) == ("UPDATE", b"")
    return update


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


# -- we refresh -----------------------------------------------------------------------------------------------------


def test_we_refresh_by_update_at_half_the_interval_again_and_again() -> None:
    alone, _ = called("Session-Expires: 90;refresher=uac", ALLOW)
    for _ in range(3):
        update = update_of(alone, 45)
        assert update.headers.get("Session-Expires") == "90;refresher=uac"
        assert update.supported == ["timer"]
        alone.receive(sip_response(update, 200, headers=[CONTACT, "Session-Expires: 90;refresher=uac"]))


def test_we_refresh_what_they_called() -> None:
    alone, _, _ = taken(KNOWS, ALLOW, "Session-Expires: 90;refresher=uas")
    update = update_of(alone, 45)
    assert update.headers.get("Session-Expires") == "90;refresher=uac"  # it is us who ask now
    alone.receive(sip_response(update, 200, headers=["Session-Expires: 90;refresher=uas"]))
    # From now on they do.
    assert statuses(alone.wait(59)) == []
    assert statuses(alone.wait(1)) == ["BYE"]
    assert ended_by(alone) == "expired"


def test_who_takes_no_update_is_asked_for_a_re_invite() -> None:
    alone, session = called("Session-Expires: 90;refresher=uac", "Allow: INVITE, ACK, BYE, CANCEL")
    assert statuses(alone.wait(45)) == []
    assert alone.names()[-1] == "RefreshDue"
    session.reoffer(alone.now, OFFER)
    (reinvite,) = alone.drain()
    assert isinstance(reinvite, Request)
    assert (reinvite.method, reinvite.body) == ("INVITE", OFFER)
    assert reinvite.headers.get("Session-Expires") == "90;refresher=uac"
    lines = [CONTACT, "Session-Expires: 90;refresher=uac"]
    assert statuses(alone.receive(sip_response(reinvite, 200, headers=lines, body=OFFER))) == ["ACK"]
    assert statuses(alone.wait(44)) == []
    assert alone.names().count("RefreshDue") == 1


@pytest.mark.parametrize("status", [405, 501])
def test_an_update_that_is_not_allowed_after_all_becomes_a_re_invite(status: int) -> None:
    alone, _ = called("Session-Expires: 90;refresher=uac", ALLOW)
    update = update_of(alone, 45)
    alone.receive(sip_response(update, status))
    alone.wait(0.1)
    assert [event for event in alone.events if isinstance(event, RefreshDue)]


@pytest.mark.parametrize("status", [491, 500])
def test_a_busy_peer_is_asked_again_soon(status: int) -> None:
    alone, _ = called("Session-Expires: 90;refresher=uac", ALLOW)
    alone.receive(sip_response(update_of(alone, 45), status))
    update, *_ = alone.wait(5)
    assert isinstance(update, Request)
    assert update.method == "UPDATE"
    alone.receive(sip_response(update, 200, headers=["Session-Expires: 90;refresher=uac"]))
    assert not [event for event in alone.events if isinstance(event, Ended)]


def test_a_refresh_answered_422_is_sent_again_with_more() -> None:
    alone, _ = called("Session-Expires: 90;refresher=uac", ALLOW)
    alone.receive(sip_response(update_of(alone, 45), 422, headers=["Min-SE: 200"]))
    (update,) = alone.wait(0.1)
    assert update.headers.get("Session-Expires") == "200;refresher=uac"
    assert update.headers.get("Min-SE") == "200"


def test_a_re_invite_answered_422_is_sent_again_with_more() -> None:
    alone, session = called("Session-Expires: 90;refresher=uac")
    session.reoffer(alone.now, OFFER)
    (reinvite,) = alone.drain()
    assert isinstance(reinvite, Request)
    alone.receive(sip_response(reinvite, 422, headers=["Min-SE: 200"]))
    (again,) = alone.wait(0.1)
    assert again.headers.get("Session-Expires") == "200;refresher=uac"
    assert not [event for event in alone.events if isinstance(event, ReofferCompleted)]


@pytest.mark.parametrize("status", [408, None])
def test_a_refresh_that_nobody_answers_ends_the_session(status: int | None) -> None:
    alone, session = called("Session-Expires: 200;refresher=uac", ALLOW)
    update = update_of(alone, 100)
    sent = alone.wait(33) if status is None else alone.receive(sip_response(update, status))
    assert isinstance(sent[-1], Request)
    assert sent[-1].method == "BYE"
    assert sent[-1].headers.get("Reason") == 'Q.850;cause=102;text="Session not refreshed"'
    assert ended_by(alone) == "expired"
    assert session.state is SessionState.ENDED


@pytest.mark.parametrize("status", [408, None])
def test_so_does_a_re_invite_that_nobody_answers(status: int | None) -> None:
    alone, session = called("Session-Expires: 90;refresher=uac")
    alone.wait(45)
    session.reoffer(alone.now, OFFER)
    (reinvite,) = alone.drain()
    assert isinstance(reinvite, Request)
    if status is None:
        alone.wait(33)
    else:
        alone.receive(sip_response(reinvite, status))
    assert ended_by(alone) == "expired"


@pytest.mark.parametrize("by_update", [True, False])
def test_a_far_end_that_says_481_to_a_refresh_has_hung_up(by_update: bool) -> None:
    """The dialog is gone there (RFC 5057), as after a BYE that came while we were down: nothing has expired."""
    alone, session = called("Session-Expires: 200;refresher=uac", *([ALLOW] if by_update else []))
    if by_update:
        refresh = update_of(alone, 100)
    else:
        alone.wait(100)
        session.reoffer(alone.now, OFFER)
        (sent,) = alone.drain()
        assert isinstance(sent, Request)
        refresh = sent
    *_, bye = alone.receive(sip_response(refresh, 481))
    assert isinstance(bye, Request)
    assert (bye.method, bye.headers.get("Reason")) == ("BYE", None)
    assert ended_by(alone) == "remote"
    assert session.state is SessionState.ENDED


def test_a_refresh_that_is_refused_is_tried_until_the_interval_is_over() -> None:
    alone, _ = called("Session-Expires: 90;refresher=uac", ALLOW)
    update = update_of(alone, 45)
    alone.receive(sip_response(update, 488))
    tried = []
    while not [event for event in alone.events if isinstance(event, Ended)]:
        for message in alone.wait(0.4):
            tried.append((alone.now, message.cseq.method))
            if isinstance(message, Request) and message.method == "UPDATE":
                alone.receive(sip_response(message, 488))
    assert [method for _, method in tried[:-1]] == ["UPDATE"] * (len(tried) - 1)
    assert 2 <= len(tried) <= 6
    assert (round(tried[-1][0]), tried[-1][1]) == (90, "BYE")
    assert ended_by(alone) == "expired"


def test_nobody_sends_the_re_invite() -> None:
    """The user of the stack is reminded, and the session ends at the end of its interval all the same."""
    alone, _ = called("Session-Expires: 90;refresher=uac")
    assert statuses(alone.wait(89)) == []
    assert alone.names().count("RefreshDue") > 1
    assert statuses(alone.wait(1.1)) == ["BYE"]


def test_a_2xx_that_forgets_the_refresher_leaves_it_to_us() -> None:
    alone, _ = called("Session-Expires: 90", ALLOW)
    update_of(alone, 45)


def test_a_refresh_answered_without_session_expires_goes_on() -> None:
    alone, _ = called("Session-Expires: 90;refresher=uac", ALLOW)
    alone.receive(sip_response(update_of(alone, 45), 200))
    update_of(alone, 45)


@pytest.mark.parametrize(("use", "refreshes"), [("supported", False), ("required", True)])
def test_a_callee_without_timers(use: Use, refreshes: bool) -> None:
    """It is left alone, or kept up by us: it will answer a re-INVITE like any other."""
    alone, _ = called(ALLOW, extensions=terms(use))
    assert statuses(alone.wait(45.1)) == (["UPDATE"] if refreshes else [])


def test_an_interval_that_is_too_short_is_not_believed() -> None:
    """Else a peer could have us send requests as fast as it likes."""
    alone, _ = called("Session-Expires: 1;refresher=uac", ALLOW)
    update_of(alone, 45)


# -- they refresh ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("interval", "patience"), [(90, 60), (1800, 1768)])
def test_who_does_not_refresh_in_time_is_gone(interval: int, patience: int) -> None:
    """Section 10: 32 seconds before the end, or a third of the interval."""
    alone, _, answer = taken(KNOWS, f"Session-Expires: {interval}", extensions=terms(expires=1800))
    assert answer.headers.get("Session-Expires") == f"{interval};refresher=uac"
    assert statuses(alone.wait(patience - 1)) == []
    (bye,) = alone.wait(1.1)
    assert isinstance(bye, Request)
    assert bye.method == "BYE"
    assert ended_by(alone) == "expired"


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_their_refresh_is_answered_and_starts_the_interval_anew(method: str) -> None:
    alone, session, _ = taken(KNOWS, "Session-Expires: 90;refresher=uac")
    for cseq in range(2, 5):
        assert statuses(alone.wait(45)) == []
        sent = alone.receive(within(session, method, cseq, KNOWS, "Session-Expires: 90;refresher=uac"))
        if method == "INVITE":
            received = [event for event in alone.events if isinstance(event, ReofferReceived)][-1]
            session.answer_reoffer(alone.now, received.transaction, OFFER)
            sent = alone.drain()
            alone.receive(sip_request("ACK", to_tag=session.local_tag, cseq=cseq))
        assert statuses(sent) == [200]
        assert sent[0].headers.get("Session-Expires") == "90;refresher=uac"
    assert statuses(alone.wait(59)) == []
    assert statuses(alone.wait(1.1)) == ["BYE"]


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_their_refresh_with_a_short_interval_is_422(method: str) -> None:
    alone, session, _ = taken(KNOWS, "Session-Expires: 90;refresher=uac")
    (response,) = alone.receive(within(session, method, 2, KNOWS, "Session-Expires: 30"))
    assert isinstance(response, Response)
    assert (response.status, response.headers.get("Min-SE")) == (422, "90")
    assert "ReofferReceived" not in alone.names()


def test_a_hold_of_ours_keeps_who_refreshes() -> None:
    alone, session, _ = taken(KNOWS, "Session-Expires: 90;refresher=uac")
    session.reoffer(alone.now, OFFER)
    (reinvite,) = alone.drain()
    assert reinvite.headers.get("Session-Expires") == "90;refresher=uas"  # they are the UAS of this one


# -- the end --------------------------------------------------------------------------------------------------------


def test_an_update_of_ours_with_an_offer_starts_the_interval_of_a_far_end_that_refreshes_anew() -> None:
    alone, session = called(KNOWS, ALLOW, "Session-Expires: 90;refresher=uas")
    alone.wait(50)
    session.request(alone.now, "UPDATE", body=OFFER, content_type="application/sdp")
    (update,) = alone.drain()
    assert isinstance(update, Request)
    assert update.headers.get("Session-Expires") == "90;refresher=uas"
    alone.receive(
        sip_response(update, 200, headers=[CONTACT, "Session-Expires: 90;refresher=uas"], body=OFFER)
    )
    assert statuses(alone.wait(59)) == []
    assert session.state is SessionState.CONFIRMED
    alone.wait(2)
    assert ended_by(alone) == "expired"


def test_a_session_that_has_ended_leaves_no_timer() -> None:
    alone, session = called("Session-Expires: 1800;refresher=uac", ALLOW, extensions=terms(expires=1800))
    session.bye(alone.now)
    (bye,) = alone.drain()
    assert isinstance(bye, Request)
    alone.receive(sip_response(bye, 200))
    alone.wait(40)
    assert alone.endpoint.next_timer() is None
    assert session.refreshing is None


def test_bye_while_a_refresh_is_under_way() -> None:
    alone, session = called("Session-Expires: 90;refresher=uac", ALLOW)
    update = update_of(alone, 45)
    session.bye(alone.now)
    alone.drain()
    alone.receive(sip_response(update, 200, headers=["Session-Expires: 90;refresher=uac"]))
    assert "UPDATE" not in statuses(alone.wait(100))


def test_every_state_of_the_table_can_be_left_and_reached() -> None:
    reached = {following for following, _ in SESSION_TIMER.values()}
    assert reached == {*State} - {State.OFF}
    assert {state for state, _ in SESSION_TIMER} == {*State} - {State.OVER}
