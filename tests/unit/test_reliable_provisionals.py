"""Reliable provisional responses of ours (RFC 3262) and UPDATE before the answer (RFC 3311), against a peer written by
hand, in virtual time (pitfall 55)."""

from __future__ import annotations

import pytest

from sip_stack.dialog import ServerSession, SessionState
from sip_stack.errors import RemoteError
from sip_stack.events import (
    Cancelled,
    Ended,
    InviteReceived,
    ProvisionalAcknowledged,
    ReofferReceived,
)
from sip_stack.extensions import Use
from sip_stack.message import Request, Response
from tests.support.reliable_provisionals import CAN, MUST, OTHER, SDP, SETTINGS, used, within
from tests.support.sip_text import Alone, sip_request, sip_response, statuses


def invited(*lines: str, use: Use = "supported", body: bytes = SDP) -> tuple[Alone, ServerSession]:
    alone = Alone(SETTINGS)
    alone.receive(sip_request("INVITE", branch="z9hG4bKinvite", headers=lines, body=body))
    session = next(event.session for event in alone.events if isinstance(event, InviteReceived))
    session.use(used(use))
    return alone, session


def progress(alone: Alone, session: ServerSession, status: int = 183, body: bytes = SDP) -> Response:
    session.progress(alone.now, status, body=body)
    (response,) = alone.drain()
    assert isinstance(response, Response)
    return response


def rseq_of(response: Request | Response) -> int:
    assert response.require == ["100rel"]
    return int(response.headers.get("RSeq") or "")


def prack(session: ServerSession, rseq: int, *, cseq: int = 2, body: bytes = b"") -> bytes:
    return within(session, "PRACK", cseq, f"RAck: {rseq} 1 INVITE", body=body)


@pytest.mark.parametrize(
    ("lines", "use", "body", "reliable"),
    [
        ([CAN], "supported", SDP, True),
        ([CAN], "supported", b"", False),  # nothing in it that must not get lost
        ([MUST], "supported", b"", True),
        ([CAN], "required", b"", True),
        ([], "supported", SDP, False),
        ([CAN], "disabled", SDP, False),
    ],
)
def test_when_a_provisional_is_reliable(lines: list[str], use: Use, body: bytes, reliable: bool) -> None:
    alone, session = invited(*lines, use=use)
    response = progress(alone, session, 183 if body else 180, body)
    assert ("RSeq" in response.headers) is reliable
    assert response.require == (["100rel"] if reliable else [])
    if reliable:
        assert 1 <= rseq_of(response) < 2**31
        assert response.headers.get("Contact")


@pytest.mark.parametrize(
    ("lines", "use", "status", "header"),
    [
        ([], "required", 421, ("Require", "100rel")),
        ([MUST], "disabled", 420, ("Unsupported", "100rel")),
    ],
)
def test_what_cannot_be_agreed_on(lines: list[str], use: Use, status: int, header: tuple[str, str]) -> None:
    with pytest.raises(RemoteError) as refused:
        invited(*lines, use=use)
    assert (refused.value.status_hint, refused.value.headers) == (status, (header,))


def test_it_is_repeated_until_its_prack_comes() -> None:
    alone, session = invited(CAN)
    first = progress(alone, session)
    again = alone.wait(3.6)
    assert statuses(again) == [183, 183, 183]  # after 0.5, 1.5 and 3.5 s
    assert {rseq_of(response) for response in again} == {rseq_of(first)}
    (answer,) = alone.receive(prack(session, rseq_of(first)))
    assert isinstance(answer, Response)
    assert (answer.status, answer.cseq.method) == (200, "PRACK")
    assert statuses(alone.wait(30)) == []


def test_without_a_prack_the_call_is_over_with_504() -> None:
    alone, session = invited(CAN)
    progress(alone, session)
    sent = statuses(alone.wait(32.1))
    assert sent[:6] == [183] * 6
    assert sent[6] == 504
    (ended,) = [event for event in alone.events if isinstance(event, Ended)]
    assert ended.by == "no_prack"
    assert session.state is SessionState.ENDED


