"""The calling side against a peer written by hand: what goes out, what is told (RFC 3261 sections 9, 13.2, 14, 15)."""

from __future__ import annotations

import pytest

from sip_stack.auth import Credentials
from sip_stack.dialog import ClientSession, SessionState
from sip_stack.dialog.reoffers import MAX_RETRIES
from sip_stack.errors import LocalError
from sip_stack.events import Ended, Failed, Progress, Rejected, RequestCompleted
from sip_stack.message import NameAddr, Request, Response
from sip_stack.settings import EndpointSettings
from tests.support.sip_text import FLOW, Alone, sip_request, sip_response, statuses

CONTACT = "Contact: <sip:them@10.0.0.2:5060>"
OFFER = b"v=0\r\n"


def call(alone: Alone, **options: object) -> tuple[ClientSession, Request]:
    """Our INVITE, as it went out."""
    arguments: dict[str, object] = {
        "flow": FLOW,
        "uri": "sip:them@10.0.0.2",
        "from_": NameAddr.parse('"Us" <sip:us@10.0.0.1>'),
        "to": NameAddr.parse("<sip:them@10.0.0.2>"),
        "body": OFFER,
    }
    session = alone.endpoint.invite(alone.now, **(arguments | options))  # type: ignore[arg-type]
    (invite,) = alone.drain()
    assert isinstance(invite, Request)
    return session, invite


def answered(alone: Alone, **options: object) -> tuple[ClientSession, Request]:
    """An answered call, and our ACK."""
    session, invite = call(alone, **options)
    (ack,) = alone.receive(sip_response(invite, 200, headers=[CONTACT], body=OFFER))
    assert isinstance(ack, Request)
    assert session.state is SessionState.CONFIRMED
    return session, ack


def test_the_invite() -> None:
    alone = Alone()
    owner = object()
    session, invite = call(
        alone,
        contact_user="b2bua",
        headers=[("X-Reason", "billing")],
        max_forwards=69,
        owner=owner,
    )
    assert (invite.method, invite.uri, invite.body) == ("INVITE", "sip:them@10.0.0.2", OFFER)
    assert invite.headers.get("Via") == f"SIP/2.0/UDP 10.0.0.1:5060;branch={invite.branch};rport"
    assert invite.headers.get("From") == f'"Us" <sip:us@10.0.0.1>;tag={session.local_tag}'
    assert invite.to.tag is None
    assert invite.call_id == session.call_id
    assert invite.max_forwards == 69
    assert invite.headers.get("Contact") == "<sip:b2bua@10.0.0.1:5060>"
    assert invite.headers.get("X-Reason") == "billing"
    assert invite.headers.get("Content-Type") == "application/sdp"
    assert invite.allow == list(EndpointSettings().allow)
    assert session.owner is owner
    assert session.state is SessionState.EARLY


def test_an_invite_without_a_body_has_no_content_type() -> None:
    _, invite = call(Alone(), body=b"")
    assert "Content-Type" not in invite.headers


def test_every_provisional_is_told() -> None:
    alone = Alone()
    session, invite = call(alone)
    for status, tag in ((100, None), (180, "f1"), (183, "f2"), (183, None)):
        assert alone.receive(sip_response(invite, status, to_tag=tag)) == []
    told = [event.response.status for event in alone.events if isinstance(event, Progress)]
    assert told == [100, 180, 183, 183]
    assert session.remote_tag == "f2"


def test_the_ack_of_an_answer() -> None:
    """It goes to the Contact, with a branch of its own and the INVITE's CSeq number."""
    alone = Alone()
    session, invite = call(alone)
    moved = "Contact: <sip:agent7@10.0.0.7:5070>"
    (ack,) = alone.receive(sip_response(invite, 200, headers=[moved], body=OFFER))
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri) == ("ACK", "sip:agent7@10.0.0.7:5070")
    assert ack.branch != invite.branch
    assert (ack.cseq.number, ack.cseq.method) == (1, "ACK")
    assert alone.transmits[-1].flow.remote == ("10.0.0.7", 5070)
    assert session.remote_contact == "sip:agent7@10.0.0.7:5070"
    assert session.remote_tag == "them"


def test_cancel_carries_what_the_rfc_says() -> None:
    """Section 9.1: the INVITE's Via, URI, To, From, Call-ID, CSeq number and Route, and nothing it required."""
    alone = Alone()
    session, invite = call(alone, headers=[("Route", "<sip:edge.example.com;lr>")])
    alone.receive(sip_response(invite, 180))
    session.cancel(alone.now)
    session.cancel(alone.now)
    (cancel,) = alone.drain()
    assert isinstance(cancel, Request)
    assert cancel.method == "CANCEL"
    assert cancel.uri == invite.uri
    for name in ("Via", "From", "To", "Call-ID", "Route"):
        assert cancel.headers.get_all(name) == invite.headers.get_all(name)
    assert cancel.cseq.number == invite.cseq.number
    assert "Contact" not in cancel.headers


