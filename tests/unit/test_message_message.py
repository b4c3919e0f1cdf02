"""Typed access, its cache, printing, and bodies."""

from __future__ import annotations

import pytest

from sip_stack.errors import LocalError, RemoteError
from sip_stack.message import CSeq, Headers, NameAddr, Request, Response, SipUri, parse_message, reason_phrase


def invite() -> Request:
    return Request(
        "INVITE",
        "sip:bob@example.com",
        [
            ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport, SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2"),
            ("v", "SIP/2.0/TLS 192.0.2.3;branch=z9hG4bK3"),
            ("Route", "<sip:p1;lr>, <sip:p2;lr>"),
            ("Route", "<sip:p3;lr>"),
            ("Record-Route", "<sip:r1;lr>"),
            ("From", '"Alice" <sip:alice@example.com>;tag=a'),
            ("To", "<sip:bob@example.com>"),
            ("Call-ID", "call-1"),
            ("CSeq", "7 INVITE"),
            ("Contact", "<sip:alice@192.0.2.1>;q=0.5, <sip:alice@192.0.2.2>"),
            ("Max-Forwards", "0068"),
            ("Supported", "timer, replaces"),
            ("k", "100rel"),
            ("Require", "timer"),
            ("Allow", "INVITE,ACK"),
            ("Content-Type", "Application/SDP"),
        ],
        b"v=0\r\n",
    )


def test_typed_values() -> None:
    request = invite()
    assert request.via.host == "192.0.2.1"
    assert [via.branch for via in request.vias] == ["z9hG4bK1", "z9hG4bK2", "z9hG4bK3"]
    assert request.branch == "z9hG4bK1"
    assert request.call_id == "call-1"
    assert request.cseq == CSeq(7, "INVITE")
    assert request.from_.display == "Alice"
    assert (request.from_.tag, request.to.tag) == ("a", None)
    assert [route.uri for route in request.routes] == ["sip:p1;lr", "sip:p2;lr", "sip:p3;lr"]
    assert [route.uri for route in request.record_routes] == ["sip:r1;lr"]
    assert request.contact == NameAddr.parse("<sip:alice@192.0.2.1>;q=0.5")
    assert len(request.contacts) == 2
    assert request.max_forwards == 68
    assert request.supported == ["timer", "replaces", "100rel"]
    assert (request.require, request.allow) == (["timer"], ["INVITE", "ACK"])
    assert request.content_type is not None
    assert request.content_type.name == "application/sdp"
    assert request.request_uri == SipUri("sip", "bob", None, "example.com")


def test_what_is_absent() -> None:
    request = Request("OPTIONS", "sip:a")
    assert request.max_forwards is None
    assert request.content_type is None
    assert request.contact is None
    assert (request.vias, request.contacts, request.routes, request.record_routes) == ([], [], [], [])
    assert (request.supported, request.require, request.allow) == ([], [], [])
    for name in ("via", "call_id", "cseq", "from_", "to"):
        with pytest.raises(RemoteError) as caught:
            getattr(request, name)
        assert caught.value.status_hint == 400
        assert caught.value.reason.startswith("Missing")


@pytest.mark.parametrize("value", ["256", "-1", "x", "", "1_0", "9" * 5000])
def test_max_forwards_is_0_to_255(value: str) -> None:
    with pytest.raises(RemoteError):
        _ = Request("OPTIONS", "sip:a", [("Max-Forwards", value)]).max_forwards


@pytest.mark.parametrize("value", ["", "a b", "a\tb"])
def test_a_call_id_is_one_word(value: str) -> None:
    with pytest.raises(RemoteError):
        _ = Request("OPTIONS", "sip:a", [("Call-ID", value)]).call_id


def test_the_contact_star_is_no_target() -> None:
    request = Request("REGISTER", "sip:a", [("Contact", "*")])
    assert [contact.uri for contact in request.contacts] == ["*"]
    assert request.contact is None


