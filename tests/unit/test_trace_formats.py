"""Traces as they are shown: secrets masked octet for octet, far ends' text escaped, captures with true headers."""

from __future__ import annotations

import base64
import re
import struct
from html.parser import HTMLParser
from ipaddress import ip_address

import pytest

from b2bua.call.clock import CallClock
from b2bua.trace import FORMATS, Format, Ladder, TraceRing, render
from b2bua.trace.ladder import ladder_of
from b2bua.trace.masking import masked
from b2bua.trace.pcap import SEGMENT
from sip_stack.transport import Flow

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        (
            'Authorization: Digest username="u", nonce="n", response="6629fae49393a05397450978507c4ef1"',
            "6629fae4",
        ),
        ("Proxy-Authorization: Digest username=u,response=6629fae4, qop=auth", "6629fae4"),
        ('Authorization: Digest username="u",\r\n response = "6629fae4"', "6629fae4"),
        ('Authentication-Info: rspauth="6629fae4"', "6629fae4"),
        ("authorization:Basic dXNlcjpzZWNyZXQ=", "dXNlcjpzZWNyZXQ"),
        ("Proxy-Authorization: Bearer abc.def", "abc.def"),
        ("Refer-To: <sip:a@b?Authorization=Digest%20response%3D6629fae4&X=1>", "6629fae4"),
        ("To: <sip:alice:s3cret@example.com>", "s3cret"),
        ("Contact: <sip:alice:s3:cr;et@example.com>", "s3:cr;et"),
        ("X-Login: password=s3cret", "s3cret"),
        (f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4", KEY),
        (f"a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY[::-1]}|2^20", KEY[::-1]),
        ("k=base64:c2VjcmV0", "c2VjcmV0"),
        ("a=key-mgmt:mikey AQAFgM0XflABAAAA", "AQAFgM0XflABAAAA"),
    ],
)
def test_a_secret_is_masked_octet_for_octet(line: str, secret: str) -> None:
    message = f"SIP/2.0 200 OK\r\nTo: <sip:a@b>\r\n{line}\r\n\r\n".encode()
    shown = masked(message)

    assert secret.encode() in message
    assert secret.encode() not in shown
    assert len(shown) == len(message)
    assert b"To: <sip:a@b>" in shown


def test_no_message_makes_masking_look_at_it_again_and_again() -> None:
    """Whoever sends it chooses what is in it. Looking anew from each `sip:` to the end would take 15 minutes here."""
    message = b"X-A: " + b"sip:a:" * 170_000
    assert masked(message) == message


def test_a_masked_key_can_still_be_decoded_as_wireshark_insists() -> None:
    """Linphone's offer has keys of 30 and 46 octets; with asterisks in their place its SDP was `Malformed Packet`."""
    keys = [base64.b64encode(bytes(range(length))).decode() for length in (30, 46)]
    shown = masked("".join(f"a=crypto:1 SUITE inline:{key}\r\n" for key in keys).encode())

    found = re.findall(rb"inline:(\S+)", shown)
    assert [len(base64.b64decode(key, validate=True)) for key in found] == [30, 48]


@pytest.mark.parametrize(
    "line",
    [
        "Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bK1;response=",
        "Contact: <sip:alice@192.0.2.1:5060;transport=tcp>",
        "Refer-To: <sip:a@b:5060?X-Id=1>",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:|2^20|1:4",
        'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"',
    ],
)
def test_what_is_no_secret_stays_as_it_was(line: str) -> None:
    message = f"OPTIONS sip:a@b SIP/2.0\r\n{line}\r\n\r\n".encode()
    assert masked(message) == message


def flow(transport: str, local: str, remote: str) -> Flow:
    return Flow(
        transport, (local, 5060), (remote, 5062), ("192.0.2.1" if "." in remote else "2001:db8::1", 5060)
    )


def ladder(caller: Flow, agent: Flow, *, evil: str = "") -> Ladder:
    """A caller who is answered by an agent, with one retransmission."""
    ring = TraceRing(10**6)

    def message(first: str, call_id: str, cseq: str, more: str = "") -> bytes:
        return f"{first}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n{more}Content-Length: 0\r\n\r\n".encode()

    invite = message("INVITE sip:x SIP/2.0", "one", "1 INVITE", evil)
    ring.received(invite, caller, 10.0)
    ring.received(invite, caller, 10.5)
    ring.claim("one", "call", "caller")
    ring.sent(message("INVITE sip:y SIP/2.0", "two", "1 INVITE", f"X-Key: inline:{KEY}\r\n"), agent, 10.6)
    ring.claim("two", "call", "agent")
    ring.received(message(f"SIP/2.0 200 {evil.strip() or 'OK'}", "two", "1 INVITE"), agent, 11.0)
    ring.sent(message("SIP/2.0 200 OK", "one", "1 INVITE"), caller, 11.0)
    traced = ring.of_call("call")
    assert traced is not None
    return ladder_of(traced, CallClock(0.0))


V4 = ladder(flow("udp", "0.0.0.0", "192.0.2.77"), flow("tcp", "192.0.2.1", "198.51.100.1"))
V6 = ladder(flow("udp", "::", "2001:db8::77"), flow("tls", "::", "2001:db8::99"))