def test_bye_before_the_answer_is_cancel() -> None:
    alone = Alone()
    session, invite = call(alone)
    alone.receive(sip_response(invite, 180))
    session.bye(alone.now)
    assert statuses(alone.drain()) == ["CANCEL"]


def test_a_refused_cancel_still_waits_for_the_invite() -> None:
    alone = Alone()
    session, invite = call(alone)
    alone.receive(sip_response(invite, 180))
    session.cancel(alone.now)
    (cancel,) = alone.drain()
    assert isinstance(cancel, Request)
    alone.receive(sip_response(cancel, 481))
    assert session.state is SessionState.ENDING
    assert statuses(alone.receive(sip_response(invite, 603))) == ["ACK"]
    (ended,) = [event for event in alone.events if isinstance(event, Ended)]
    assert isinstance(ended.message, Response)
    assert ended.message.status == 603


def test_cancel_of_an_answered_call_is_misuse() -> None:
    alone = Alone()
    session, _ = answered(alone)
    with pytest.raises(LocalError):
        session.cancel(alone.now)


@pytest.mark.parametrize("status", [302, 404, 486, 500, 603])
def test_a_rejection_is_terminal(status: int) -> None:
    alone = Alone()
    session, invite = call(alone)
    assert statuses(alone.receive(sip_response(invite, status))) == ["ACK"]
    assert statuses(alone.receive(sip_response(invite, status))) == ["ACK"]
    (rejected,) = [event for event in alone.events if isinstance(event, Rejected)]
    assert (rejected.response.status, rejected.auth) == (status, None)
    assert session.state is SessionState.ENDED
    assert alone.endpoint.session_count == 0


def test_a_transport_error_is_terminal() -> None:
    alone = Alone()
    call(alone)
    alone.endpoint.lost(FLOW, alone.now, "unreachable")
    assert alone.drain() == []
    (failed,) = alone.events
    assert isinstance(failed, Failed)
    assert failed.reason == "transport"


def test_requests_in_an_early_dialog_get_an_answer() -> None:
    """Our offer is open: an UPDATE is glare. Never silence."""
    alone = Alone()
    session, invite = call(alone)
    alone.receive(sip_response(invite, 183))
    tag = session.local_tag
    call_id = session.call_id
    assert statuses(alone.receive(sip_request("UPDATE", to_tag=tag, call_id=call_id, body=OFFER))) == [491]
    assert (
        statuses(alone.receive(sip_request("INVITE", to_tag=tag, call_id=call_id, cseq=2))) == [100, 491][1:]
    )
    assert statuses(alone.receive(sip_request("OPTIONS", to_tag=tag, call_id=call_id, cseq=3))) == [200]


def test_the_routes_of_the_answer_lead_every_later_request() -> None:
    alone = Alone()
    session, invite = call(alone)
    routes = ["Record-Route: <sip:10.0.0.50;lr>", "Record-Route: <sip:10.0.0.51;lr>", CONTACT]
    (ack,) = alone.receive(sip_response(invite, 200, headers=routes))
    session.bye(alone.now)
    (bye,) = alone.drain()
    for request in (ack, bye):
        assert request.headers.get_all("Route") == ["<sip:10.0.0.51;lr>", "<sip:10.0.0.50;lr>"]
    assert [transmit.flow.remote[0] for transmit in alone.transmits] == ["10.0.0.2", "10.0.0.51", "10.0.0.51"]


def test_other_requests_in_the_dialog() -> None:
    alone = Alone()
    session, _ = answered(alone)
    session.request(alone.now, "INFO", [("Info-Package", "dtmf")], b"5", "application/dtmf")
    (info,) = alone.drain()
    assert isinstance(info, Request)
    assert (info.method, info.body, info.cseq.number) == ("INFO", b"5", 2)
    assert "Contact" not in info.headers
    alone.receive(sip_response(info, 200))
    (completed,) = [event for event in alone.events if isinstance(event, RequestCompleted)]
    assert completed.method == "INFO"
    assert completed.response is not None


def test_info_into_silence_leaves_the_call() -> None:
    alone = Alone()
    session, _ = answered(alone)
    session.request(alone.now, "INFO")
    alone.wait(33)
    (completed,) = [event for event in alone.events if isinstance(event, RequestCompleted)]
    assert completed.response is None
    assert session.state is SessionState.CONFIRMED


def test_a_481_to_any_request_ends_the_call() -> None:
    """RFC 5057: the peer has no such dialog."""
    alone = Alone()
    session, _ = answered(alone)
    session.request(alone.now, "INFO")
    (info,) = alone.drain()
    assert isinstance(info, Request)
    assert statuses(alone.receive(sip_response(info, 481))) == ["BYE"]
    assert alone.names()[-2:] == ["RequestCompleted", "Ended"]


