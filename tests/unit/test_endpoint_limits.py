"""What the endpoint refuses for want of room, and while it drains: 503 with Retry-After, and calls may still end."""

from __future__ import annotations

import pytest

from sip_stack.errors import LocalError
from sip_stack.events import InviteReceived
from sip_stack.message import NameAddr
from sip_stack.settings import EndpointSettings
from tests.support.sip_text import FLOW, Alone, only, sip_request, statuses

SDP = b"v=0\r\n"


def test_too_many_sessions_is_503() -> None:
    alone = Alone(EndpointSettings(max_sessions=2, retry_after=7))
    answers = [only(alone.receive(sip_request("INVITE", call_id=f"c{number}"))) for number in range(3)]
    assert [answer.status for answer in answers] == [100, 100, 503]
    assert answers[2].headers.get("Retry-After") == "7"
    assert alone.endpoint.counters.over_limit == 1
    assert alone.endpoint.session_count == 2


def test_too_many_transactions_are_503_without_a_transaction() -> None:
    alone = Alone(EndpointSettings(max_transactions=5))
    for number in range(20):
        alone.receive(sip_request("OPTIONS", call_id=f"c{number}"))
    assert alone.endpoint.transaction_count == 5
    assert statuses(alone.receive(sip_request("REFER"))) == [405]
    assert statuses(alone.receive(sip_request("OPTIONS", call_id="last"))) == [503]
    alone.wait(40)
    assert statuses(alone.receive(sip_request("OPTIONS", call_id="last"))) == [200]


def test_our_own_calls_are_limited_too() -> None:
    alone = Alone(EndpointSettings(max_sessions=1))

    def call() -> None:
        alone.endpoint.invite(
            alone.now,
            flow=FLOW,
            uri="sip:them@10.0.0.2",
            from_=NameAddr.parse("<sip:us@10.0.0.1>"),
            to=NameAddr.parse("<sip:them@10.0.0.2>"),
        )

    call()
    with pytest.raises(LocalError, match="too many"):
        call()
    assert alone.endpoint.session_count == 1


def test_draining_answers_pings_with_503_and_leaves_calls_to_the_user() -> None:
    # Pitfall 52: OPTIONS is 200 when healthy, 503 when draining.
    alone = Alone()
    alone.receive(sip_request("INVITE", body=SDP))
    (received,) = [event for event in alone.events if isinstance(event, InviteReceived)]
    alone.endpoint.draining = True
    assert statuses(alone.receive(sip_request("OPTIONS", call_id="new"))) == [503]
    assert statuses(alone.receive(sip_request("INVITE", call_id="new"))) == [100]
    inside = sip_request("OPTIONS", to_tag=received.session.local_tag, cseq=2)
    assert statuses(alone.receive(inside)) == [200]
    bye = sip_request("BYE", to_tag=received.session.local_tag, cseq=3)
    assert statuses(alone.receive(bye)) == [200, 487]


def test_a_full_table_still_lets_calls_end() -> None:
    """Requests of a dialog have a quarter more room, and that is bounded too."""
    alone = Alone(EndpointSettings(max_transactions=8))
    alone.receive(sip_request("INVITE", body=SDP))
    (received,) = [event for event in alone.events if isinstance(event, InviteReceived)]
    for number in range(10):
        alone.receive(sip_request("OPTIONS", call_id=f"c{number}"))
    tag = received.session.local_tag
    answers = [only(alone.receive(sip_request("OPTIONS", to_tag=tag, cseq=cseq))) for cseq in range(2, 6)]
    assert [answer.status for answer in answers] == [200, 200, 503, 503]
    assert alone.endpoint.transaction_count == 10