@pytest.mark.parametrize("rack", ["{wrong} 1 INVITE", "{right} 1 UPDATE"])
def test_a_prack_for_nothing_is_481_and_acknowledges_nothing(rack: str) -> None:
    alone, session = invited(CAN)
    rseq = rseq_of(progress(alone, session))
    line = f"RAck: {rack.format(wrong=rseq + 1, right=rseq)}"
    assert statuses(alone.receive(within(session, "PRACK", 2, line))) == [481]
    assert 183 in statuses(alone.wait(1))


@pytest.mark.parametrize("line", ["RAck: 1 INVITE", "RAck: x 1 INVITE", "X-None: 1"])
def test_a_prack_that_cannot_be_read_is_400(line: str) -> None:
    alone, session = invited(CAN)
    progress(alone, session)
    assert statuses(alone.receive(within(session, "PRACK", 2, line))) == [400]


def test_a_prack_without_a_reliable_response_is_481() -> None:
    alone, session = invited(CAN)
    assert statuses(alone.receive(prack(session, 1))) == [481]


def test_further_ones_wait_for_the_prack_and_count_on() -> None:
    alone, session = invited(MUST)
    first = rseq_of(progress(alone, session, 180, b""))
    session.progress(alone.now, 181)
    session.progress(alone.now, 183, body=SDP)
    assert alone.drain() == []
    for number, status in ((first, 181), (first + 1, 183)):
        _, following = alone.receive(prack(session, number, cseq=number - first + 2))
        assert isinstance(following, Response)
        assert (following.status, rseq_of(following)) == (status, number + 1)
    assert statuses(alone.receive(prack(session, first + 2, cseq=4))) == [200]


def test_those_that_wait_are_bounded() -> None:
    alone, session = invited(MUST)
    number = rseq_of(progress(alone, session, 180, b""))
    for _ in range(100):
        session.progress(alone.now, 182)
    session.progress(alone.now, 183, body=SDP)
    told = []
    for cseq in range(2, 200):
        sent = alone.receive(prack(session, number, cseq=cseq))
        number += 1
        told += [each.status for each in sent if isinstance(each, Response) and each.status < 200]
        if len(sent) == 1:
            break
    assert told == [182] * 7 + [183]


def test_the_answer_waits_for_the_prack() -> None:
    """Pitfall 55; RFC 3262 section 3."""
    alone, session = invited(CAN)
    rseq = rseq_of(progress(alone, session))
    session.answer(alone.now, body=SDP)
    assert alone.drain() == []
    assert session.state is SessionState.CONFIRMED
    assert statuses(alone.receive(prack(session, rseq))) == [200, 200]
    alone.receive(within(session, "ACK", 1))
    assert "Acknowledged" in alone.names()


def test_an_answer_that_waits_in_vain_is_504() -> None:
    alone, session = invited(CAN)
    progress(alone, session)
    session.answer(alone.now, body=SDP)
    assert statuses(alone.wait(33))[6:7] == [504]
    assert "Ended" in alone.names()


def test_a_hang_up_of_ours_while_the_answer_waits() -> None:
    """2xx, ACK, BYE: in that order, however early the BYE was asked for."""
    alone, session = invited(CAN)
    rseq = rseq_of(progress(alone, session))
    session.answer(alone.now, body=SDP)
    session.bye(alone.now)
    assert alone.drain() == []
    assert statuses(alone.receive(prack(session, rseq))) == [200, 200]
    assert statuses(alone.receive(within(session, "ACK", 1))) == ["BYE"]


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("method", ["CANCEL", "BYE"])
def test_the_caller_leaves_before_the_prack(method: str, answered: bool) -> None:
    alone, session = invited(CAN)
    progress(alone, session)
    if answered:
        session.answer(alone.now, body=SDP)
    if method == "CANCEL":
        sent = alone.receive(sip_request("CANCEL", branch="z9hG4bKinvite"))
    else:
        sent = alone.receive(within(session, "BYE", 2))
    assert statuses(sent) == [200, 487]
    assert alone.names()[-1] == ("Cancelled" if method == "CANCEL" else "Ended")
    assert 183 not in statuses(alone.wait(5))
    assert [event for event in alone.events if isinstance(event, Cancelled | Ended)]


