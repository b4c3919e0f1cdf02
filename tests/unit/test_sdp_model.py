"""Session descriptions as values: what is kept, what is forgiven, what is refused."""

from __future__ import annotations

import pytest

from sip_stack.errors import RemoteError
from sip_stack.sdp import Connection, Direction, Media, MediaLines, Origin, RtpMap, Session, parse
from sip_stack.sdp.model import MAX_FORMATS, MAX_LINES, MAX_MEDIA, MAX_OCTETS
from sip_stack.sdp.rtpmap import rtpmaps_of

PHONE = b"""\
v=0\r
o=phone 3905 3906 IN IP4 192.0.2.10\r
s=a call\r
i=about nothing\r
c=IN IP4 192.0.2.10\r
b=AS:84\r
t=0 0\r
a=X-vendor:keep me\r
a=recvonly\r
m=audio 4000/2 RTP/AVP 0 8 96\r
i=the voice\r
c=IN IP6 2001:db8::1\r
b=TIAS:64000\r
a=rtpmap:96 telephone-event/8000\r
a=fmtp:96 0-16\r
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r
a=ptime:30\r
a=rtcp:5003 IN IP4 192.0.2.77\r
a=sendonly\r
m=video 0 RTP/SAVP 31\r
"""

SMALLEST = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def audio(*lines: str) -> Media:
    """The first media section of a description with these lines."""
    return parse((SMALLEST + "".join(f"{line}\r\n" for line in lines)).encode()).media[0]


def test_a_phone_s_description_is_understood_and_printed_as_it_came() -> None:
    session = parse(PHONE)

    assert session.origin == Origin("phone", "3905", "3906", "IP4", "192.0.2.10")
    assert session.name == "a call"
    assert session.connection == Connection("IP4", "192.0.2.10")
    assert session.attribute("X-vendor") == "keep me"
    voice, video = session.media
    assert (voice.kind, voice.port, voice.port_count, voice.lines.protocol) == ("audio", 4000, 2, "RTP/AVP")
    assert voice.lines.formats == ("0", "8", "96")
    assert session.connection_of(voice) == Connection("IP6", "2001:db8::1")
    assert session.connection_of(video) == Connection("IP4", "192.0.2.10")
    assert (video.kind, video.port, video.lines.protocol) == ("video", 0, "RTP/SAVP")

    assert session.encode() == PHONE


def test_attributes_are_read_as_written() -> None:
    voice = parse(PHONE).media[0]

    assert voice.lines.attribute("sendonly") == ""
    assert voice.lines.attribute("sendrecv") is None
    assert [line.split()[0] for line in voice.lines.attribute_values("crypto")] == ["1", "2"]
    assert voice.lines.format_parameters(96) == "0-16"
    assert voice.lines.format_parameters(9) is None
    assert voice.lines.ptime == 30
    assert voice.lines.rtcp == (Connection("IP4", "192.0.2.77"), 5003)


def test_payload_types_keep_the_order_of_the_media_line() -> None:
    media = audio(
        "m=audio 4000 RTP/AVP 8 101 0", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:8 PCMA/8000/1"
    )

    assert list(rtpmaps_of(media.lines.formats, media.lines.rtpmaps).items()) == [
        (8, RtpMap("PCMA", 8000)),
        (101, RtpMap("telephone-event", 8000)),
        (0, RtpMap("PCMU", 8000)),
    ]


@pytest.mark.parametrize(
    "rtpmap",
    ["96 L16", "96 L16/", "96 L16/x", "96 L16/0", "96 /8000", "96", "", "96 L16/8000/1/1", "96 L16/8000/0"],
)
def test_a_format_that_nobody_explains_is_left_out(rtpmap: str) -> None:
    media = audio("m=audio 4000 RTP/AVP 96 0", f"a=rtpmap:{rtpmap}")

    assert list(rtpmaps_of(media.lines.formats, media.lines.rtpmaps)) == [0]


def test_an_unreadable_rtpmap_leaves_a_static_payload_type_its_meaning() -> None:
    assert rtpmaps_of(("8",), ("8 PCMA",)) == {8: RtpMap("PCMA", 8000)}


@pytest.mark.parametrize("formats", ["128", "-1", "x", "٣", "0x0", "99999999999999999999"])
def test_a_format_that_is_no_payload_type_is_left_out(formats: str) -> None:
    assert rtpmaps_of((formats,), ()) == {}


@pytest.mark.parametrize("ptime", ["0", "-20", "abc", "", "201", "20.5", "9" * 5000])
def test_a_senseless_ptime_is_no_ptime(ptime: str) -> None:
    assert audio("m=audio 4000 RTP/AVP 0", f"a=ptime:{ptime}").lines.ptime is None


@pytest.mark.parametrize("rtcp", ["0", "65536", "x", "", "5001 IN IP4", "5001 XX IP4 192.0.2.1"])
def test_a_senseless_rtcp_attribute_is_none(rtcp: str) -> None:
    assert audio("m=audio 4000 RTP/AVP 0", f"a=rtcp:{rtcp}").lines.rtcp is None


@pytest.mark.parametrize(
    ("session_line", "media_line", "expected"),
    [
        (None, None, Direction.SENDRECV),
        ("a=sendonly", None, Direction.SENDONLY),
        ("a=sendonly", "a=recvonly", Direction.RECVONLY),
        (None, "a=inactive", Direction.INACTIVE),
        (None, "a=sendonly:1", Direction.SENDRECV),
    ],
)
def test_direction_comes_from_the_media_then_the_session_then_is_both_ways(
    session_line: str | None, media_line: str | None, expected: Direction
) -> None:
    lines = [session_line, "m=audio 4000 RTP/AVP 0", media_line]
    session = parse((SMALLEST + "".join(f"{line}\r\n" for line in lines if line)).encode())

    assert session.direction_of(session.media[0]) is expected


