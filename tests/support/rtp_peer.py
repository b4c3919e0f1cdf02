"""An RTP peer on a loopback socket, for tests of engines that use real sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from media.engine import Address, Codec, StreamParameters
from tests.support.arrival import note_arrivals, receive

STALL = 5.0
"""Seconds after which a packet that should be there counts as missing."""


@dataclass(frozen=True, slots=True)
class Packet:
    """The parts of an RTP packet with a plain header."""

    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    payload_type: int = 0
    marker: bool = False
    at: float = field(default=0.0, compare=False)
    """When it came, by the clock of `time.monotonic`."""

    def encode(self) -> bytes:
        """The packet on the wire."""
        kind = self.payload_type | self.marker << 7
        return struct.pack("!BBHII", 0x80, kind, self.sequence, self.timestamp, self.ssrc) + self.payload

    @classmethod
    def decode(cls, data: bytes, at: float = 0.0) -> Self:
        """Reads a packet and insists on a plain header."""
        version, kind, sequence, timestamp, ssrc = struct.unpack("!BBHII", data[:12])
        assert version == 0x80, f"not a plain RTP header: {data[:12].hex()}"
        return cls(sequence, timestamp, ssrc, data[12:], kind & 0x7F, bool(kind & 0x80), at)


class RtpPeer:
    """Sends one stream and receives whatever comes, on a socket of its own."""

    def __init__(
        self,
        codec: Codec = Codec.PCMU,
        *,
        telephone_event: int | None = 101,
        ssrc: int = 0x1234,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.codec = codec
        self.payload_type = {Codec.PCMU: 0, Codec.PCMA: 8, Codec.G722: 9, Codec.OPUS: 96}[codec]
        self.telephone_event = telephone_event
        self.ssrc = ssrc
        self.sequence = 1000
        self.timestamp = 50_000
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((host, port))
        note_arrivals(self._socket)
        self.came = 0.0
        """When the last datagram came that was heard."""

    @property
    def address(self) -> Address:
        """Where it is bound."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def parameters(
        self, *, remote: Address | None = None, send: bool = True, receive: bool = True
    ) -> StreamParameters:
        """What a leg is told about this peer; `remote` lies about the address, as a NAT does."""
        return StreamParameters(
            remote=remote or self.address,
            remote_rtcp=None,
            codec=self.codec,
            payload_type=self.payload_type,
            telephone_event=self.telephone_event,
            send=send,
            receive=receive,
        )

    def say(self, to: Address, payload: bytes = b"\xff" * 160, *, payload_type: int | None = None) -> Packet:
        """Sends the next audio packet of the stream."""
        kind = self.payload_type if payload_type is None else payload_type
        packet = Packet(self.sequence, self.timestamp, self.ssrc, payload, kind)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + 160) & 0xFFFFFFFF
        self.send(to, packet.encode())
        return packet

    def press(self, to: Address, code: int) -> None:
        """Sends one digit, all of its packets at once."""
        for packet in self.pressed(code):
            self.send(to, packet.encode())

    def pressed(self, code: int, *, packets: int = 5) -> list[Packet]:
        """One digit as RFC 4733 wants it: one timestamp, a growing duration, the end three times."""
        assert self.telephone_event is not None
        pressed = []
        durations = [160 * (n + 1) for n in range(packets)] + [160 * (packets + 1)] * 3
        for n, duration in enumerate(durations):
            payload = struct.pack("!BBH", code, (0x80 if n >= packets else 0) | 10, duration)
            kind = self.telephone_event
            pressed.append(Packet(self.sequence, self.timestamp, self.ssrc, payload, kind, marker=n == 0))
            self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + durations[-1]) & 0xFFFFFFFF
        return pressed

    def send(self, to: Address, data: bytes) -> None:
        """Sends a datagram as it is."""
        self._socket.sendto(data, to)

    async def hear(self) -> Packet:
        """The next packet that arrives."""
        return Packet.decode(await self.hear_data(), self.came)

    async def hear_data(self) -> bytes:
        """The next datagram that arrives, whatever it is."""
        async with asyncio.timeout(STALL):
            while True:
                try:
                    data, self.came = receive(self._socket)
                except BlockingIOError:
                    await self._readable()
                else:
                    return data

    def peek(self) -> bytes:
        """A datagram that is here already. Raises `BlockingIOError` when there is none."""
        return self._socket.recv(2048)

    def has_heard(self) -> bool:
        """Whether something is here that was not taken yet."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True

    async def hear_many(self, count: int) -> list[Packet]:
        """The next packets that arrive, in order of arrival."""
        return [await self.hear() for _ in range(count)]

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        loop.add_reader(self._socket, there.set)
        try:
            await there.wait()
        finally:
            loop.remove_reader(self._socket)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
