"""The gate: asked before a message is read and before a request is served, and told whom we speak with."""

from __future__ import annotations

from collections.abc import Callable

from sip_stack.events import InviteReceived
from sip_stack.gate import SILENCE, Verdict
from sip_stack.message import NameAddr, Request
from sip_stack.refusals import Refusal
from sip_stack.transport import Flow
from tests.support.sip_text import FLOW, US, Alone, sip_request, sip_response, statuses

SDP = b"v=0\r\n"
ELSEWHERE = Flow("udp", US, ("10.0.0.99", 5060), US)


class Gate:
    """Does as told and remembers what it was asked."""

    def __init__(self) -> None:
        self.deaf_to: set[str] = set()
        self.verdict: Callable[[Request], Verdict] = lambda request: None
        self.judged: list[str] = []
        self.expected: list[str] = []

    def hears(self, source: str, now: float) -> bool:
        return source not in self.deaf_to

    def judge(self, request: Request, source: str, now: float) -> Verdict:
        self.judged.append(f"{request.method} {source}")
        return self.verdict(request)

    def expect(self, source: str) -> None:
        self.expected.append(source)

    def certified(self, source: str, subjects: tuple[str, ...], now: float) -> None:
        self.expected.append(f"{source} is {', '.join(subjects)}")


def endpoint_behind(gate: Gate) -> Alone:
    alone = Alone()
    alone.endpoint.gate = gate
    return alone


def test_what_is_not_heard_is_not_read() -> None:
    gate = Gate()
    alone = endpoint_behind(gate)
    gate.deaf_to.add(FLOW.remote[0])

    for data in (sip_request("INVITE"), b"garbage", b"\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n"):
        assert alone.receive(data) == []
    counters = alone.endpoint.counters
    assert (counters.received, counters.unread, counters.parse_errors, counters.keepalives) == (4, 4, 0, 0)
    assert gate.judged == []


def test_a_refusal_of_the_gate_is_answered_and_its_repetition_too() -> None:
    gate = Gate()
    alone = endpoint_behind(gate)
    gate.verdict = lambda request: Refusal(503, headers=(("Retry-After", "1"),))
    data = sip_request("INVITE")

    (refused,) = alone.receive(data)
    assert statuses([refused]) == [503]
    assert refused.headers.get("Retry-After") == "1"
    assert statuses(alone.receive(data)) == [503]
    assert gate.judged == ["INVITE 10.0.0.2"], "a repetition is answered without asking again"
    assert alone.events == []


def test_a_stateless_refusal_is_said_and_forgotten() -> None:
    gate = Gate()
    alone = endpoint_behind(gate)
    gate.verdict = lambda request: Refusal(403, stateless=True)

    assert statuses(alone.receive(sip_request("INVITE"))) == [403]
    assert alone.endpoint.transaction_count == 0
    assert alone.wait(40) == []
    assert alone.receive(sip_request("ACK", to_tag="us0001")) == []
    assert alone.endpoint.counters.refused == 1


def test_silence_is_silence_and_counted() -> None:
    gate = Gate()
    alone = endpoint_behind(gate)
    gate.verdict = lambda request: SILENCE

    broken = sip_request("OPTIONS").replace(b"Via: SIP/2.0/UDP 10.0.0.2:5060", b"Via: ;;,;,")
    malformed = sip_request("OPTIONS").replace(b"CSeq: 1", b"CSeq: x")
    for data in (sip_request("INVITE"), sip_request("BYE", to_tag="gone"), malformed, broken):
        assert alone.receive(data) == []
    assert alone.endpoint.counters.unheard == 4


def test_requests_of_our_sessions_are_not_judged_wherever_they_come_from() -> None:
    gate = Gate()
    alone = endpoint_behind(gate)
    alone.receive(sip_request("INVITE", body=SDP, branch="z9hG4bKcall"))
    (received,) = [event for event in alone.events if isinstance(event, InviteReceived)]
    gate.verdict = lambda request: SILENCE
    gate.expected.clear()

    tag = received.session.local_tag
    assert statuses(alone.receive(sip_request("OPTIONS", to_tag=tag, cseq=2), ELSEWHERE)) == [200]
    assert "10.0.0.99" in gate.expected
    assert statuses(alone.receive(sip_request("CANCEL", branch="z9hG4bKcall"))) == [200, 487]
    assert gate.judged == ["INVITE 10.0.0.2"]


def test_a_cancel_of_nothing_is_judged() -> None:
    gate = Gate()
    gate.verdict = lambda request: SILENCE

    assert endpoint_behind(gate).receive(sip_request("CANCEL")) == []
    assert gate.judged == ["CANCEL 10.0.0.2"]


def test_an_ack_is_never_judged() -> None:
    gate = Gate()
    endpoint_behind(gate).receive(sip_request("ACK", to_tag="gone"))

    assert gate.judged == []


def test_whom_we_call_and_who_answers_is_expected() -> None:
    gate = Gate()
    alone = endpoint_behind(gate)
    alone.endpoint.invite(
        alone.now,
        flow=FLOW,
        uri="sip:them@10.0.0.2",
        from_=NameAddr.parse("<sip:us@10.0.0.1>"),
        to=NameAddr.parse("<sip:them@10.0.0.2>"),
    )
    (invite,) = alone.drain()
    assert isinstance(invite, Request)
    assert gate.expected == ["10.0.0.2"]

    alone.receive(sip_response(invite, 180), ELSEWHERE)
    assert "10.0.0.99" in gate.expected
    gate.expected.clear()
    alone.receive(sip_response(invite, 180).replace(b"branch=z9hG4bK", b"branch=z9hG4bKx"), ELSEWHERE)
    assert gate.expected == [], "a guess is no proof"


def test_whom_we_ask_outside_calls_is_expected() -> None:
    gate = Gate()
    alone = endpoint_behind(gate)
    alone.endpoint.request(
        alone.now,
        flow=FLOW,
        method="OPTIONS",
        uri="sip:10.0.0.2",
        from_=NameAddr.parse("<sip:us@10.0.0.1>"),
        to=NameAddr.parse("<sip:10.0.0.2>"),
    )

    assert gate.expected == ["10.0.0.2"]


def test_the_contact_of_a_call_is_expected() -> None:
    """Its requests may come from there, and its responses will."""
    gate = Gate()
    alone = endpoint_behind(gate)
    alone.receive(sip_request("INVITE", body=SDP, contact="<sip:them@10.0.0.7:5070>"))

    assert gate.expected == ["10.0.0.7"]
