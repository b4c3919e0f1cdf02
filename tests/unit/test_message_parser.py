"""Datagrams to messages."""

from __future__ import annotations

import pytest

from sip_stack.errors import RemoteError
from sip_stack.message import MAX_MESSAGE, MalformedMessage, Request, Response, parse_message

HEADERS = (
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:a@example.com>;tag=1\r\n"
    b"To: <sip:b@example.com>\r\n"
    b"Call-ID: one\r\n"
    b"CSeq: 1 OPTIONS\r\n"
)
LINE = b"OPTIONS sip:b@example.com SIP/2.0\r\n"


def request(extra: bytes = b"", body: bytes = b"") -> Request:
    message = parse_message(LINE + HEADERS + extra + b"\r\n" + body)
    assert isinstance(message, Request)
    return message


def refusal(data: bytes) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        parse_message(data)
    assert isinstance(caught.value, RemoteError)
    return caught.value


def test_a_request() -> None:
    message = request(b"Content-Length: 2\r\n", b"hi")
    assert (message.method, message.uri, message.version) == ("OPTIONS", "sip:b@example.com", "SIP/2.0")
    assert message.body == b"hi"
    assert message.headers.get("Call-ID") == "one"


def test_a_response() -> None:
    message = parse_message(b"SIP/2.0 486 Busy  Here \r\n" + HEADERS + b"\r\n")
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (486, "Busy  Here ")


@pytest.mark.parametrize("line", [b"SIP/2.0 180\r\n", b"SIP/2.0 180 \r\n"])
def test_a_reason_phrase_may_be_missing(line: bytes) -> None:
    message = parse_message(line + HEADERS + b"\r\n")
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (180, "")


def test_empty_lines_before_the_start_line_are_skipped() -> None:
    assert isinstance(parse_message(b"\r\n\r\n" + LINE + HEADERS + b"\r\n"), Request)


def test_folded_lines_are_one_line_with_a_blank() -> None:
    message = request(b"Subject: one\r\n two\r\n\t \tthree\r\nContact:\r\n <sip:c@d>\r\n")
    assert message.headers.get("Subject") == "one two three"
    assert message.headers.get("Contact") == "<sip:c@d>"


def test_odd_octets_come_back_exactly() -> None:
    value = b"\xff\xfe caf\xc3\xa9 \xc2\x85 \xe2\x80\xa8 \x0b\x1c \x80"
    message = request(b"X-Odd: " + value + b"\r\n")
    assert b"\r\nX-Odd: " + value + b"\r\n" in message.encode()


def test_unknown_headers_keep_spelling_and_order() -> None:
    extra = b"x-B: 2\r\nX-a: ;;,,;\r\nX-B: 1\r\n"
    assert extra in request(extra).encode()