def test_a_challenged_reinvite_is_answered_with_credentials() -> None:
    alone = Alone()
    session, _ = answered(alone, credentials=Credentials("u", "p"))
    session.reoffer(alone.now, b"v=0\r\ns=2\r\n")
    (first,) = alone.drain()
    assert isinstance(first, Request)
    challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n", qop="auth"'
    ack, second = alone.receive(sip_response(first, 407, headers=[challenge]))
    assert isinstance(second, Request)
    assert statuses([ack, second]) == ["ACK", "INVITE"]
    assert "Proxy-Authorization" in second.headers
    assert (second.cseq.number, second.body) == (first.cseq.number + 1, first.body)
    assert second.to.tag == "them"
    (ack,) = alone.receive(sip_response(second, 200, headers=[CONTACT]))
    assert ack.headers.get("Proxy-Authorization") == second.headers.get("Proxy-Authorization")
    assert alone.names()[-1] == "ReofferCompleted"

    session.bye(alone.now)
    (bye,) = alone.drain()
    assert "Proxy-Authorization" in bye.headers, "the peer is known to ask"


def test_one_reoffer_at_a_time() -> None:
    alone = Alone()
    session, invite = call(alone)
    with pytest.raises(LocalError):
        session.reoffer(alone.now, OFFER)
    alone.receive(sip_response(invite, 200, headers=[CONTACT]))
    session.reoffer(alone.now, OFFER)
    with pytest.raises(LocalError):
        session.reoffer(alone.now, OFFER)


def test_a_reinvite_that_times_out_ends_the_call() -> None:
    alone = Alone()
    session, _ = answered(alone)
    session.reoffer(alone.now, OFFER)
    sent = statuses(alone.wait(33))
    assert sent[:8] == ["INVITE"] * 7 + ["BYE"]
    assert alone.names()[-2:] == ["ReofferCompleted", "Ended"]
    assert session.state is SessionState.ENDED


def test_a_491_is_waited_out_but_not_for_ever() -> None:
    alone = Alone()
    session, _ = answered(alone)
    session.reoffer(alone.now, OFFER)
    (request,) = alone.drain()
    for _ in range(MAX_RETRIES):
        assert isinstance(request, Request)
        alone.receive(sip_response(request, 491))
        assert alone.wait(2.09) == []
        again = alone.wait(1.91)[0]
        assert isinstance(again, Request)
        assert again.cseq.number == request.cseq.number + 1
        request = again
        alone.receive(sip_response(request, 100))
    assert "ReofferCompleted" not in alone.names()
    assert isinstance(request, Request)
    alone.receive(sip_response(request, 491))
    assert alone.names()[-1] == "ReofferCompleted"
    assert session.state is SessionState.CONFIRMED


def test_a_500_with_retry_after_is_waited_out_too() -> None:
    """RFC 3261 section 14.2: what a peer says that has not answered the INVITE before."""
    alone = Alone()
    session, _ = answered(alone)
    session.reoffer(alone.now, OFFER)
    (first,) = alone.drain()
    assert isinstance(first, Request)
    alone.receive(sip_response(first, 500, headers=["Retry-After: 7"]))
    assert alone.wait(6.9) == []
    second = alone.wait(0.2)[0]
    assert isinstance(second, Request)
    alone.receive(sip_response(second, 500))
    assert alone.names()[-1] == "ReofferCompleted"


def test_a_reinvite_that_waits_may_be_withdrawn_and_one_on_its_way_may_not() -> None:
    alone = Alone()
    session, _ = answered(alone)
    assert not session.withdraw_reoffer()
    session.reoffer(alone.now, OFFER)
    (first,) = alone.drain()
    assert isinstance(first, Request)
    assert not session.withdraw_reoffer()
    alone.receive(sip_response(first, 491))
    assert session.withdraw_reoffer()
    assert alone.wait(10) == []
    assert "ReofferCompleted" not in alone.names()
    session.reoffer(alone.now, OFFER)
    assert statuses(alone.drain()) == ["INVITE"]


def test_an_answer_moves_the_target_of_a_reinvite() -> None:
    alone = Alone()
    session, _ = answered(alone)
    session.reoffer(alone.now, OFFER)
    (reinvite,) = alone.drain()
    assert isinstance(reinvite, Request)
    (ack,) = alone.receive(sip_response(reinvite, 200, headers=["Contact: <sip:moved@10.0.0.9>"]))
    assert isinstance(ack, Request)
    assert ack.uri == "sip:moved@10.0.0.9"
    assert session.flow.remote == ("10.0.0.9", 5060)


def test_ten_forks_are_not_followed_for_ever() -> None:
    alone = Alone()
    _, invite = call(alone)
    sent = [alone.receive(sip_response(invite, 200, to_tag=f"f{n}", headers=[CONTACT])) for n in range(12)]
    assert [statuses(each) for each in sent] == [["ACK"]] + [["ACK", "BYE"]] * 7 + [[]] * 4


def test_a_malformed_answer_is_dropped_and_its_repetition_counts() -> None:
    alone = Alone()
    session, invite = call(alone)
    assert alone.receive(sip_response(invite, 200, headers=["Contact: <sip:them@10.0.0.2:99999>"])) == []
    assert session.state is SessionState.EARLY
    assert statuses(alone.receive(sip_response(invite, 200, headers=[CONTACT]))) == ["ACK"]
