"""The RTCP side of an RTP peer: a socket of its own, and aiortc to read and write what goes over it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)

from media.engine import Address
from tests.support.rtp_peer import STALL, RtpPeer


@dataclass(frozen=True, slots=True)
class Report:
    """A compound packet, as aiortc reads it."""

    ssrc: int
    sender: RtcpSenderInfo | None
    block: RtcpReceiverInfo | None
    name: bytes
    """The CNAME."""
    goodbye: bool

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Insists on the order of RFC 3550 section 6.1: a report, SDES with one CNAME, perhaps BYE."""
        first, description, *rest = RtcpPacket.parse(data)
        assert isinstance(first, RtcpSrPacket | RtcpRrPacket), first
        assert isinstance(description, RtcpSdesPacket), description
        ((kind, name),) = description.chunks[0].items
        assert (kind, description.chunks[0].ssrc) == (1, first.ssrc)
        for goodbye in rest:
            assert isinstance(goodbye, RtcpByePacket), goodbye
            assert goodbye.sources == [first.ssrc]
        assert len(first.reports) <= 1
        block = first.reports[0] if first.reports else None
        sender = first.sender_info if isinstance(first, RtcpSrPacket) else None
        return cls(first.ssrc, sender, block, name, bool(rest))


def receiver_report(ssrc: int, block: RtcpReceiverInfo) -> bytes:
    """A report of the stream with this SSRC about another, as aiortc writes it."""
    return bytes(RtcpRrPacket(ssrc, [block]))


class RtcpPeer:
    """A socket for RTCP. Port 0 takes any."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", port))

    @property
    def address(self) -> Address:
        """Where it is bound."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def send(self, to: Address, data: bytes) -> None:
        """Sends a datagram as it is."""
        self._socket.sendto(data, to)

    async def hear(self) -> Report:
        """The next report that arrives."""
        return Report.read(await self.hear_data())

    async def hear_data(self) -> bytes:
        """The next datagram that arrives, whatever it is."""
        async with asyncio.timeout(STALL):
            return await asyncio.get_running_loop().sock_recv(self._socket, 2048)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pair() -> tuple[RtpPeer, RtcpPeer]:
    """RTP on some port and RTCP on the one above, as RFC 3550 section 11 has it."""
    while True:
        rtp = RtpPeer()
        try:
            return rtp, RtcpPeer(rtp.address[1] + 1)
        except OSError:
            rtp.close()
