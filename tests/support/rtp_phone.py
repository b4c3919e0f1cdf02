"""Scripted SIP peers with real audio: a tone in, every packet that comes out kept with its time of arrival.

Made of nothing of ours: SIP as text, RTP from a socket; what the caller hears can be looked at packet by packet.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, Protocol, TypeVar

import numpy as np

from tests.support.arrival import note_arrivals, receive
from tests.support.audio import RATE, Samples, mu_law, tone
from tests.support.in_thread import InThread
from tests.support.peer_sip import MIRRORED, SipText, new_branch, response, sdp, write
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.rtp_peer import Packet
from tests.support.scripted import ScriptedCaller
from tests.support.udp_peer import Address, UdpPeer

FRAME = 160
"""Samples, and octets of PCMU, of one packet: 20 ms."""
SECONDS_PER_FRAME = FRAME / RATE


@dataclass(frozen=True, slots=True)
class Heard:
    """One packet and when it came (`time.monotonic`)."""

    at: float
    packet: Packet


class ToneStream(InThread):
    """RTP on a port of its own: says a tone from `start` on, keeps all it hears."""

    def __init__(self, frequency: float) -> None:
        self.frequency = frequency
        self.heard: list[Heard] = []
        self.said = 0
        """Packets sent."""
        self.first_said: float | None = None
        """When the first of them went out."""
        self.late = 0.0
        """Seconds that the latest of them came after its time: how much this process was held up."""
        self._frames = frames_of(frequency)
        self._once: deque[bytes] = deque()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((LOOPBACK, 0))
        note_arrivals(self._socket)
        self._target: Address | None = None
        self._begin = 0.0
        super().__init__(f"tone {frequency}")

    @property
    def port(self) -> int:
        """Where it wants RTP."""
        return int(self._socket.getsockname()[1])

    @property
    def speaks(self) -> bool:
        """Whether it says anything."""
        return self._target is not None

    def _close(self) -> None:
        self._socket.close()

    def start(self, target: Address, after: float = 0.0) -> None:
        """Say the tone to `target`, beginning in so many seconds."""
        self.said, self.first_said, self.late = 0, None, 0.0
        self._begin = time.monotonic() + after
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

    def _serve(self) -> None:
        # Packets go out by the clock, not so long after the one before: no drift, whatever the machine does.
        while not self._closing.is_set():
            due = self._begin + self.said * SECONDS_PER_FRAME if self._target else time.monotonic() + 0.05
            wait = due - time.monotonic()
            if wait > 0:
                self._socket.settimeout(min(max(wait, 0.0005), 0.05))
                self._receive()
            elif self._target is not None:
                self._say(self._target)

    def _receive(self) -> None:
        try:
            data, at = receive(self._socket)
        except (TimeoutError, ConnectionRefusedError):
            return
        self.heard.append(Heard(at, Packet.decode(data, at)))

    def _say(self, target: Address) -> None:
        payload = self._once.popleft() if self._once else self._frames[self.said % len(self._frames)]
        packet = Packet(
            self.said & 0xFFFF, FRAME * self.said, int(self.frequency), payload, marker=self.said == 0
        )
        now = time.monotonic()
        self.first_said = now if self.first_said is None else self.first_said
        self.late = max(self.late, now - self._begin - self.said * SECONDS_PER_FRAME)
        self.said += 1
        self._socket.sendto(packet.encode(), target)


class Audio(Protocol):
    """The audio of one phone."""

    @property
    def port(self) -> int:
        """Where it wants RTP."""
        ...

    def start(self, target: Address, after: float = 0.0) -> None:
        """Talk to `target`, beginning in so many seconds."""
        ...

    def stop(self) -> None:
        """Say nothing more."""
        ...

    def forget(self) -> None:
        """Say nothing, and have heard nothing."""
        ...


A = TypeVar("A", bound=Audio)


class _Talker(UdpPeer, Generic[A]):
    """Agrees to every offer within its call, and speaks only while it may."""

    audio: A
    _version = 1

    def description(self, direction: str = "sendrecv") -> str:
        """Its own audio, newly described."""
        self._version += 1
        return sdp(self.host, self.audio.port, direction=direction, version=self._version)

    def agree(self, offer: SipText) -> bytes:
        """The 200 to a re-INVITE."""
        self._speak(offer)
        contact = [("Contact", f"<sip:peer@{self.address}>")]
        return response(offer, 200, "OK", contact, self.description(MIRRORED[offer.direction]))

    def _speak(self, theirs: SipText) -> None:
        if theirs.direction in ("sendrecv", "recvonly"):
            self.audio.start(theirs.media_address())
        else:
            self.audio.stop()


class RtpCaller(_Talker[A], ScriptedCaller):
    """A caller that talks as soon as it is answered."""

    def __init__(self, audio: A) -> None:
        super().__init__()
        self.audio = audio
        self._agreed: dict[str, bytes] = {}

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """As any scripted caller, with an answer to offers."""
        if message.status or message.method != "INVITE":
            super().handle(message, data, source, repeated)
            return
        if message.branch not in self._agreed:
            self._agreed[message.branch] = self.agree(message)
        self.send(self._agreed[message.branch], source)

    def sdp(self) -> str:
        """Its own audio."""
        return sdp(self.host, self.audio.port)

    def talk(self, target: Address, user: str) -> None:
        """Call `user` and talk."""
        self.call(target, user)
        answer, _ = self.final()
        self.audio.start(answer.media_address())

    def change(self, direction: str) -> SipText:
        """Hold (`sendonly`) or resume (`sendrecv`): the answer to that, which is followed."""
        answer = self.reoffer(self.description(direction))
        self._speak(answer)
        return answer


class RtpCallee(_Talker[A]):
    """A callee that rings at once, and answers when the test says so (at once, with `answers`)."""

    def __init__(self, audio: A, *, answers: bool = False) -> None:
        super().__init__()
        self.audio = audio
        self._answers = answers
        self._responses: dict[tuple[str, str], list[bytes]] = {}
        self._number = 0

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """Ring; 200 to whatever else is asked."""
        if message.status or message.method == "ACK":
            return
        key = (message.branch, message.method)
        if key not in self._responses:
            self._responses[key] = []
            if message.method == "INVITE" and ";tag=" not in message.header("To"):
                self.reply(180, "Ringing")
                if self._answers:
                    self.answer()
                return
            if message.method == "BYE":
                self.audio.stop()
            again = message.method == "INVITE"
            self._responses[key] = [self.agree(message) if again else response(message, 200, "OK")]
        for answer in self._responses[key]:
            self.send(answer, source)

    def reply(self, status: int, reason: str, body: str = "") -> None:
        """A response to its last INVITE."""
        wait_until(lambda: bool(self.requests("INVITE")), 10.0, "an INVITE")
        entry = [each for each in list(self.received) if each.message.method == "INVITE"][-1]
        contact = [("Contact", f"<sip:callee@{self.address}>")]
        data = response(entry.message, status, reason, contact, body)
        self._responses[(entry.message.branch, "INVITE")] = [data]
        self.send(data, entry.source)

    def forget(self) -> None:
        """Be as new, for the next call."""
        self.received.clear()
        self.audio.forget()

    def hang_up(self) -> None:
        """BYE to its last caller."""
        self.audio.stop()
        self._number += 1
        self._request("BYE", new_branch())

    def change(self, direction: str) -> SipText:
        """Hold (`sendonly`) or resume (`sendrecv`): the answer to that, which is followed."""
        branch = new_branch()
        self._number += 1
        self._request("INVITE", branch, self.description(direction))

        def look() -> SipText | None:
            finals = (entry.message for entry in list(self.received) if entry.message.status >= 200)
            return next((each for each in finals if each.branch == branch), None)

        answer = wait_until(look, 10.0, "an answer to a re-INVITE")
        self._request("ACK", new_branch())
        self._speak(answer)
        return answer

    def _request(self, method: str, branch: str, body: str = "") -> None:
        """In the dialog with its last caller."""
        invite = [each for each in self.requests("INVITE") if ";tag=" not in each.header("To")][-1]
        # A re-INVITE may have said anew where the dialog leads.
        of_it = [
            each for each in self.requests("INVITE") if each.header("Call-ID") == invite.header("Call-ID")
        ]
        entry = next(each for each in list(self.received) if each.message is of_it[-1])
        headers = [
            ("Via", f"SIP/2.0/UDP {self.address};branch={branch};rport"),
            ("Max-Forwards", "70"),
            ("From", f"{invite.header('To')};tag=peer"),
            ("To", invite.header("From")),
            ("Call-ID", invite.header("Call-ID")),
            ("CSeq", f"{self._number} {method}"),
            ("Contact", f"<sip:callee@{self.address}>"),
        ]
        self.send(write(f"{method} {of_it[-1].contact_uri} SIP/2.0", headers, body), entry.source)

    def answer(self, speaks_after: float = 0.0) -> None:
        """200, and talk after so many seconds."""
        self.reply(200, "OK", sdp(self.host, self.audio.port))
        invite = self.requests("INVITE")[-1]
        self.audio.start(invite.media_address(), speaks_after)


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


def until_heard(audio: ToneStream, frequency: float, packets: int = 20, *, tones: tuple[float, ...]) -> None:
    """Until so many more packets of one of these tones were heard."""
    before = len(audio.heard)

    def fresh() -> list[float]:
        return [pitch(each.packet.payload, tones) for each in audio.heard[before:]]

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
