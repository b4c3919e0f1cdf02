"""Many voices in one thread: each says a tone on a port of its own and keeps all it hears, packet by packet.

As `rtp_phone.ToneStream`, which has a thread for each, and is too dear for a hundred.
"""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass

from tests.support.in_thread import InThread
from tests.support.ports import LOOPBACK
from tests.support.rtp_peer import Packet
from tests.support.rtp_phone import FRAME, SECONDS_PER_FRAME, frames_of
from tests.support.udp_peer import Address

HEADER = 12


@dataclass(frozen=True, slots=True)
class HeardPacket:
    """One packet and when it came (`time.monotonic`)."""

    at: float
    data: bytes

    @property
    def sequence(self) -> int:
        """Its RTP sequence number."""
        return int.from_bytes(self.data[2:4], "big")

    @property
    def payload(self) -> bytes:
        """Its PCMU."""
        return self.data[HEADER:]


class Voice:
    """One of a choir. Its stream goes on for ever once it has begun."""

    def __init__(self, frequency: float) -> None:
        self.frequency = frequency
        self.frames = frames_of(frequency)
        self.heard: list[HeardPacket] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 0))
        self.socket.setblocking(False)
        self.port = int(self.socket.getsockname()[1])
        self._target: Address | None = None
        self._said = 0

    def start(self, target: Address, after: float = 0.0) -> None:
        """Say the tone to `target`."""
        assert not after, "a choir sings at once"
        self._target = target

    def stop(self) -> None:
        """Say nothing more."""
        self._target = None

    def forget(self) -> None:
        """Say nothing, and have heard nothing."""
        self.stop()
        self.heard.clear()

    def say(self) -> None:
        """The next packet, if there is somebody to hear it."""
        if self._target is not None:
            payload = self.frames[self._said % len(self.frames)]
            packet = Packet(self._said & 0xFFFF, FRAME * self._said, int(self.frequency), payload)
            self._said += 1
            self.socket.sendto(packet.encode(), self._target)

    def listen(self) -> None:
        """Keep what has come."""
        try:
            while True:
                self.heard.append(HeardPacket(time.monotonic(), self.socket.recv(2048)))
        except (BlockingIOError, ConnectionRefusedError):
            return


class Choir(InThread):
    """Its voices speak in time with each other."""

    def __init__(self) -> None:
        self.voices: list[Voice] = []
        self._selector = selectors.DefaultSelector()
        super().__init__("choir")

    def voice(self, frequency: float) -> Voice:
        """Another one; before it begins."""
        voice = Voice(frequency)
        self.voices.append(voice)
        self._selector.register(voice.socket, selectors.EVENT_READ, voice)
        return voice

    def _close(self) -> None:
        self._selector.close()
        for voice in self.voices:
            voice.socket.close()

    def _serve(self) -> None:
        due = time.monotonic()
        while not self._closing.is_set():
            wait = due - time.monotonic()
            if wait <= 0:
                due += SECONDS_PER_FRAME
                for voice in self.voices:
                    voice.say()
                continue
            for key, _ in self._selector.select(wait):
                key.data.listen()
