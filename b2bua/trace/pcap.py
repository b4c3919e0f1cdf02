"""A trace as a capture file (libpcap, link type RAW): each message in IP and UDP or TCP headers made for it.

What went over TLS is in clear here, as TCP: the capture is made above it. TCP connections have no handshake, and their
sequence numbers begin with 1.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

from b2bua.trace.ladder import Ladder, Step
from sip_stack.transport import Address

LINK_TYPE_RAW = 101
MAGIC = 0xA1B2C3D4
SNAP_LENGTH = 262_144
UDP, TCP = 17, 6
PUSH_ACK = 0x18
SEGMENT = 60_000
"""Octets of a message in one packet: what an IPv4 packet holds is little more."""


def pcap(ladder: Ladder) -> bytes:
    """The file."""
    parts = [struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, SNAP_LENGTH, LINK_TYPE_RAW)]
    sequence: dict[tuple[Address, Address], int] = {}
    for step in ladder.steps:
        source, target = (step.local, step.remote) if step.sent else (step.remote, step.local)
        for start in range(0, len(step.data), SEGMENT):
            packet = _packet(step, source, target, step.data[start : start + SEGMENT], sequence)
            seconds, fraction = divmod(round(step.at * 1_000_000), 1_000_000)
            parts.append(struct.pack("<IIII", seconds, fraction, len(packet), len(packet)))
            parts.append(packet)
    return b"".join(parts)


def _packet(
    step: Step,
    source: Address,
    target: Address,
    data: bytes,
    sequence: dict[tuple[Address, Address], int],
) -> bytes:
    sender, receiver = ip_address(source[0]), ip_address(target[0])
    if step.transport == "udp":
        protocol = UDP
        payload = struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0) + data
        check_at = 6
    else:
        protocol = TCP
        here = sequence.get((source, target), 1)
        there = sequence.get((target, source), 1)
        sequence[source, target] = here + len(data)
        flags = (5 << 12) | PUSH_ACK
        payload = struct.pack("!HHIIHHHH", source[1], target[1], here, there, flags, 65535, 0, 0) + data
        check_at = 16
    pseudo = sender.packed + receiver.packed + struct.pack("!II", len(payload), protocol)
    sum_ = _checksum(pseudo + payload) or 0xFFFF
    payload = payload[:check_at] + struct.pack("!H", sum_) + payload[check_at + 2 :]
    return _ip_header(sender, receiver, protocol, len(payload)) + payload


def _ip_header(
    sender: IPv4Address | IPv6Address, receiver: IPv4Address | IPv6Address, protocol: int, size: int
) -> bytes:
    if sender.version == 6:
        return struct.pack("!IHBB", 6 << 28, size, protocol, 64) + sender.packed + receiver.packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0x4000, 64, protocol, 0)
    addresses = sender.packed + receiver.packed
    return head[:10] + struct.pack("!H", _checksum(head + addresses)) + addresses


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
