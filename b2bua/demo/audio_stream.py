"""A stand-in's phone audio: a mu-law RTP stream of 50 packets a second each way (RFC 3550, RFC 3551).

It plays frames in a loop, or silence, and keeps what it hears in order. No RTCP, no jitter buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Callable, Sequence

from b2bua.demo.audio import FRAME, RATE, decode

_HEADER = struct.Struct("!BBHII")
_PCMU = 0
_SILENCE = b"\xff" * FRAME
_INTERVAL = FRAME / RATE
_MAX_PACKETS = 50 * 60
"""A minute is kept; what comes after is only counted."""
_MAX_SOURCES = 16


def _unheard(payload: bytes) -> None:
    """Who listens to the frames of a stream that nobody listens to."""


class AudioStream:
    """One RTP socket on a loopback address, bound until `close`."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = _bind_even_port(address)
        self.local_address: tuple[str, int] = self._socket.getsockname()[:2]
        self.packets_in = 0
        self.sources: set[int] = set()
        """The SSRCs that were heard."""
        self.on_frame: Callable[[bytes], None] = _unheard
        """Told of each frame as it comes."""
        self._position = 0
        self._heard: dict[int, bytes] = {}
        self._remote: tuple[str, int] | None = None
        self._frames: Sequence[bytes] = (_SILENCE,)
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket, self._receive)

    def play(self, frames: Sequence[bytes]) -> None:
        """Play these frames over and over, from the first one."""
        self._frames = frames
        self._position = 0

    def send_to(self, remote: tuple[str, int]) -> None:
        """Start sending to this address; the same again changes nothing."""
        self._remote = remote
        if self._timer is None:
            self._send(self._loop.time())

    def heard(self) -> list[int]:
        """All samples heard so far, put in order by timestamp, with silence where packets are missing."""
        if not self._heard:
            return []
        first = next(iter(self._heard))
        frames = {_distance(stamp, first): payload for stamp, payload in self._heard.items()}
        start, end = min(frames), max(frames) + FRAME
        octets = bytearray(b"\xff" * min(end - start, _MAX_PACKETS * FRAME))
        for offset, payload in frames.items():
            at = offset - start
            if at + len(payload) <= len(octets):
                octets[at : at + len(payload)] = payload
        return decode(bytes(octets))

    def close(self) -> None:
        """Stop both ways and free the port."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _send(self, due: float) -> None:
        frame = self._frames[self._position % len(self._frames)]
        header = _HEADER.pack(0x80, _PCMU, self._sequence & 0xFFFF, self._timestamp & 0xFFFFFFFF, self._ssrc)
        if self._remote is not None:
            # The other side may have closed its port: a phone keeps talking until it is told to stop.
            with contextlib.suppress(OSError):
                self._socket.sendto(header + frame, self._remote)
        self._position += 1
        self._sequence += 1
        self._timestamp += FRAME
        self._timer = self._loop.call_at(due + _INTERVAL, self._send, due + _INTERVAL)

    def _receive(self) -> None:
        try:
            packet = self._socket.recv(2048)
        except OSError:
            return  # nothing there after all, or the report of an unreachable port
        if len(packet) < _HEADER.size + 1:
            return
        first, kind, _, timestamp, source = _HEADER.unpack_from(packet)
        if first != 0x80 or kind & 0x7F != _PCMU:
            return
        self.packets_in += 1
        if len(self.sources) < _MAX_SOURCES:
            self.sources.add(source)
        payload = packet[_HEADER.size :]
        if len(self._heard) < _MAX_PACKETS:
            self._heard[timestamp] = payload
        self.on_frame(payload)


def _distance(stamp: int, reference: int) -> int:
    """Samples from `reference` to `stamp`, across the wrap of the 32-bit counter."""
    return (stamp - reference + 0x80000000) % 0x100000000 - 0x80000000


def _bind_even_port(address: str) -> socket.socket:
    """RTP wants an even port (RFC 3550 section 11)."""
    for _ in range(64):
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setblocking(False)
        bound.bind((address, 0))
        if bound.getsockname()[1] % 2 == 0:
            return bound
        bound.close()
    raise OSError(f"no even port is free on {address}")
