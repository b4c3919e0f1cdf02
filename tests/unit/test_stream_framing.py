"""Where a message ends on a stream: all at once, octet by octet, several together, and when it cannot be told."""

from __future__ import annotations

import pytest

from sip_stack.message import MAX_MESSAGE
from sip_stack.message.framing import MAX_HEAD, PING, FramingError, StreamFramer
from tests.support.sip_text import sip_request

OPTIONS = sip_request("OPTIONS")
INVITE = sip_request("INVITE", body=b"v=0\r\n\r\nm=audio 4000\r\n\r\n")


def head(*lines: str) -> bytes:
    return "\r\n".join(["OPTIONS sip:us SIP/2.0", "Call-ID: 1", *lines, "", ""]).encode()


def feed(framer: StreamFramer, stream: bytes, size: int, found: list[bytes]) -> None:
    for start in range(0, len(stream), size):
        found += framer.feed(stream[start : start + size])


def pieces(stream: bytes, size: int) -> list[bytes]:
    """What comes out when the stream arrives in pieces of that size."""
    framer = StreamFramer()
    found: list[bytes] = []
    feed(framer, stream, size, found)
    assert not framer.is_inside_message
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 100_000])
@pytest.mark.parametrize(
    ("stream", "items"),
    [
        (OPTIONS, [OPTIONS]),
        (INVITE, [INVITE]),
        (OPTIONS + INVITE + OPTIONS, [OPTIONS, INVITE, OPTIONS]),
        # CRLFs between messages mean nothing (section 7.5), two of them on their own are a ping (RFC 5626).
        (b"\r\n" + OPTIONS + b"\r\n" + INVITE, [OPTIONS, INVITE]),
        (b"\r\n\r\n" + OPTIONS + b"\r\n\r\n", [PING, OPTIONS, PING]),
        (b"\r\n\r\n\r\n\r\n", [PING, PING]),
        (b"\r\n\r\n\r\n" + OPTIONS, [PING, OPTIONS]),
        # A body full of line breaks is no keep-alive.
        (
            head("Content-Length: 8") + PING + PING + OPTIONS,
            [head("Content-Length: 8") + PING + PING, OPTIONS],
        ),
    ],
)
def test_a_stream_is_cut_the_same_way_however_it_arrives(
    stream: bytes, items: list[bytes], size: int
) -> None:
    assert pieces(stream, size) == items


@pytest.mark.parametrize(
    "line",
    [
        "Content-Length: 4",
        "content-length:4",
        "CONTENT-LENGTH \t:\t 4 \t",
        "l: 4",
        "L : 4",
        "Content-Length:\r\n  4",
        "Content-Length: 0004",
        "Content-Length: 4\r\nl: 4",
    ],
)
def test_content_length_as_it_may_be_written(line: str) -> None:
    message = head("Subject: l: 9", line) + b"body"
    assert pieces(message + OPTIONS, 11) == [message, OPTIONS]


@pytest.mark.parametrize(
    ("lines", "status", "reason"),
    [
        ([], 400, "Missing Content-Length"),
        (["X-Content-Length: 4", "Sl: 4"], 400, "Missing Content-Length"),
        (["Content-Length:"], 400, "Malformed Content-Length"),
        (["Content-Length: -999"], 400, "Malformed Content-Length"),
        (["Content-Length: four"], 400, "Malformed Content-Length"),
        (["Content-Length: 4, 4"], 400, "Malformed Content-Length"),
        (["Content-Length: \u0664"], 400, "Malformed Content-Length"),
        (["Content-Length: " + "9" * 5000], 400, "Malformed Content-Length"),
        (["Content-Length: 4", "l: 5"], 400, "Several values of Content-Length"),
        (["Content-Length: 65535"], 513, "Message Too Large"),
        (["Content-Length: 99999999999999999999"], 513, "Message Too Large"),
    ],
)
@pytest.mark.parametrize("size", [1, 100_000])
def test_what_has_no_end_ends_the_stream(lines: list[str], status: int, reason: str, size: int) -> None:
    bad = head(*lines)
    found: list[bytes] = []
    with pytest.raises(FramingError) as caught:
        feed(StreamFramer(), OPTIONS + bad + b"behind it", size, found)
    assert found == [OPTIONS], "what came before the fault is good"
    assert (caught.value.status_hint, caught.value.reason) == (status, reason)
    assert caught.value.head == bad, "it can be answered"


def test_headers_without_end_are_not_collected_for_ever() -> None:
    framer = StreamFramer()
    found: list[bytes] = []
    feed(framer, b"X-Filler: aaaaaaaaaaaaa\r\n" * (MAX_HEAD // 25), 25, found)
    assert found == []
    with pytest.raises(FramingError) as caught:
        feed(framer, b"X-Filler: aaaaaaaaaaaaa\r\n" * 2, 25, found)
    assert (caught.value.status_hint, caught.value.head) == (513, b"")


def test_a_whole_head_that_is_too_large_is_refused_too() -> None:
    with pytest.raises(FramingError):
        list(StreamFramer().feed(head(*["X-Filler: aaaaaaaaaaaaaaaa"] * 2000, "l: 0")))


def test_the_largest_message() -> None:
    start = head("l: 65000")
    framer = StreamFramer()
    body = b"x" * 65000
    assert len(start) + len(body) <= MAX_MESSAGE
    assert list(framer.feed(start + body)) == [start + body]


def test_half_a_message_is_told_from_silence() -> None:
    framer = StreamFramer()
    assert not framer.is_inside_message
    # Half a ping, or a line break before a message: nothing is owed.
    for octets, inside in ((b"\r\n", False), (b"O", True), (OPTIONS[1:-1], True)):
        assert list(framer.feed(octets)) == []
        assert framer.is_inside_message is inside
    assert list(framer.feed(OPTIONS[-1:])) == [OPTIONS]
    assert not framer.is_inside_message
    list(framer.feed(head("l: 10")))
    assert framer.is_inside_message, "the body is awaited"
