"""Scripted SIP peers with real audio: a voice in, every packet that comes out kept with its time of arrival.

Made of nothing of ours: SIP as text, RTP from a socket; what the caller hears can be looked at packet by packet.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from tests.support.peer_sip import MIRRORED, SipText, new_branch, response, sdp, write
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedCaller
from tests.support.udp_peer import Address, UdpPeer
from tests.support.voices import Voice

A = TypeVar("A", bound=Voice)


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