def test_a_refusal_does_not_wait() -> None:
    alone, session = invited(CAN)
    progress(alone, session)
    session.reject(alone.now, 486)
    assert statuses(alone.drain()) == [486]
    assert 183 not in statuses(alone.wait(5))


def test_an_offer_in_the_prack_is_handed_up_and_answered_in_its_200() -> None:
    alone, session = invited(CAN)
    rseq = rseq_of(progress(alone, session))
    session.answer(alone.now, body=SDP)
    assert alone.receive(prack(session, rseq, body=OTHER)) == []
    (received,) = [event for event in alone.events if isinstance(event, ReofferReceived)]
    assert received.request.body == OTHER
    session.answer_reoffer(alone.now, received.transaction, SDP)
    to_prack, to_invite = alone.drain()
    assert (to_prack.cseq.method, to_prack.body) == ("PRACK", SDP)
    assert to_invite.cseq.method == "INVITE"  # the answer waited for that


def test_an_offer_in_the_prack_of_a_response_that_answered_nothing() -> None:
    alone, session = invited(MUST)
    rseq = rseq_of(progress(alone, session, 180, b""))
    (response,) = alone.receive(prack(session, rseq, body=OTHER))
    assert isinstance(response, Response)
    assert response.status == 500
    assert "Retry-After" in response.headers


def test_the_answer_to_an_offer_of_ours_comes_in_the_prack() -> None:
    """RFC 3262 section 5: an INVITE without an offer gets it in the first reliable response."""
    alone, session = invited(MUST, body=b"")
    rseq = rseq_of(progress(alone, session))
    assert statuses(alone.receive(prack(session, rseq, body=OTHER))) == [200]
    (told,) = [event for event in alone.events if isinstance(event, ProvisionalAcknowledged)]
    assert told.request.body == OTHER


def test_update_before_the_answer() -> None:
    """RFC 3311 section 5.2: not while the first offer is open, which a response that may get lost does not answer."""
    alone, session = invited(CAN)
    response = progress(alone, session)
    assert statuses(alone.receive(within(session, "UPDATE", 2, body=OTHER))) == [500]
    alone.receive(prack(session, rseq_of(response), cseq=3))
    assert alone.receive(within(session, "UPDATE", 4, body=OTHER)) == []
    (received,) = [event for event in alone.events if isinstance(event, ReofferReceived)]
    session.answer_reoffer(alone.now, received.transaction, SDP)
    assert statuses(alone.drain()) == [200]
    session.answer(alone.now, body=b"")
    assert statuses(alone.drain()) == [200]


def test_every_minute_the_caller_hears_that_it_goes_on() -> None:
    alone, session = invited(MUST)
    rseq = rseq_of(progress(alone, session))
    alone.receive(prack(session, rseq))
    (again,) = alone.wait(60.1)
    assert (rseq_of(again), again.body) == (rseq + 1, b"")


@pytest.mark.parametrize("answered", [False, True])
def test_a_dialog_that_is_gone_before_our_answer_is_out(answered: bool) -> None:
    """Found by random calls: the INVITE was left without a final response."""
    alone, session = invited(CAN)
    progress(alone, session)
    session.request(alone.now, "OPTIONS")
    options = next(each for each in alone.drain() if isinstance(each, Request))
    if answered:
        session.answer(alone.now, body=SDP)
    sent = alone.receive(sip_response(options, 481))
    assert statuses(sent) == [480]
    assert alone.names()[-1] == "Ended"
    assert statuses(alone.wait(5)) != []  # the 480 again, and no 183