@pytest.mark.parametrize("direction", list(Direction))
def test_a_direction_is_what_is_sent_and_what_is_received(direction: Direction) -> None:
    assert Direction.of(sends=direction.sends, receives=direction.receives) is direction


class TestForgiven:
    """What devices get wrong without anybody being misled."""

    def test_lines_end_with_lf_alone(self) -> None:
        assert parse(PHONE.replace(b"\r\n", b"\n")) == parse(PHONE)

    @pytest.mark.parametrize("end", [b"", b"\r", b"\n", b"\r\n\r\n", b"\r\n\n"])
    def test_the_last_line_ends_anyhow(self, end: bytes) -> None:
        assert parse(PHONE.rstrip() + end) == parse(PHONE)

    def test_spaces_at_the_end_of_lines(self) -> None:
        assert parse(PHONE.replace(b"\r\n", b" \r\n")) == parse(PHONE)

    def test_no_session_name_and_no_time(self) -> None:
        session = parse(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n")

        assert session.encode().splitlines()[2:4] == [b"s=-", b"t=0 0"]

    def test_an_origin_without_a_user_or_with_two_words(self) -> None:
        assert parse(b"v=0\r\no= 1 1 IN IP4 192.0.2.1\r\n").origin.username == "-"
        assert parse(b"v=0\r\no=John Doe 1 1 IN IP4 192.0.2.1\r\n").origin.username == "John Doe"

    def test_a_line_of_a_letter_nobody_knows(self) -> None:
        assert parse(SMALLEST.encode() + b"y=1234\r\n") == parse(SMALLEST.encode())

    def test_octets_that_are_no_utf8_survive(self) -> None:
        body = SMALLEST.replace("s=-", "s=caf").encode().replace(b"s=caf", b"s=caf\xe9")

        assert parse(body).encode() == body


class TestRefused:
    """400: what cannot be read without guessing where media would go."""

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            (b"", "does not start with v=0"),
            (b"hello", "does not start with v=0"),
            (b"v=1\r\n", "does not start with v=0"),
            (b"v=0\r\ns=-\r\n", "without o="),
            (b"v=0\r\no=- 1 1 IN IP4\r\n", "bad o= line"),
            (b"v=0\r\no=- 1 1 XX IP4 192.0.2.1\r\n", "bad o= line"),
            (SMALLEST.encode() + b"o=- 1 1 IN IP4 192.0.2.1\r\n", "two o= lines"),
            (SMALLEST.encode() + b"c=IN IP4\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4\r\n", "bad c= line"),
            (SMALLEST.encode() + b"m=audio 1 RTP/AVP 0\r\nc=IN IP5 192.0.2.1\r\n", "neither IP4 nor IP6"),
            (SMALLEST.encode() + b"m=audio 1 RTP/AVP\r\n", "less than four fields"),
            (SMALLEST.encode() + b"m=audio 65536 RTP/AVP 0\r\n", "bad port"),
            (SMALLEST.encode() + b"m=audio -1 RTP/AVP 0\r\n", "bad port"),
            (SMALLEST.encode() + b"m=audio 1/0 RTP/AVP 0\r\n", "bad port"),
            (SMALLEST.encode() + b"m=audio 1_0 RTP/AVP 0\r\n", "bad port"),
            (SMALLEST.encode() + b"m=audio 1 RTP/AVP 0\r\ns=again\r\n", "s= line after m="),
            (SMALLEST.encode() + b"a=\r\n", "attribute without a name"),
            (SMALLEST.encode() + b"m=audio 1 RTP/AVP 0\r\na=:8\r\n", "attribute without a name"),
            (SMALLEST.encode() + b"nonsense\r\n", "not <letter>=<text>"),
            (SMALLEST.encode() + b"a=x\ry\r\n", "bare CR or NUL"),
            (SMALLEST.encode() + b"a=x\0y\r\n", "bare CR or NUL"),
        ],
    )
    def test_malformed(self, body: bytes, why: str) -> None:
        with pytest.raises(RemoteError, match=why) as refusal:
            parse(body)

        assert refusal.value.status_hint == 400

    @pytest.mark.parametrize(
        "body",
        [
            SMALLEST.encode() + b"a=" + b"x" * MAX_OCTETS,
            SMALLEST.encode() + b"a=x\r\n" * MAX_LINES,
            SMALLEST.encode() + b"m=audio 1 RTP/AVP 0\r\n" * (MAX_MEDIA + 1),
            SMALLEST.encode() + b"m=audio 1 RTP/AVP" + b" 0" * (MAX_FORMATS + 1),
        ],
        ids=["octets", "lines", "media", "formats"],
    )
    def test_too_much(self, body: bytes) -> None:
        with pytest.raises(RemoteError) as refusal:
            parse(body)

        assert refusal.value.status_hint == 400


def test_what_we_build_is_what_a_peer_reads() -> None:
    built = Session(
        Origin("-", "17", "1", "IP6", "2001:db8::9"),
        Connection("IP6", "2001:db8::9"),
        (Media("audio", 16384, MediaLines("RTP/AVP", ("0",), None, (("ptime", "20"), ("sendrecv", None)))),),
    )

    assert built.encode().decode() == (
        "v=0\r\no=- 17 1 IN IP6 2001:db8::9\r\ns=-\r\nc=IN IP6 2001:db8::9\r\nt=0 0\r\n"
        "m=audio 16384 RTP/AVP 0\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    assert parse(built.encode()) == built
