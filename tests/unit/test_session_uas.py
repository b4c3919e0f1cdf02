"""The called side against a peer written by hand: RFC 3261 sections 9.2, 13.3 and 15."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sip_stack.dialog import SessionState
from sip_stack.errors import LocalError
from sip_stack.events import Acknowledged, Ended, InviteReceived, RequestReceived
from sip_stack.message import Request, Response
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Flow
from tests.support.called_side import NO_OFFER, OFFER, ack, answer, established, incoming, within
from tests.support.sip_text import THEM, US, Alone, sip_request, statuses


def test_progress_and_answer_carry_the_dialog() -> None:
    alone = Alone()
    record_route = "Record-Route: <sip:10.0.0.2;lr>"
    session = incoming(alone, sip_request("INVITE", headers=[record_route], body=OFFER))
    session.progress(alone.now, 183, body=OFFER, headers=[("X-Early", "yes")])
    (progress,) = alone.drain()
    response = answer(alone, session)
    for message in (progress, response):
        assert message.to.tag == session.local_tag
        assert message.headers.get_all("Record-Route") == ["<sip:10.0.0.2;lr>"]
        assert message.headers.get("Contact") == "<sip:10.0.0.1:5060>"
        assert message.body == OFFER
        assert message.headers.get("Content-Type") == "application/sdp"
    assert progress.headers.get("X-Early") == "yes"
    assert response.allow == list(EndpointSettings().allow)
    assert session.remote_tag == "them"
    assert session.remote_contact == "sip:them@10.0.0.2:5060"


def test_our_contact_may_have_a_user() -> None:
    alone = Alone()
    session = incoming(alone)
    session.contact_user = "support"
    assert answer(alone, session).headers.get("Contact") == "<sip:support@10.0.0.1:5060>"


def test_a_pending_call_says_so_every_minute() -> None:
    """Section 13.3.1.1, for proxies with a timer C. The last provisional is what is repeated."""
    alone = Alone()
    session = incoming(alone)
    session.progress(alone.now, 180)
    session.progress(alone.now, 183, body=OFFER)
    alone.drain()
    assert statuses(alone.wait(59)) == []
    assert statuses(alone.wait(62)) == [183, 183]
    answer(alone, session)
    alone.receive(ack(session))
    assert statuses(alone.wait(200)) == []


@pytest.mark.parametrize("status", [100, 200, 99])
def test_progress_is_provisional(status: int) -> None:
    alone = Alone()
    with pytest.raises(LocalError):
        incoming(alone).progress(alone.now, status)


def test_the_order_of_commands_matters_on_a_live_call() -> None:
    alone = Alone()
    session = incoming(alone)
    with pytest.raises(LocalError):
        session.bye(alone.now)
    with pytest.raises(LocalError):
        session.reject(alone.now, 200)
    answer(alone, session)
    commands: list[Callable[[], None]] = [
        lambda: session.answer(alone.now, body=OFFER),
        lambda: session.progress(alone.now, 180),
        lambda: session.reject(alone.now, 486),
    ]
    for command in commands:
        with pytest.raises(LocalError):
            command()


def test_a_rejected_call_is_over_without_an_event() -> None:
    alone = Alone()
    session = incoming(alone)
    session.reject(alone.now, 486, reason="Occupied", headers=[("Reason", "Q.850;cause=17")])
    (response,) = alone.drain()
    assert isinstance(response, Response)
    assert (response.status, response.reason, response.to.tag) == (486, "Occupied", session.local_tag)
    assert alone.receive(sip_request("ACK", branch="z9hG4bKinvite", to_tag=session.local_tag)) == []
    assert statuses(alone.wait(60)) == []
    assert alone.names() == ["InviteReceived"]
    assert alone.endpoint.session_count == alone.endpoint.transaction_count == 0


def test_only_the_ack_of_that_cseq_counts() -> None:
    alone = Alone()
    session = incoming(alone)
    answer(alone, session)
    alone.receive(ack(session, cseq=2))
    assert statuses(alone.wait(0.6)) == [200]
    alone.receive(ack(session))
    alone.receive(ack(session))
    assert statuses(alone.wait(10)) == []
    assert alone.names() == ["InviteReceived", "Acknowledged"]


def test_an_ack_with_the_branch_of_the_invite_counts() -> None:
    """Some peers reuse it for a 2xx too; RFC 6026 hands it to the dialog."""
    alone = Alone()
    session = incoming(alone)
    answer(alone, session)
    alone.receive(ack(session, branch="z9hG4bKinvite"))
    assert alone.names()[-1] == "Acknowledged"
    assert statuses(alone.wait(10)) == []


def test_an_ack_with_a_to_tag_of_its_own_making_counts_by_its_branch() -> None:
    """pyVoIP sends such ones; refusing them would cost the caller the call after 64*T1."""
    alone = Alone()
    session = incoming(alone)
    answer(alone, session)
    alone.receive(sip_request("ACK", branch="z9hG4bKinvite", to_tag="invented"))
    assert alone.names()[-1] == "Acknowledged"
    alone.receive(sip_request("ACK", branch="z9hG4bKinvite", to_tag="invented", from_tag="stranger"))
    assert alone.endpoint.counters.strays == 1


def test_the_answer_in_the_ack_is_told() -> None:
    """Delayed offer: our 200 holds the offer, their ACK the answer."""
    alone = Alone()
    session = incoming(alone, NO_OFFER)
    answer(alone, session)
    alone.receive(sip_request("ACK", to_tag=session.local_tag, body=b"v=0\r\ns=answer\r\n"))
    (acknowledged,) = [event for event in alone.events if isinstance(event, Acknowledged)]
    assert acknowledged.request.body == b"v=0\r\ns=answer\r\n"


def test_cancel_after_the_answer_changes_nothing() -> None:
    alone = Alone()
    session = incoming(alone)
    answer(alone, session)
    assert statuses(alone.receive(sip_request("CANCEL", branch="z9hG4bKinvite"))) == [200]
    assert session.state is SessionState.CONFIRMED


def test_cancel_needs_the_branch_of_the_invite() -> None:
    alone = Alone()
    session = incoming(alone)
    assert statuses(alone.receive(sip_request("CANCEL", branch="z9hG4bKother"))) == [481]
    assert session.state is SessionState.EARLY


def test_an_invite_cancelled_twice_is_cancelled_once() -> None:
    alone = Alone()
    incoming(alone)
    cancel = sip_request("CANCEL", branch="z9hG4bKinvite")
    assert statuses(alone.receive(cancel)) == [200, 487]
    assert statuses(alone.receive(cancel)) == [200]
    assert alone.names() == ["InviteReceived", "Cancelled"]


def test_cancel_from_an_rfc_2543_peer() -> None:
    alone = Alone()
    via = "Via: SIP/2.0/UDP 10.0.0.2:5060"
    incoming(alone, sip_request("INVITE", via=via))
    assert statuses(alone.receive(sip_request("CANCEL", via=via))) == [200, 487]
    assert statuses(alone.receive(sip_request("ACK", via=via, to_tag="us0001"))) == []
    assert statuses(alone.wait(60)) == []


def test_bye_is_answered_and_told_once() -> None:
    alone = Alone()
    session = established(alone)
    bye = within(session, "BYE", 2)
    assert statuses(alone.receive(bye)) == [200]
    assert statuses(alone.receive(bye)) == [200]
    assert statuses(alone.receive(within(session, "BYE", 3))) == [481]
    assert [event.by for event in alone.events if isinstance(event, Ended)] == ["remote"]


def test_a_request_older_than_the_last_is_out_of_order() -> None:
    alone = Alone(EndpointSettings(allow=("INVITE", "ACK", "BYE", "CANCEL", "INFO")))
    session = established(alone)
    assert statuses(alone.receive(within(session, "INFO", 10))) == []
    assert statuses(alone.receive(within(session, "INFO", 9))) == [500]
    assert statuses(alone.receive(within(session, "BYE", 11))) == [200]


def test_other_requests_are_the_users() -> None:
    alone = Alone(EndpointSettings(allow=("INVITE", "ACK", "BYE", "CANCEL", "INFO")))
    session = established(alone)
    alone.receive(within(session, "INFO", 2, b"Signal=5"))
    (received,) = [event for event in alone.events if isinstance(event, RequestReceived)]
    session.respond(alone.now, received.transaction, 200, body=b"ok", content_type="text/plain")
    (response,) = alone.drain()
    assert (response.body, response.headers.get("Content-Type")) == (b"ok", "text/plain")
    session.respond(alone.now, received.transaction, 500)
    assert alone.drain() == []


def test_a_peer_behind_a_nat_is_reached_where_its_packets_come_from() -> None:
    alone = Alone()
    source = Flow("udp", US, ("203.0.113.7", 41000), US)
    data = sip_request("INVITE", contact="<sip:phone@192.168.1.20:5060>", body=OFFER)
    alone.receive(data, source)
    session = next(event.session for event in alone.events if isinstance(event, InviteReceived))
    answer(alone, session)
    alone.receive(ack(session), source)
    session.bye(alone.now)
    (bye,) = alone.drain()
    assert isinstance(bye, Request)
    assert bye.uri == "sip:phone@192.168.1.20:5060"
    assert alone.transmits[-1].flow is source


def test_the_dialog_is_found_whatever_the_source() -> None:
    """Pitfall 48: Call-ID and tags decide, never the socket."""
    alone = Alone()
    session = established(alone)
    elsewhere = Flow("udp", US, (THEM[0], 6000), US)
    assert statuses(alone.receive(within(session, "BYE", 2), elsewhere)) == [200]
    assert alone.transmits[-1].flow is elsewhere
