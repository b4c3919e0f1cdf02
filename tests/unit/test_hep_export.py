"""HEPv3 packets: every chunk where the specification has it, and an exporter that never holds up a call."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from b2bua.call.clock import CallClock
from b2bua.trace import TraceRing, hep
from b2bua.trace.hep import LARGEST, Collector, HepExporter, hep_packet
from sip_stack.transport import Flow

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
FLOW = Flow("udp", ("0.0.0.0", 5060), ("192.0.2.77", 5062), ("192.0.2.1", 5060))


def chunks(packet: bytes) -> dict[int, bytes]:
    """The chunks of a packet by type; all of the generic vendor, and as long as they say."""
    assert packet[:4] == b"HEP3"
    assert struct.unpack_from("!H", packet, 4) == (len(packet),)
    found, at = {}, 6
    while at < len(packet):
        vendor, kind, size = struct.unpack_from("!HHH", packet, at)
        assert vendor == 0
        assert kind not in found
        found[kind] = packet[at + 6 : at + size]
        at += size
    assert at == len(packet)
    return found


def test_a_packet_over_ipv4() -> None:
    packet = hep_packet(
        Collector(("127.0.0.1", 9060), 2001, "s3cret", "node-1"),
        source=("192.0.2.77", 5062),
        target=("192.0.2.1", 5060),
        transport="udp",
        microseconds=1_700_000_000_123_456,
        payload=b"OPTIONS sip:x SIP/2.0\r\n\r\n",
        correlation="call-1",
    )
    assert chunks(packet) == {
        1: b"\x02",
        2: b"\x11",
        3: bytes([192, 0, 2, 77]),
        4: bytes([192, 0, 2, 1]),
        7: struct.pack("!H", 5062),
        8: struct.pack("!H", 5060),
        9: struct.pack("!I", 1_700_000_000),
        10: struct.pack("!I", 123_456),
        11: b"\x01",
        12: struct.pack("!I", 2001),
        14: b"s3cret",
        15: b"OPTIONS sip:x SIP/2.0\r\n\r\n",
        17: b"call-1",
        19: b"node-1",
    }


def test_a_packet_over_ipv6_and_tls_is_told_as_tcp() -> None:
    packet = hep_packet(
        Collector(("127.0.0.1", 9060), 1),
        source=("2001:db8::1", 5061),
        target=("2001:db8::2", 49152),
        transport="tls",
        microseconds=0,
        payload=b"x",
        correlation="c",
    )
    told = chunks(packet)
    assert (told[1], told[2]) == (bytes([socket.AF_INET6]), b"\x06")
    assert told[5] == socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    assert told[6] == socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    assert not {3, 4, 14, 19} & set(told)


@pytest.fixture
def collector() -> Iterator[socket.socket]:
    """A receiver on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        yield receiver


def test_the_messages_of_a_call_arrive_masked_and_correlated(collector: socket.socket) -> None:
    ring = TraceRing(0)
    exporter = HepExporter(Collector(collector.getsockname(), 7))
    ring.tell = exporter.hear
    exporter.start(CallClock(0.0))
    ring.received(
        b"INVITE sip:x SIP/2.0\r\nCall-ID: one\r\n\r\na=crypto:1 X inline:" + KEY.encode(), FLOW, 1.5
    )
    ring.received(b"OPTIONS sip:x SIP/2.0\r\nCall-ID: ping\r\n\r\n", FLOW, 1.5)
    ring.claim("one", "our-call", "caller")
    ring.sent(b"SIP/2.0 200 OK\r\nCall-ID: one\r\n\r\n", FLOW, 2.0)
    exporter.close(20.0)

    came, went = chunks(collector.recv(65536)), chunks(collector.recv(65536))
    assert KEY.encode() not in came[15]
    assert came[15].startswith(b"INVITE sip:x")
    assert (came[17], went[17]) == (b"our-call", b"our-call")
    assert (came[3], came[4]) == (bytes([192, 0, 2, 77]), bytes([192, 0, 2, 1]))
    assert (went[3], went[4]) == (came[4], came[3])
    moments = [
        struct.unpack("!I", each[9])[0] * 10**6 + struct.unpack("!I", each[10])[0] for each in (came, went)
    ]
    assert moments[1] - moments[0] == pytest.approx(500_000, abs=1)
    assert (exporter.sent, exporter.lost) == (2, 0)


def test_what_is_too_much_is_lost_and_counted(
    monkeypatch: pytest.MonkeyPatch, collector: socket.socket
) -> None:
    monkeypatch.setattr(hep, "CAPACITY", 10)
    ring = TraceRing(0)
    exporter = HepExporter(Collector(collector.getsockname(), 7))
    ring.tell = exporter.hear
    ring.received(b"INVITE sip:x SIP/2.0\r\nCall-ID: one\r\n\r\n" + b"x" * LARGEST, FLOW, 1.0)
    ring.claim("one", "call", "caller")
    for _ in range(50):
        ring.sent(b"INFO sip:x SIP/2.0\r\nCall-ID: one\r\n\r\n", FLOW, 2.0)
    assert exporter.lost == 41  # nobody takes them yet

    exporter.start(CallClock(0.0))
    exporter.close(20.0)
    assert (exporter.sent, exporter.lost) == (9, 42)
    assert not [thread for thread in threading.enumerate() if thread.name == "hep"]


def test_an_absent_collector_hurts_nobody() -> None:
    exporter = HepExporter(Collector(("127.0.0.1", 9), 7))
    ring = TraceRing(0)
    ring.tell = exporter.hear
    exporter.start(CallClock(0.0))
    ring.received(b"INVITE sip:x SIP/2.0\r\nCall-ID: one\r\n\r\n", FLOW, 1.0)
    ring.claim("one", "call", "caller")
    exporter.close(20.0)
    assert exporter.sent + exporter.lost == 1