class TestContentLength:
    def test_missing_means_the_rest_of_the_datagram(self) -> None:
        assert request(b"", b"all of it\r\n\r\n").body == b"all of it\r\n\r\n"

    def test_octets_behind_the_body_are_dropped(self) -> None:
        assert request(b"l: 3\r\n", b"bodyINVITE sip:x SIP/2.0\r\n").body == b"bod"

    def test_zero_means_no_body(self) -> None:
        assert request(b"L:0\r\n", b"body").body == b""

    def test_the_same_value_twice_is_no_contradiction(self) -> None:
        assert request(b"Content-Length: 4\r\nl: 4\r\n", b"body").body == b"body"

    @pytest.mark.parametrize(
        "extra",
        [
            b"Content-Length: 5\r\n",
            b"l: 99999999999999999999999\r\n",
            b"l: -1\r\n",
            b"l: 1_0\r\n",
            b"l: \r\n",
            b"l: 3\r\nContent-Length: 4\r\n",
            "l: ٣\r\n".encode(),
        ],
    )
    def test_nonsense_is_refused_and_can_be_answered(self, extra: bytes) -> None:
        error = refusal(LINE + HEADERS + extra + b"\r\nbody")
        assert error.status_hint == 400
        assert error.request is not None
        assert error.request.call_id == "one"

    def test_nonsense_in_a_response_cannot_be_answered(self) -> None:
        assert refusal(b"SIP/2.0 200 OK\r\n" + HEADERS + b"l: 9\r\n\r\n").request is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"OPTIONS",
        LINE + HEADERS,  # no empty line
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS SIP/2.0\r\n" + HEADERS + b"\r\n",
        b"OPTIONS sip:b@example.com\r\n" + HEADERS + b"\r\n",
        b"OPTIONS sip:\0b@example.com SIP/2.0\r\n" + HEADERS + b"\r\n",
        LINE.replace(b"\r", b"") + HEADERS + b"\r\n",
        LINE + HEADERS + b"X: stray \r cr\r\n\r\n",
        LINE + HEADERS + b"X: stray \n lf\r\n\r\n",
        LINE + HEADERS + b"X: bare \0 nul\r\n\r\n",
        b"SIP/2.0 99 Low\r\n" + HEADERS + b"\r\n",
        b"SIP/2.0 700 High\r\n" + HEADERS + b"\r\n",
        b"SIP/2.0 2000 Long\r\n" + HEADERS + b"\r\n",
        "SIP/2.0 ٢٠٠ Arabic\r\n".encode() + HEADERS + b"\r\n",
        b"SIP/2.0 200 \\\0\r\n" + HEADERS + b"\r\n",
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    error = refusal(data)
    assert error.status_hint == 400
    assert error.request is None


def test_a_bad_header_line_is_refused_and_the_rest_can_be_answered() -> None:
    error = refusal(LINE + HEADERS + b"Foobar roobar\r\n\r\n")
    assert error.status_hint == 400
    assert error.request is not None
    assert error.request.cseq.method == "OPTIONS"


def test_too_many_header_lines_are_refused_and_can_be_answered() -> None:
    error = refusal(LINE + HEADERS + b"A: b\r\n" * 300 + b"\r\n")
    assert error.status_hint == 400
    assert error.request is not None
    assert error.request.call_id == "one"


def test_a_message_has_a_limit() -> None:
    head = LINE + HEADERS + b"\r\n"
    parse_message(head + b"x" * (MAX_MESSAGE - len(head)))
    assert refusal(head + b"x" * (MAX_MESSAGE - len(head) + 1)).status_hint == 513


def test_another_version_of_a_request_is_read_so_that_it_can_be_answered() -> None:
    message = parse_message(b"OPTIONS sip:b SIP/7.0\r\n" + HEADERS + b"\r\n")
    assert isinstance(message, Request)
    assert message.version == "SIP/7.0"


def test_another_version_of_a_response_is_refused() -> None:
    assert refusal(b"SIP/7.0 200 OK\r\n" + HEADERS + b"\r\n").status_hint == 505


@pytest.mark.parametrize(
    "filler",
    [
        b",",
        b'"',
        b"\\",
        b"<",
        b";",
        b"\r\n ",
        b'"\\',
        b"<>",
        b'"",',
        b" ",
        b"\t",
        b"%",
        b"@",
        b":",
        b"/",
        b"[",
        b"\xff",
    ],
)
@pytest.mark.parametrize(
    "name", [b"Via", b"Contact", b"From", b"To", b"CSeq", b"Route", b"Supported", b"X-Y"]
)
def test_64_kib_of_anything_is_read_or_refused_in_time(name: bytes, filler: bytes) -> None:
    # The test's time limit is the assertion: quadratic work on 60,000 characters takes minutes.
    data = b"INVITE sip:b SIP/2.0\r\n" + name + b": " + filler * (60000 // len(filler)) + b"\r\n\r\n"
    message = parse_message(data)
    for attribute in ("via", "vias", "contacts", "from_", "to", "cseq", "routes", "supported"):
        try:
            getattr(message, attribute)
        except RemoteError:
            continue
    assert parse_message(message.encode()).headers.get(name.decode()) == message.headers.get(name.decode())