def test_the_steps_are_in_order_with_their_times_and_repetitions() -> None:
    assert [(step.title, step.sent, step.whom, step.again) for step in V4.steps] == [
        ("INVITE", False, 0, False),
        ("INVITE", False, 0, True),
        ("INVITE", True, 1, False),
        ("200 OK (INVITE)", False, 1, False),
        ("200 OK (INVITE)", True, 0, False),
    ]
    assert [round(step.elapsed, 3) for step in V4.steps] == [0.0, 0.5, 0.6, 1.0, 1.0]
    assert V4.steps[0].local == ("192.0.2.1", 5060)


def test_the_text_says_who_said_what_to_whom() -> None:
    text = render(V4, Format.TEXT).decode()

    assert text.startswith("call call, 5 messages\n")
    assert "+0.500 s  caller 192.0.2.77:5062 -> b2bua 192.0.2.1:5060  udp, again: INVITE" in text
    assert "+0.600 s  b2bua 192.0.2.1:5060 -> agent 198.51.100.1:5062  tcp: INVITE" in text
    assert text.count("CSeq: 1 INVITE") == 5


def test_the_diagram_has_the_caller_left_and_the_agent_right() -> None:
    lines = render(V4, Format.MERMAID).decode().splitlines()

    assert lines[:4] == [
        "sequenceDiagram",
        "    participant p0 as caller<br/>192.0.2.77#58;5062",
        "    participant b2bua",
        "    participant p1 as agent<br/>198.51.100.1#58;5062",
    ]
    assert lines[4] == "    p0->>b2bua: INVITE +0.000s"
    assert lines[7] == "    p1-->>b2bua: 200 OK (INVITE) +1.000s"


class Page(HTMLParser):
    """The elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_has_every_message_and_runs_nothing_that_a_far_end_wrote() -> None:
    evil = "X-Evil: </pre><script>alert(1)</script><img src=x onerror=alert(1)>\r\n"
    page = Page(render(ladder(flow("udp", "::", "2001:db8::77"), V4_FLOW, evil=evil), Format.HTML).decode())

    assert page.tags.count("details") == 5
    assert page.tags.count("path") == 5
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert not {name for name in page.attributes if name.startswith("on") or name == "src"}
    assert any("<script>alert(1)</script>" in text for text in page.texts)


V4_FLOW = flow("tcp", "192.0.2.1", "198.51.100.1")


def test_a_diagram_cannot_be_broken_out_of() -> None:
    evil = "OK; note over b2bua: x\r\nX: #\r\n"
    lines = render(ladder(flow("udp", "::", "2001:db8::77"), V4_FLOW, evil=evil), Format.MERMAID).decode()
    assert "note over b2bua:" not in lines
    assert len(lines.splitlines()) == 4 + 5


@pytest.mark.parametrize("shape", FORMATS)
def test_no_format_shows_a_key(shape: Format) -> None:
    assert KEY.encode() not in render(V4, shape)


def packets(capture: bytes) -> list[bytes]:
    magic, major, minor, _, _, _, link = struct.unpack_from("<IHHiIII", capture)
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 101)
    found, at = [], 24
    while at < len(capture):
        _, _, kept, whole = struct.unpack_from("<IIII", capture, at)
        assert kept == whole
        found.append(capture[at + 16 : at + 16 + kept])
        at += 16 + kept
    return found


def total(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


@pytest.mark.parametrize("whole", [V4, V6], ids=["v4", "v6"])
def test_a_capture_has_true_addresses_and_checksums(whole: Ladder) -> None:
    for packet, step in zip(packets(render(whole, Format.PCAP)), whole.steps, strict=True):
        version = packet[0] >> 4
        size = 20 if version == 4 else 40
        addresses, protocol = (packet[12:20], packet[9]) if version == 4 else (packet[8:40], packet[6])
        source, target = (step.local, step.remote) if step.sent else (step.remote, step.local)
        assert addresses == ip_address(source[0]).packed + ip_address(target[0]).packed
        assert struct.unpack_from("!HH", packet, size) == (source[1], target[1])
        if version == 4:
            assert struct.unpack_from("!H", packet, 2) == (len(packet),)
            assert total(packet[:20]) == 0xFFFF
        payload = packet[size:]
        assert total(addresses + struct.pack("!II", len(payload), protocol) + payload) == 0xFFFF
        assert protocol == (17 if step.transport == "udp" else 6)
        assert payload[8 if protocol == 17 else 20 :] == step.data


def test_a_message_beyond_a_packet_is_cut_into_a_stream() -> None:
    ring = TraceRing(10**6)
    body = b"x" * (SEGMENT + 1000)
    ring.received(b"INVITE sip:x SIP/2.0\r\nCall-ID: one\r\n\r\n" + body, V4_FLOW, 1.0)
    ring.claim("one", "call", "caller")
    traced = ring.of_call("call")
    assert traced is not None
    first, second = packets(render(ladder_of(traced, CallClock(0.0)), Format.PCAP))

    assert struct.unpack_from("!I", second, 24)[0] - struct.unpack_from("!I", first, 24)[0] == SEGMENT
    assert (first[40:] + second[40:]).endswith(body)
