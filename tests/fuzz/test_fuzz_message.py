"""Hostile datagrams: a message or RemoteError comes out, nothing else, and what comes out can be used.

Inputs are mutations of the RFC 4475 messages and of ordinary ones, random octets, and lone values.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sip_stack.errors import RemoteError
from sip_stack.message import (
    CSeq,
    MalformedMessage,
    MediaType,
    NameAddr,
    Request,
    Response,
    SipUri,
    Via,
    check_request,
    check_response,
    parse_message,
    parse_uri,
    quote,
    response_to,
    split_commas,
    unescape,
    unquote,
)

TORTURE = Path(__file__).parents[1] / "rfc" / "data" / "rfc4475"
ORDINARY = [
    b"INVITE sip:support@b2bua.example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds8f7;rport\r\nMax-Forwards: 70\r\n"
    b'From: "Alice" <sip:+15551230000@[2001:db8::1]>;tag=19\r\nTo: <sip:support@b2bua.example.com>\r\n'
    b"Call-ID: a84b4c76e66710\r\nCSeq: 314159 INVITE\r\nContact: <sip:a@192.0.2.1:5060>, <sip:b@c>;q=0.1\r\n"
    b"Record-Route: <sip:p1;lr>,<sip:p2;lr>\r\nRoute: <sip:us;lr>\r\nSupported: timer, 100rel\r\n"
    b"Content-Type: multipart/mixed;boundary=x\r\nContent-Length: 56\r\n\r\n"
    b"--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n--x--\r\n",
    b"SIP/2.0 183 Session Progress\r\nv: SIP/2.0/TLS host:5061;received=192.0.2.9;rport=4;branch=z9hG4bK1\r\n"
    b"f: <sip:a@b>;tag=1\r\nt: sip:c@d;tag=2\r\ni: x\r\nm: <sip:c@[::1]:5060;transport=tcp?X=y>\r\n"
    b"cseq: 1\r\n INVITE\r\nl: 0\r\n\r\n",
]
SEEDS = ORDINARY + [path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))]
TYPED = (
    *("via", "vias", "branch", "call_id", "cseq", "from_", "to", "contact", "contacts", "routes"),
    *("record_routes", "max_forwards", "content_type", "require", "supported", "allow"),
)
# What breaks parsers: delimiters, ends of lines, odd digits, odd blanks, broken UTF-8, big numbers.
PIECES = [
    *(bytes([octet]) for octet in b',;:<>"\\@?&=%/[]() \t\r\n\0*\x7f\xff\x85'),
    b"\r\n",
    b"\r\n ",
    b"\r\n\r\n",
    b"%00",
    b"%",
    b"sip:",
    b"[::1]",
    b":0",
    b":65536",
    b";tag=",
    b";rport=",
    b";received=",
    b"9" * 40,
    b"9" * 5000,
    b"-1",
    b"\\\0",
    b"\xc2\xa0",
    b"\xd9\xa3",
    b"\xe2\x84\xaa",
    b"\xed\xa0\x80",
    b"--x",
    b'"' * 300,
    b"," * 300,
    b"<" * 300,
    b";a" * 300,
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["insert", "replace", "delete", "repeat", "splice"])):
            case "insert":
                data = data[:start] + draw(st.sampled_from(PIECES)) + data[start:]
            case "replace":
                piece = draw(st.sampled_from(PIECES))
                data = data[:start] + piece + data[start + len(piece) :]
            case "delete":
                data = data[:start] + data[start + draw(st.integers(1, 40)) :]
            case "repeat":
                end = start + draw(st.integers(1, 80))
                data = data[:end] + data[start:end] + data[end:]
            case _:
                other = draw(st.sampled_from(SEEDS))
                data = data[:start] + other[draw(st.integers(0, len(other))) :]
    return data


def read_every_typed_value(message: Request | Response) -> None:
    """Each property gives a value that prints, or raises RemoteError."""
    for name in TYPED:
        with contextlib.suppress(RemoteError):
            str(getattr(message, name))
    for via in values(message, "vias"):
        assert isinstance(via, Via)
        assert 1 <= (via.port or 1) <= 65535
        with contextlib.suppress(RemoteError):
            _ = via.received, via.rport
        assert Via.parse(str(via)) == via
    for name in ("contacts", "routes", "record_routes"):
        for address in values(message, name):
            assert isinstance(address, NameAddr)
            assert NameAddr.parse(str(address)) == address
            with contextlib.suppress(RemoteError):
                uri = address.parsed_uri
                assert parse_uri(str(uri)) == uri
                if isinstance(uri, SipUri):
                    assert 1 <= (uri.port or 1) <= 65535
                    assert isinstance(uri.username, str)
    for media_type in ("application/sdp", "text/plain"):
        with contextlib.suppress(RemoteError):
            message.body_of_type(media_type)


def values(message: Request | Response, name: str) -> list[object]:
    try:
        return list(getattr(message, name))
    except RemoteError:
        return []


def exercise(data: bytes) -> None:
    try:
        message = parse_message(data)
    except MalformedMessage as error:
        if error.request is not None:
            answer(error.request, error.status_hint)
        return
    read_every_typed_value(message)
    again = parse_message(message.encode())
    assert again.body == message.body
    assert again.start_line == message.start_line
    assert again.encode() == message.encode()
    if isinstance(message, Request):
        status = 200
        try:
            check_request(message)
        except RemoteError as error:
            status = error.status_hint
            assert status in (400, 414, 416, 505)
        answer(message, status)
    else:
        with contextlib.suppress(RemoteError):
            check_response(message)


def answer(request: Request, status: int) -> None:
    """Any request that was read can be stamped, answered, and its addresses used in our own requests."""
    with contextlib.suppress(RemoteError):
        request.stamp_source("192.0.2.77", 5060)
        assert request.via.received in (None, "192.0.2.77")
    response = response_to(request, status, to_tag="ours", headers=[("Server", "fuzz")])
    assert isinstance(parse_message(response.encode()), Response)
    with contextlib.suppress(RemoteError):
        ours = Request("BYE", "sip:a@b", [("To", str(request.from_)), ("From", str(request.to))])
        ours.headers.add("Call-ID", request.call_id)
        parse_message(ours.encode())


@given(mutated())
def test_mutated_messages(data: bytes) -> None:
    exercise(data)


@given(st.binary(max_size=400))
def test_random_octets(data: bytes) -> None:
    exercise(data)


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_random_pieces_in_every_header(pieces: list[bytes]) -> None:
    value = b"".join(pieces)
    for name in (
        b"Via",
        b"From",
        b"Contact",
        b"CSeq",
        b"Call-ID",
        b"Content-Type",
        b"Max-Forwards",
        b"Route",
    ):
        exercise(b"OPTIONS sip:a@b SIP/2.0\r\n" + name + b": " + value + b"\r\n\r\n")
    exercise(b"OPTIONS " + value + b" SIP/2.0\r\n\r\n")
    exercise(b"SIP/2.0 200 " + value + b"\r\n\r\n")


ODD_TEXT = st.text(alphabet=st.sampled_from(list(',;:<>"\\@?&=%/[]() \taZ09.*\x7fé\udcff')), max_size=60)


@given(ODD_TEXT)
def test_values_parse_or_raise_remote_error_and_print_what_parses_the_same(text: str) -> None:
    for kind in (Via, NameAddr, CSeq, MediaType):
        with contextlib.suppress(RemoteError):
            value = kind.parse(text)
            assert kind.parse(str(value)) == value
    with contextlib.suppress(RemoteError):
        uri = parse_uri(text)
        assert parse_uri(str(uri)) == uri
    with contextlib.suppress(RemoteError):
        elements = split_commas(text)
        assert split_commas(",".join(elements)) == elements
    unescape(text)


@given(st.text(max_size=60))
def test_any_text_survives_quoting(text: str) -> None:
    assert unquote(quote(text)) == text
