"""Reliable provisional responses to an INVITE of ours (RFC 3262), our PRACKs, and UPDATE before the answer (RFC 3311),
against a peer written by hand, in virtual time (pitfalls 11, 13, 43, 55)."""

from __future__ import annotations

import pytest

from sip_stack.auth import Credentials
from sip_stack.dialog import ClientSession, SessionState
from sip_stack.events import (
    Answered,
    Progress,
    ReofferReceived,
)
from sip_stack.extensions import Use
from sip_stack.message import Request
from tests.support.reliable_provisionals import CONTACT, MUST, OTHER, SDP, SETTINGS, used, within
from tests.support.sip_text import Alone, sip_response, statuses


def calling(use: Use = "supported", **options: object) -> tuple[Alone, ClientSession, Request]:
    alone = Alone(SETTINGS)
    session, invite = alone.invite(SDP, used(use), **options)
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