def test_values_are_parsed_once() -> None:
    request = invite()
    assert request.via is request.via
    assert request.from_ is request.from_
    assert request.contacts[0] is request.contacts[0]


def test_a_returned_list_is_the_callers_own() -> None:
    request = invite()
    request.routes.reverse()
    request.vias.clear()
    assert request.routes[0].uri == "sip:p1;lr"
    assert len(request.vias) == 3


def test_values_are_read_once() -> None:
    request = invite()
    from_ = request.from_
    request.headers.set("From", "<sip:carol@example.com>;tag=c")
    request.headers.set("To", "<sip:carol@example.com>;tag=c")
    assert request.from_ is from_
    assert request.to.tag == "c"


def test_what_a_received_message_lacks_raises_when_it_is_asked_for() -> None:
    request = parse_message(b"OPTIONS sip:a SIP/2.0\r\nTo: <sip:b\r\nVia: SIP/2.0/UDP a\r\n\r\n")
    assert request.via.host == "a"
    for name in ("to", "from_", "call_id", "cseq"):
        with pytest.raises(RemoteError):
            getattr(request, name)
    assert (request.content_type, request.max_forwards) == (None, None)


def test_encoding_sets_the_content_length() -> None:
    request = Request("OPTIONS", "sip:a", [("Call-ID", "1"), ("l", "77"), ("To", "x")], b"body")
    assert request.encode() == (
        b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 4\r\nTo: x\r\n\r\nbody"
    )
    assert Response(200, headers=[("To", "x")]).encode() == (
        b"SIP/2.0 200 OK\r\nTo: x\r\nContent-Length: 0\r\n\r\n"
    )


def test_an_encoded_message_parses_to_the_same() -> None:
    request = invite()
    again = parse_message(request.encode())
    assert isinstance(again, Request)
    assert again.headers.items() == [*request.headers.items(), ("Content-Length", "5")]
    assert again.body == request.body
    assert again.encode() == request.encode()


@pytest.mark.parametrize("text", ["x\r\nEvil: 1", "x\ny", "x\0y"])
def test_start_lines_take_no_injection(text: str) -> None:
    with pytest.raises(LocalError):
        Request(text, "sip:a")
    with pytest.raises(LocalError):
        Request("OPTIONS", text)
    with pytest.raises(LocalError):
        Response(200, text)


@pytest.mark.parametrize("status", [0, 99, 700])
def test_a_status_is_100_to_699(status: int) -> None:
    with pytest.raises(LocalError):
        Response(status)


def test_headers_may_be_shared_or_given_as_pairs() -> None:
    headers = Headers([("To", "x")])
    assert Request("OPTIONS", "sip:a", headers).headers is headers
    assert len(Request("OPTIONS", "sip:a", None).headers) == 0


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(100, "Trying"), (486, "Busy Here"), (603, "Decline"), (299, "OK"), (499, "Client Error"), (42, "")],
)
def test_reason_phrases(status: int, phrase: str) -> None:
    assert reason_phrase(status) == phrase


def test_messages_print_shortly() -> None:
    assert repr(invite()) == "<Request INVITE sip:bob@example.com>"
    assert repr(Response(404)) == "<Response 404 Not Found>"


class TestStampSource:
    def test_the_top_via_is_stamped_and_the_others_stay_as_received(self) -> None:
        request = invite()
        request.stamp_source("198.51.100.7", 4242)
        assert request.headers.get_all("Via") == [
            "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport=4242;received=198.51.100.7, "
            "SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2",
            "SIP/2.0/TLS 192.0.2.3;branch=z9hG4bK3",
        ]
        assert (request.via.received, request.via.rport) == ("198.51.100.7", 4242)
        assert len(request.vias) == 3

    def test_nothing_to_say_changes_nothing(self) -> None:
        line = "SIP/2.0/UDP  192.0.2.1 ;branch=z9hG4bK1"
        request = Request("OPTIONS", "sip:a", [("Via", line)])
        request.stamp_source("192.0.2.1", 5060)
        assert request.headers.get("Via") == line


