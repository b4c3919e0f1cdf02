"""Voices on the wire: each says a tone on a port of its own and keeps every packet that it hears.

A `ToneStream` has a thread and keeps its own time; a hundred voices sing in one thread, together, as a `Choir`.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from itertools import groupby

import numpy as np

from tests.support.arrival import note_arrivals, receive
from tests.support.audio import RATE, Samples, mu_law, tone
from tests.support.in_thread import InThread
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import wait_until
from tests.support.rtp_peer import Packet
from tests.support.udp_peer import Address

FRAME = 160
"""Samples, and octets of PCMU, of one packet: 20 ms."""
SECONDS_PER_FRAME = FRAME / RATE


class Voice:
    """Says nothing and hears nothing by itself: its thread calls `say` and `listen`."""

    def __init__(self, frequency: float) -> None:
        self.frequency = frequency
        self.frames = frames_of(frequency)
        self.heard: list[Packet] = []
        self.said = 0
        """Packets sent."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Not one the system picks: the next port, to which its far end sends RTCP, could be another voice.
        self.socket.bind((LOOPBACK, free_port()))
        note_arrivals(self.socket)
        self._once: deque[bytes] = deque()
        self._target: Address | None = None

    @property
    def port(self) -> int:
        """Where it wants RTP."""
        return int(self.socket.getsockname()[1])

    @property
    def speaks(self) -> bool:
        """Whether it says anything."""
        return self._target is not None

    def start(self, target: Address, after: float = 0.0) -> None:
        """Say the tone to `target`, beginning in so many seconds."""
        assert not after, "who sings with others begins with them"
        self._target = target

    def say_once(self, sound: Samples) -> None:
        """Say this next, and the tone again afterwards."""
        data = mu_law(sound)
        self._once.extend(data[start : start + FRAME] for start in range(0, len(data) - FRAME + 1, FRAME))

    def stop(self) -> None:
        """Say nothing more."""
        self._target = None

    def forget(self) -> None:
        """Say nothing, and have heard nothing."""
        self.stop()
        self.heard.clear()

    def say(self) -> None:
        """The next packet, if there is somebody to hear it."""
        target = self._target
        if target is None:
            return
        payload = self._once.popleft() if self._once else self.frames[self.said % len(self.frames)]
        packet = Packet(
            self.said & 0xFFFF, FRAME * self.said, int(self.frequency), payload, marker=self.said == 0
        )
        self.said += 1
        self.socket.sendto(packet.encode(), target)

    def listen(self) -> bool:
        """Keep the next packet; False when none has come within the socket's time."""
        try:
            data, at = receive(self.socket)
        except (TimeoutError, BlockingIOError, ConnectionRefusedError):
            return False
        self.heard.append(Packet.decode(data, at))
        return True


class ToneStream(InThread, Voice):
    """A voice that begins with each `start` anew, and keeps time by the clock."""

    def __init__(self, frequency: float) -> None:
        Voice.__init__(self, frequency)
        InThread.__init__(self, f"tone {frequency}")
        self.first_said: float | None = None
        """When the first of its packets went out."""
        self.late = 0.0
        """Seconds that the latest of them came after its time: how much this process was held up."""
        self._begin = 0.0

    def start(self, target: Address, after: float = 0.0) -> None:
        """Say the tone to `target`, beginning in so many seconds."""
        self.said, self.first_said, self.late = 0, None, 0.0
        self._begin = time.monotonic() + after
        self._target = target

    def _close(self) -> None:
        self.socket.close()

    def _serve(self) -> None:
        # Packets go out by the clock, not so long after the one before: no drift, whatever the machine does.
        while not self._closing.is_set():
            due = self._begin + self.said * SECONDS_PER_FRAME if self.speaks else time.monotonic() + 0.05
            wait = due - time.monotonic()
            if wait > 0:
                self.socket.settimeout(min(max(wait, 0.0005), 0.05))
                self.listen()
            elif self.speaks:
                now = time.monotonic()
                self.first_said = now if self.first_said is None else self.first_said
                self.late = max(self.late, now - due)
                self.say()


class Choir(InThread):
    """Its voices speak in time with each other, and go on for ever once they have begun."""

    def __init__(self) -> None:
        self.voices: list[Voice] = []
        self._selector = selectors.DefaultSelector()
        super().__init__("choir")

    def voice(self, frequency: float) -> Voice:
        """Another one; before it begins."""
        voice = Voice(frequency)
        voice.socket.setblocking(False)
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
                while key.data.listen():
                    pass


def frames_of(frequency: float) -> list[bytes]:
    """A second of the tone in packets; whole numbers of hertz repeat without a click."""
    data = mu_law(tone(frequency, 1.0))
    return [data[start : start + FRAME] for start in range(0, len(data), FRAME)]


def pitch(payload: bytes, frequencies: tuple[float, ...]) -> float:
    """Which of these frequencies a packet of PCMU carries; 0.0 for silence."""
    samples = _LINEAR[np.frombuffer(payload, dtype=np.uint8)]
    if np.sqrt(np.mean(samples**2)) < 100:
        return 0.0
    time_axis = np.arange(samples.size) / RATE
    window = samples * np.hanning(samples.size)
    strengths = [abs(np.dot(window, np.exp(-2j * np.pi * each * time_axis))) for each in frequencies]
    return frequencies[int(np.argmax(strengths))]


def until_heard(audio: Voice, frequency: float, packets: int = 20, *, tones: tuple[float, ...]) -> None:
    """Until so many more packets of one of these tones were heard."""
    before = len(audio.heard)

    def fresh() -> list[float]:
        return [pitch(each.payload, tones) for each in audio.heard[before:]]

    wait_until(
        lambda: fresh().count(frequency) >= packets,
        10.0,
        lambda: f"{frequency} Hz; heard {[each for each, _ in groupby(fresh())]}",
    )


def _linear() -> np.ndarray:
    """Samples of the 256 µ-law octets (ITU-T G.711)."""
    octets = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((octets & 0x0F) << 3) + 132 << ((octets & 0x70) >> 4)) - 132
    return np.where(octets & 0x80, -magnitude, magnitude).astype(np.float64)


_LINEAR = _linear()
