"""Refreshes of a session (RFC 4028), as either refresher, against a peer written by hand (pitfall 54)."""

from __future__ import annotations

import pytest

from sip_stack.dialog import SessionState
from sip_stack.dialog.session_timer import SESSION_TIMER, State
from sip_stack.events import Ended, RefreshDue, ReofferCompleted, ReofferReceived
from sip_stack.extensions import Use
from sip_stack.message import Request, Response
from tests.support.sip_text import sip_request, sip_response, statuses
from tests.support.timed_sessions import (
    ALLOW,
    CONTACT,
    KNOWS,
    OFFER,
    called,
    ended_by,
    taken,
    terms,
    update_of,
    within,
)

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
