"""The messages of calls as HEPv3 packets, for Homer, heplify and sngrep: each masked as in a trace, and of its call.

HEP3 is "HEP3", the length of the packet, and chunks of vendor, type, length and value, all numbers in network order.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from b2bua.background import Background
from b2bua.trace.masking import masked
from b2bua.trace.ring import near_end

if TYPE_CHECKING:
    from b2bua.call.clock import CallClock
    from b2bua.trace.ring import Dialog, Message
    from sip_stack.transport import Address

CAPACITY = 10_000
"""Messages that may wait for the thread that sends them; beyond, they are lost and counted."""
LARGEST = 65_000
"""Octets of a message that fits into a packet and a datagram."""

FAMILY, PROTOCOL, SOURCE_4, TARGET_4, SOURCE_6, TARGET_6 = 1, 2, 3, 4, 5, 6
SOURCE_PORT, TARGET_PORT, SECONDS, MICROSECONDS, KIND, CAPTURE_ID = 7, 8, 9, 10, 11, 12
PASSWORD, PAYLOAD, CORRELATION, NODE = 14, 15, 17, 19
"""Chunk types of the generic vendor, 0."""

_SIP = 1
_UDP, _TCP = 17, 6


@dataclass(frozen=True, slots=True)
class Collector:
    """Where packets go, and as whose."""

    address: Address
    capture_id: int
    password: str = ""
    node: str = ""


def hep_packet(
    collector: Collector,
    *,
    source: Address,
    target: Address,
    transport: str,
    microseconds: int,
    payload: bytes,
    correlation: str,
) -> bytes:
    """One packet. `microseconds` since 1970; `correlation` is our id of the call."""
    sender, receiver = ip_address(source[0]), ip_address(target[0])
    six = sender.version == 6
    seconds, fraction = divmod(microseconds, 1_000_000)
    chunks = [
        _chunk(FAMILY, bytes([socket.AF_INET6 if six else socket.AF_INET])),
        _chunk(PROTOCOL, bytes([_UDP if transport == "udp" else _TCP])),
        _chunk(SOURCE_6 if six else SOURCE_4, sender.packed),
        _chunk(TARGET_6 if six else TARGET_4, receiver.packed),
        _chunk(SOURCE_PORT, struct.pack("!H", source[1])),
        _chunk(TARGET_PORT, struct.pack("!H", target[1])),
        _chunk(SECONDS, struct.pack("!I", seconds)),
        _chunk(MICROSECONDS, struct.pack("!I", fraction)),
        _chunk(KIND, bytes([_SIP])),
        _chunk(CAPTURE_ID, struct.pack("!I", collector.capture_id)),
        _chunk(CORRELATION, correlation.encode()),
    ]
    if collector.password:
        chunks.append(_chunk(PASSWORD, collector.password.encode()))
    if collector.node:
        chunks.append(_chunk(NODE, collector.node.encode()))
    body = b"".join([*chunks, _chunk(PAYLOAD, payload)])
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def _chunk(kind: int, value: bytes) -> bytes:
    return struct.pack("!HHH", 0, kind, 6 + len(value)) + value


class HepExporter:
    """Sends what a `TraceRing` tells, from a thread: no call waits for masking, packing or the socket."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._clock: CallClock | None = None
        self._socket: socket.socket | None = None
        self._background = Background("hep", self._send, CAPACITY)
        self.sent = 0
        """Packets handed to the kernel."""
        self.lost = 0
        """Messages given up: too many waited, the socket took no more, or they were too large."""

    def start(self, clock: CallClock) -> None:
        """Open the socket and begin; `clock` turns loop time into that of the wall. Raises OSError."""
        self._clock = clock
        family = socket.AF_INET6 if ":" in self._collector.address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._background.start()

    def hear(self, dialog: Dialog, message: Message) -> None:
        """Take a message; never blocks."""
        if not self._background.put((dialog.owner, message)):
            self.lost += 1

    def close(self, deadline: float) -> None:
        """Send what waits and stop; gives up after `deadline` seconds."""
        self._background.close(deadline)
        if self._socket is not None:
            self._socket.close()

    def _send(self, waiting: list[tuple[str, Message]]) -> None:
        assert self._socket is not None, "started"
        for call_id, message in waiting:
            try:
                self._socket.sendto(self._packet(call_id, message), self._collector.address)
                self.sent += 1
            except (OSError, ValueError, struct.error):
                # Nobody listens, the buffer is full, or an address is none: one packet less, as the network would.
                self.lost += 1

    def _packet(self, call_id: str, message: Message) -> bytes:
        assert self._clock is not None, "started"
        if len(message.data) > LARGEST:
            raise ValueError("larger than a datagram")
        ours, theirs = near_end(message.flow), message.flow.remote
        source, target = (ours, theirs) if message.sent else (theirs, ours)
        return hep_packet(
            self._collector,
            source=source,
            target=target,
            transport=message.flow.transport,
            microseconds=round(self._clock.seconds(message.at) * 1_000_000),
            payload=masked(message.data),
            correlation=call_id,
        )
