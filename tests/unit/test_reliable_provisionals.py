"""Reliable provisional responses (RFC 3262) and UPDATE before the answer (RFC 3311), both sides against a peer written
by hand, in virtual time (pitfalls 11, 13, 43, 55)."""

from __future__ import annotations

import pytest

from sip_stack.auth import Credentials
from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.errors import RemoteError
from sip_stack.events import (
    Answered,
    Cancelled,
    Ended,
    InviteReceived,
    Progress,
    ProvisionalAcknowledged,
    ReofferReceived,
)
from sip_stack.extensions import Extensions, Use
from sip_stack.message import NameAddr, Request, Response
from sip_stack.settings import EndpointSettings
from tests.support.sip_text import FLOW, Alone, sip_request, sip_response, statuses

CAN = "Supported: 100rel"
MUST = "Require: 100rel"
CONTACT = "Contact: <sip:them@10.0.0.2:5060>"
SDP = b"v=0\r\n"
OTHER = b"v=1\r\n"
SETTINGS = EndpointSettings(
    allow=("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "PRACK"), supported=("100rel",)
)


def used(use: Use = "supported") -> Extensions:
    return Extensions(reliable=use)


# -- we answer ------------------------------------------------------------------------------------------------------


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


def within(
    session: ServerSession | ClientSession,
    method: str,
    cseq: int,
    *lines: str,
    body: bytes = b"",
    tag: str = "them",
) -> bytes:
    return sip_request(
        method,
        to_tag=session.local_tag,
        from_tag=tag,
        call_id=session.call_id,
        cseq=cseq,
        headers=lines,
        body=body,
    )


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


# -- we call --------------------------------------------------------------------------------------------------------


def calling(use: Use = "supported", **options: object) -> tuple[Alone, ClientSession, Request]:
    alone = Alone(SETTINGS)
    session = alone.endpoint.invite(
        alone.now,
        flow=FLOW,
        uri="sip:them@10.0.0.2",
        from_=NameAddr.parse("<sip:us@10.0.0.1>"),
        to=NameAddr.parse("<sip:them@10.0.0.2>"),
        body=SDP,
        extensions=used(use),
        **options,  # type: ignore[arg-type]
    )
    (invite,) = alone.drain()
    assert isinstance(invite, Request)
    return alone, session, invite


def reliable(
    invite: Request,
    rseq: int,
    *,
    status: int = 183,
    tag: str = "them",
    body: bytes = SDP,
    lines: tuple[str, ...] = (),
) -> bytes:
    return sip_response(
        invite, status, to_tag=tag, headers=[CONTACT, MUST, f"RSeq: {rseq}", *lines], body=body
    )


def told(alone: Alone) -> list[int]:
    return [event.response.status for event in alone.events if isinstance(event, Progress)]


def test_what_our_invite_says() -> None:
    assert calling()[2].supported == ["100rel"]
    assert calling("required")[2].require == ["100rel"]
    assert calling("disabled")[2].supported == []


def test_each_reliable_provisional_is_acknowledged_once() -> None:
    alone, session, invite = calling()
    (first,) = alone.receive(reliable(invite, 7, lines=("Record-Route: <sip:10.0.0.9;lr>",)))
    assert isinstance(first, Request)
    assert first.method == "PRACK"
    assert first.headers.get("RAck") == "7 1 INVITE"
    assert (first.uri, first.cseq.number, first.to.tag) == ("sip:them@10.0.0.2:5060", 2, "them")
    assert [str(route) for route in first.routes] == ["<sip:10.0.0.9;lr>"]
    assert first.require == []
    alone.receive(sip_response(first, 200))
    assert alone.receive(reliable(invite, 7)) == []  # a repetition
    assert told(alone) == [183]
    (second,) = alone.receive(reliable(invite, 8, status=180, body=b""))
    assert (second.headers.get("RAck"), second.cseq.number) == ("8 1 INVITE", 3)
    assert told(alone) == [183, 180]
    assert session.state is SessionState.EARLY


def test_one_that_overtook_another_is_not_looked_at() -> None:
    alone, _, invite = calling()
    alone.receive(reliable(invite, 1))
    assert alone.receive(reliable(invite, 3)) == []
    assert told(alone) == [183]
    assert len(alone.receive(reliable(invite, 2))) == 1
    assert len(alone.receive(reliable(invite, 3))) == 1


@pytest.mark.parametrize(
    ("use", "lines"),
    [
        ("supported", [MUST]),
        ("supported", ["RSeq: 1"]),
        ("supported", [MUST, "RSeq: x"]),
        ("disabled", [MUST, "RSeq: 1"]),
    ],
)
def test_without_rseq_or_without_our_leave_there_is_no_prack(use: Use, lines: list[str]) -> None:
    """Pitfall 55."""
    alone, _, invite = calling(use)
    assert alone.receive(sip_response(invite, 183, headers=[CONTACT, *lines], body=SDP)) == []
    assert told(alone) == [183]


def test_the_dialog_goes_on_counting_from_its_pracks() -> None:
    """A BYE with a number that the PRACK had would be out of order."""
    alone, session, invite = calling()
    for rseq in (1, 2, 3):
        alone.receive(reliable(invite, rseq))
    (ack,) = alone.receive(sip_response(invite, 200, headers=[CONTACT], body=SDP))
    assert (ack.cseq.number, ack.cseq.method) == (1, "ACK")
    session.bye(alone.now)
    (bye,) = alone.drain()
    assert bye.cseq.number == 5


def test_each_fork_has_a_dialog_of_its_own() -> None:
    """Pitfall 43."""
    alone, session, invite = calling()
    (one,) = alone.receive(reliable(invite, 5, tag="a"))
    (other,) = alone.receive(reliable(invite, 90, tag="b"))
    assert (one.to.tag, one.cseq.number) == ("a", 2)
    assert (other.to.tag, other.cseq.number) == ("b", 2)
    alone.receive(sip_response(invite, 200, to_tag="c", headers=[CONTACT], body=SDP))
    assert session.remote_tag == "c"
    session.bye(alone.now)
    (bye,) = alone.drain()
    assert (bye.to.tag, bye.cseq.number) == ("c", 2)


def test_forks_are_bounded() -> None:
    alone, _, invite = calling()
    sent = [len(alone.receive(reliable(invite, 1, tag=f"fork{number}"))) for number in range(20)]
    assert sum(sent) == 8


def test_a_challenge_after_a_prack_is_answered_above_its_number() -> None:
    """Pitfalls 11 and 13: the PRACK of the second INVITE names its CSeq."""
    alone, _, invite = calling(credentials=Credentials("us", "secret"))
    alone.receive(reliable(invite, 1))
    challenge = 'WWW-Authenticate: Digest realm="them", nonce="n", qop="auth"'
    _, second = alone.receive(sip_response(invite, 401, headers=[challenge]))
    assert isinstance(second, Request)
    assert (second.method, second.cseq.number, second.to.tag) == ("INVITE", 3, None)
    (acknowledged,) = alone.receive(reliable(second, 1))
    assert acknowledged.headers.get("RAck") == "1 3 INVITE"
    assert "Authorization" in acknowledged.headers


def test_a_challenged_prack_is_sent_again_with_credentials() -> None:
    alone, _, invite = calling(credentials=Credentials("us", "secret"))
    (first,) = alone.receive(reliable(invite, 1))
    assert isinstance(first, Request)
    challenge = 'WWW-Authenticate: Digest realm="them", nonce="n", qop="auth"'
    (second,) = alone.receive(sip_response(first, 401, headers=[challenge]))
    assert (second.cseq.method, second.cseq.number) == ("PRACK", 3)
    assert "Authorization" in second.headers


@pytest.mark.parametrize("status", [481, 500, None])
def test_whatever_becomes_of_the_prack_the_call_goes_on(status: int | None) -> None:
    alone, session, invite = calling()
    (first,) = alone.receive(reliable(invite, 1))
    assert isinstance(first, Request)
    if status is None:
        alone.wait(33)
    else:
        alone.receive(sip_response(first, status))
    assert session.state is SessionState.EARLY
    alone.receive(sip_response(invite, 200, headers=[CONTACT], body=SDP))
    assert [event for event in alone.events if isinstance(event, Answered)]


def test_a_cancelled_call_still_acknowledges() -> None:
    alone, session, invite = calling()
    session.cancel(alone.now)
    assert sorted(map(str, statuses(alone.receive(reliable(invite, 1))))) == ["CANCEL", "PRACK"]


def test_an_update_of_the_callee_before_its_answer() -> None:
    alone, session, invite = calling()
    alone.receive(reliable(invite, 1, status=180, body=b""))
    assert statuses(alone.receive(within(session, "UPDATE", 1, body=OTHER))) == [491]
    alone.receive(reliable(invite, 2))
    assert alone.receive(within(session, "UPDATE", 2, body=OTHER)) == []
    (received,) = [event for event in alone.events if isinstance(event, ReofferReceived)]
    assert statuses(alone.receive(within(session, "UPDATE", 3, body=OTHER))) == [500]
    session.answer_reoffer(alone.now, received.transaction, SDP)
    assert statuses(alone.drain()) == [200]
    assert statuses(alone.receive(within(session, "UPDATE", 4))) == [200]
    assert statuses(alone.receive(within(session, "UPDATE", 1))) == [500]  # out of order
    alone.receive(sip_response(invite, 200, headers=[CONTACT]))
    assert statuses(alone.receive(within(session, "BYE", 5))) == [200]


def test_the_bye_to_another_fork_s_answer_counts_on_too() -> None:
    """Found by random calls: with the number of a PRACK it was out of order, and the fork stayed in its call."""
    alone, _, invite = calling()
    for rseq in (1, 2):
        alone.receive(reliable(invite, rseq, tag="a"))
    alone.receive(reliable(invite, 1, tag="b"))
    alone.receive(sip_response(invite, 200, to_tag="b", headers=[CONTACT], body=SDP))
    ack, bye = alone.receive(sip_response(invite, 200, to_tag="a", headers=[CONTACT], body=SDP))
    assert (ack.cseq.method, ack.cseq.number, ack.to.tag) == ("ACK", 1, "a")
    assert (bye.cseq.method, bye.cseq.number, bye.to.tag) == ("BYE", 4, "a")


def test_a_request_in_an_early_dialog_of_ours_is_put_off_and_not_unknown() -> None:
    alone, session, invite = calling()
    line = "RAck: 1 1 INVITE"
    assert statuses(alone.receive(within(session, "PRACK", 1, line))) == [481]
    alone.receive(reliable(invite, 1))
    assert statuses(alone.receive(within(session, "PRACK", 2, line))) == [500]


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