def with_body(content_type: str, body: bytes) -> Request:
    return Request("INVITE", "sip:a", [("Content-Type", content_type)], body)


class TestBodyOfType:
    def test_the_body_itself(self) -> None:
        assert invite().body_of_type("application/sdp") == b"v=0\r\n"
        assert invite().body_of_type("APPLICATION/SDP") == b"v=0\r\n"
        assert invite().body_of_type("application/isup") is None

    def test_no_body_or_no_type(self) -> None:
        assert with_body("application/sdp", b"").body_of_type("application/sdp") is None
        assert Request("INVITE", "sip:a", [], b"v=0").body_of_type("application/sdp") is None

    def test_a_part_of_a_multipart_body(self) -> None:
        body = (
            b"a preamble\r\n--b\r\nContent-Type: application/isup;version=x\r\n\r\n\x01\x00\x02\r\n"
            b"--b  \r\ncontent-TYPE\t:\r\n application/sdp\r\n\r\nv=0\r\n\r\n--b--\r\nan epilogue"
        )
        request = with_body("multipart/mixed;boundary=b", body)
        assert request.body_of_type("application/sdp") == b"v=0\r\n"
        assert request.body_of_type("application/isup") == b"\x01\x00\x02"
        assert request.body_of_type("text/plain") is None

    def test_a_part_without_headers_is_text(self) -> None:
        request = with_body('multipart/mixed;boundary="b c"', b"--b c\r\n\r\nhello\r\n--b c--")
        assert request.body_of_type("text/plain") == b"hello"

    def test_multiparts_nest(self) -> None:
        inner = b"--i\r\nc: application/sdp\r\n\r\nv=0\r\n--i--"
        body = b"--o\r\nContent-Type: multipart/related;boundary=i\r\n\r\n" + inner + b"\r\n--o--"
        assert with_body("multipart/mixed;boundary=o", body).body_of_type("application/sdp") == b"v=0"

    def test_a_forgotten_closing_delimiter_is_forgiven(self) -> None:
        request = with_body("multipart/mixed;boundary=b", b"--b\r\nc: application/sdp\r\n\r\nv=0\r\n")
        assert request.body_of_type("application/sdp") == b"v=0\r\n"

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("multipart/mixed", b"--b\r\n\r\nx\r\n--b--"),
            ("multipart/mixed;boundary=", b"--b\r\n\r\nx\r\n--b--"),
            ("multipart/mixed;boundary=b", b"no delimiter"),
            ("multipart/mixed;boundary=b", b"--bother\r\n\r\nx\r\n--b--"),
            ("multipart/mixed;boundary=b", b"--b"),
            ("multipart/mixed;boundary=b", b"--b\r\nc: nonsense\r\n\r\nx\r\n--b--"),
            ("multipart/mixed;boundary=b", b"--b\r\n\r\nx\r\n" * 40 + b"--b--"),
            ("nonsense", b"x"),
        ],
    )
    def test_malformed(self, content_type: str, body: bytes) -> None:
        with pytest.raises(RemoteError) as caught:
            with_body(content_type, body).body_of_type("application/sdp")
        assert caught.value.status_hint == 400

    def test_nesting_has_an_end(self) -> None:
        body = b"--b0\r\nc: application/sdp\r\n\r\nv=0\r\n--b0--"
        for depth in range(1, 7):
            head = b"--b%d\r\nc: multipart/mixed;boundary=b%d\r\n\r\n" % (depth, depth - 1)
            body = head + body + b"\r\n--b%d--" % depth
        assert with_body("multipart/mixed;boundary=b6", body).body_of_type("application/sdp") is None
        assert (
            with_body("multipart/mixed;boundary=b3", body[body.index(b"--b3\r") :]).body_of_type(
                "application/sdp"
            )
            == b"v=0"
        )
