"""What the endpoint answers by itself, and what it drops: RFC 3261 section 8.2, and no input ever raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip_stack.events import InviteReceived, InviteRefused, OutOfDialogReceived
from sip_stack.gate import SILENCE, OpenGate, Verdict
from sip_stack.message import Request
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Flow
from tests.support.sip_text import THEM, US, Alone, only, sip_request, statuses

SDP = b"v=0\r\n"


def test_a_new_call_gets_100_at_once() -> None:
    alone = Alone()
    trying = only(alone.receive(sip_request("INVITE", body=SDP)))
    assert trying.status == 100
    assert trying.to.tag is None
    assert alone.names() == ["InviteReceived"]


@pytest.mark.parametrize("method", ["REFER", "SUBSCRIBE", "REGISTER", "INFO", "PRACK", "MESSAGE", "PUBLISH"])
@pytest.mark.parametrize("to_tag", [None, "gone"])
def test_methods_that_exist_but_are_not_served_are_405(method: str, to_tag: str | None) -> None:
    alone = Alone()
    refused = only(alone.receive(sip_request(method, to_tag=to_tag)))
    assert refused.status == 405
    assert refused.headers.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE"
    assert refused.to.tag is not None
    assert alone.events == []
    assert alone.endpoint.counters.refused == 1


@pytest.mark.parametrize("method", ["FLY", "invite", "!interesting-Method0123456789_*+`.%indeed'~"])
def test_unknown_methods_are_501(method: str) -> None:
    """Method names are case-sensitive: `invite` is no INVITE."""
    assert only(Alone().receive(sip_request(method))).status == 501


def test_a_required_extension_we_lack_is_420() -> None:
    alone = Alone(EndpointSettings(supported=("replaces",)))
    refused = only(
        alone.receive(sip_request("INVITE", headers=["Require: replaces, 100rel", "Require: foo"]))
    )
    assert refused.status == 420
    assert refused.headers.get("Unsupported") == "100rel, foo"


def test_a_required_extension_we_have_is_served() -> None:
    alone = Alone(EndpointSettings(supported=("replaces",)))
    assert only(alone.receive(sip_request("INVITE", headers=["Require: replaces"]))).status == 100


@pytest.mark.parametrize(
    "uri", ["http://example.com/", "soap.beep://192.0.2.103:3002", "nobodyKnowsThisScheme:x"]
)
def test_a_foreign_scheme_is_416(uri: str) -> None:
    assert only(Alone().receive(sip_request("INVITE", uri=uri))).status == 416


def test_tel_is_no_foreign_scheme() -> None:
    assert only(Alone().receive(sip_request("INVITE", uri="tel:+15550001000"))).status == 100


@pytest.mark.parametrize(
    ("content_type", "body", "headers", "status"),
    [
        ("application/sdp", SDP, [], 100),
        ("Application/SDP;charset=utf-8", SDP, [], 100),
        ("text/plain", b"hello", [], 415),
        ("text/plain", b"hello", ["Content-Disposition: render;handling=optional"], 100),
        ("application/sdp", b"\x1f\x8b", ["Content-Encoding: gzip"], 415),
        (
            "multipart/mixed;boundary=b",
            b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n",
            [],
            100,
        ),
        ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b--\r\n", [], 415),
        ("multipart/mixed", b"no boundary", [], 400),
    ],
)
def test_bodies_of_an_invite(content_type: str, body: bytes, headers: list[str], status: int) -> None:
    answer = only(
        Alone().receive(sip_request("INVITE", content_type=content_type, body=body, headers=headers))
    )
    assert answer.status == status
    assert (answer.headers.get("Accept") == "application/sdp") is (status == 415)


def test_no_hops_left_is_483() -> None:
    assert only(Alone().receive(sip_request("INVITE", headers=["Max-Forwards: 0"]))).status == 483


def test_options_with_no_hops_left_is_for_us() -> None:
    """RFC 3261 section 11: Max-Forwards 0 is how a hop is asked about itself."""
    assert only(Alone().receive(sip_request("OPTIONS", headers=["Max-Forwards: 0"]))).status == 200


def test_options_says_what_we_can() -> None:
    alone = Alone(EndpointSettings(supported=("timer",)))
    answer = only(alone.receive(sip_request("OPTIONS")))
    assert answer.status == 200
    assert answer.headers.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE"
    assert answer.headers.get("Accept") == "application/sdp"
    assert answer.headers.get("Supported") == "timer"
    assert answer.headers.get("Contact") == "<sip:10.0.0.1:5060>"
    assert answer.to.tag is not None


def test_a_merged_request_is_482() -> None:
    """The same INVITE over two proxies: one call."""
    alone = Alone()
    first = only(alone.receive(sip_request("INVITE", branch="z9hG4bKone")))
    second = only(alone.receive(sip_request("INVITE", branch="z9hG4bKtwo")))
    assert [first.status, second.status] == [100, 482]
    assert alone.names() == ["InviteReceived"]


def test_a_retry_with_the_next_cseq_is_not_merged() -> None:
    alone = Alone()
    alone.receive(sip_request("INVITE", cseq=1))
    assert only(alone.receive(sip_request("INVITE", cseq=2))).status == 100


def test_a_repeated_invite_makes_one_call() -> None:
    alone = Alone()
    data = sip_request("INVITE", body=SDP)
    first, second = only(alone.receive(data)), only(alone.receive(data))
    assert first.encode() == second.encode()
    assert alone.names() == ["InviteReceived"]
    assert alone.endpoint.counters.retransmissions_received == 1


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "INVITE", "OPTIONS"])
def test_requests_of_a_dialog_we_do_not_know_are_481(method: str) -> None:
    assert only(Alone().receive(sip_request(method, to_tag="gone"))).status == 481


@pytest.mark.parametrize("method", ["BYE", "UPDATE", "CANCEL"])
def test_what_needs_a_dialog_or_an_invite_is_481(method: str) -> None:
    assert only(Alone().receive(sip_request(method))).status == 481


def test_our_tag_with_another_from_tag_is_not_our_dialog() -> None:
    alone = Alone()
    alone.receive(sip_request("INVITE", body=SDP))
    (received,) = [event for event in alone.events if isinstance(event, InviteReceived)]
    stranger = sip_request("BYE", to_tag=received.session.local_tag, from_tag="stranger", cseq=2)
    assert only(alone.receive(stranger)).status == 481


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (sip_request("INVITE").replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"), 400),
        (sip_request("INVITE").replace(b"CSeq: 1 INVITE", b"CSeq: x INVITE"), 400),
        (sip_request("INVITE").replace(b"Call-ID: call-1\r\n", b""), 400),
        (sip_request("INVITE").replace(b"From: <sip:them", b"From: <sip:them>>"), 400),
        (sip_request("INVITE", contact=None), 400),
        (sip_request("INVITE", headers=["Max-Forwards: many"]), 400),
        (sip_request("INVITE").replace(b" SIP/2.0\r\n", b" SIP/7.0\r\n", 1), 505),
        (sip_request("INVITE", body=SDP).replace(b"Content-Length: 5", b"Content-Length: 9"), 400),
        (sip_request("INVITE", uri="sip:" + "x" * 5000 + "@h"), 414),
        (
            sip_request("INVITE").replace(
                b"Via: SIP/2.0/UDP 10.0.0.2:5060", b"Via: SIP/2.0/UDP 10.0.0.2:70000"
            ),
            400,
        ),
    ],
)
def test_malformed_requests_that_can_be_answered(data: bytes, status: int) -> None:
    alone = Alone()
    assert only(alone.receive(data)).status == status
    assert "InviteReceived" not in alone.names()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (sip_request("INVITE", headers=["Max-Forwards: many"]), (400, "Malformed Max-Forwards")),
        (sip_request("INVITE", headers=["Require: foo"]), (420, "Bad Extension")),
        (
            sip_request("INVITE").replace(b"To: <sip:us", b"To: <sip:us>>"),
            (400, "Unexpected text before parameters"),
        ),
        (sip_request("INVITE", contact=None), (400, "Missing Contact")),
        (sip_request("INVITE", headers=["Require: foo"], to_tag="gone"), None),
        (sip_request("OPTIONS", headers=["Require: foo"]), None),
    ],
)
def test_a_call_that_is_refused_without_asking_is_told_once(
    data: bytes, told: tuple[int, str] | None
) -> None:
    alone = Alone()
    alone.receive(data)
    alone.receive(data)
    refused = [(event.status, event.reason) for event in alone.events if isinstance(event, InviteRefused)]
    assert refused == ([] if told is None else [told])
    assert len(alone.events) == len(refused)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\x00\x00\x00\x00",
        b"hello\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n\r\n",
        sip_request("ACK").replace(b"Via: SIP/2.0/UDP 10.0.0.2:5060", b"Via: SIP/2.0/UDP 10.0.0.2:70000"),
        b"OPTIONS sip:us@10.0.0.1 SIP/2.0\r\nCall-ID: 1\r\n\r\n",
        sip_request("ACK").replace(b"CSeq: 1", b"CSeq: x"),
        sip_request("ACK", to_tag="gone"),
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKno\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        bytes(range(256)) * 4,
    ],
)
def test_what_cannot_be_answered_is_dropped_and_counted(data: bytes) -> None:
    alone = Alone()
    assert alone.receive(data) == []
    assert alone.events == []
    counters = alone.endpoint.counters
    assert counters.received == 1
    assert counters.keepalives + counters.parse_errors + counters.unanswerable + counters.strays == 1


def test_a_response_to_nothing_is_a_stray() -> None:
    alone = Alone()
    head = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKno\r\nFrom: <sip:a@b>;tag=1\r\n"
    alone.receive(head + b"To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n")
    assert alone.endpoint.counters.strays == 1


# Where responses go


@pytest.mark.parametrize(
    ("via", "remote", "stamped"),
    [
        ("10.0.0.2:5060;branch=z9hG4bKv1;rport", ("203.0.113.9", 40000), ";rport=40000;received=203.0.113.9"),
        ("10.0.0.2:5060;branch=z9hG4bKv2;rport", THEM, ";rport=5060;received=10.0.0.2"),
        ("pbx.example.com;branch=z9hG4bKv3", ("203.0.113.9", 5060), ";received=203.0.113.9"),
    ],
)
def test_the_source_is_stamped_on_the_via(via: str, remote: tuple[str, int], stamped: str) -> None:
    alone = Alone()
    flow = Flow("udp", US, remote, US)
    answer = only(alone.receive(sip_request("OPTIONS", via=f"Via: SIP/2.0/UDP {via}"), flow))
    value = answer.headers.get("Via") or ""
    for part in stamped.split(";"):
        assert part in value
    assert alone.transmits[0].flow is flow


def test_without_rport_the_response_goes_to_the_port_of_the_via() -> None:
    """RFC 3261 section 18.2.2: the source address, but the port that the peer says it listens on."""
    alone = Alone()
    flow = Flow("udp", US, ("10.0.0.2", 41234), US)
    alone.receive(sip_request("OPTIONS", via="Via: SIP/2.0/UDP 10.0.0.2:5080;branch=z9hG4bKw1"), flow)
    assert alone.transmits[0].flow.remote == ("10.0.0.2", 5080)

    alone.receive(sip_request("OPTIONS", via="Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKw2", cseq=2), flow)
    assert alone.transmits[1].flow.remote == ("10.0.0.2", 5060)


def test_maddr_does_not_aim_our_responses_at_others() -> None:
    alone = Alone()
    alone.receive(
        sip_request("OPTIONS", via="Via: SIP/2.0/UDP 10.0.0.2;maddr=192.0.2.1;branch=z9hG4bKm;rport")
    )
    assert alone.transmits[0].flow.remote == THEM


def test_an_out_of_dialog_method_is_the_users_when_served() -> None:
    settings = EndpointSettings(
        allow=("INVITE", "ACK", "CANCEL", "BYE", "MESSAGE"), out_of_dialog=("MESSAGE",)
    )
    alone = Alone(settings)
    assert alone.receive(sip_request("MESSAGE", body=b"hi", content_type="text/plain")) == []
    (received,) = alone.events
    assert isinstance(received, OutOfDialogReceived)
    alone.endpoint.respond(alone.now, received.transaction, 202)
    assert statuses(alone.drain()) == [202]
    alone.endpoint.respond(alone.now, received.transaction, 200)
    assert alone.drain() == []


@given(st.binary(max_size=300))
def test_no_octets_raise(data: bytes) -> None:
    Alone().receive(data)


@given(
    st.integers(0, 400),
    st.binary(min_size=1, max_size=8),
    st.sampled_from(["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"]),
)
def test_no_damaged_request_raises(position: int, damage: bytes, method: str) -> None:
    alone = Alone()
    data = sip_request(method, body=SDP, branch="z9hG4bKfuzz")
    alone.receive(data[:position] + damage + data[position + len(damage) :])
    alone.wait(100)
    assert alone.endpoint.transaction_count <= 1


class OnlyOne(OpenGate):
    """New requests are for one source only."""

    def judge(self, request: Request, source: str, now: float) -> Verdict:
        return None if source == "192.0.2.1" else SILENCE


def test_a_source_that_is_not_admitted_hears_nothing() -> None:
    """No answer tells a scanner that we are here; the requests of a call we have are heard from anywhere."""
    alone = Alone()
    alone.receive(sip_request("INVITE", body=SDP))
    (received,) = [event for event in alone.events if isinstance(event, InviteReceived)]
    alone.endpoint.gate = OnlyOne()
    broken = sip_request("OPTIONS").replace(b"Via: SIP/2.0/UDP 10.0.0.2:5060", b"Via: ;;,;,")
    for data in (sip_request("OPTIONS"), sip_request("INVITE", call_id="new"), sip_request("FLY"), broken):
        assert alone.receive(data) == []
    assert alone.endpoint.counters.unheard == 4
    bye = sip_request("BYE", to_tag=received.session.local_tag, cseq=2)
    assert statuses(alone.receive(bye)) == [200, 487]
    admitted = Flow("udp", US, ("192.0.2.1", 5060), US)
    assert statuses(alone.receive(sip_request("OPTIONS", call_id="x"), admitted)) == [200]
