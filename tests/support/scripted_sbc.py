"""An SBC that calls, and that takes a REFER the way its script says: it never shares our own stack's opinion."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from tests.support.peer_sip import Header, SipText, new_branch, response, write
from tests.support.scripted import ScriptedCaller
from tests.support.udp_peer import Address

REASONS = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    202: "Accepted",
    405: "Method Not Allowed",
    486: "Busy Here",
}


class ScriptedSbc(ScriptedCaller):
    """A caller's SBC. `on_refer` is called in its thread with each new REFER and answers it, or does not."""

    def __init__(self, on_refer: Callable[[ScriptedSbc, SipText], None]) -> None:
        super().__init__()
        self._on_refer = on_refer
        self._numbers = itertools.count(10)
        self._source: Address = (self.host, 0)
        self.notified = 0
        """NOTIFYs it has sent."""

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """As its script says; all but REFER as one should."""
        self._source = source
        if message.status or message.method != "REFER":
            super().handle(message, data, source, repeated)
        elif not repeated:
            self._on_refer(self, message)

    def answer(self, request: SipText, status: int, headers: Sequence[Header] = ()) -> None:
        """The response to a request of the B2BUA's."""
        contact = ("Contact", f"<sip:scripted@{self.address}>")
        reason = REASONS.get(status, "Declined")
        self.send(response(request, status, reason, [contact, *headers]), self._source)

    def notify(self, status: int, event: str = "refer") -> None:
        """Tell how the transfer goes."""
        self.notified += 1
        state = "active;expires=60" if status < 200 else "terminated;reason=noresource"
        headers = [("Event", event), ("Subscription-State", state)]
        self.say("NOTIFY", headers, f"SIP/2.0 {status} {REASONS.get(status, 'Declined')}\r\n")

    def say(self, method: str, headers: Sequence[Header] = (), sipfrag: str = "") -> None:
        """A request within the call."""
        answer, _ = self.final()
        lines = [
            ("Via", f"SIP/2.0/UDP {self.address};branch={new_branch()};rport"),
            ("Max-Forwards", "70"),
            ("From", answer.header("From")),
            ("To", answer.header("To")),
            ("Call-ID", answer.header("Call-ID")),
            ("CSeq", f"{next(self._numbers)} {method}"),
            ("Contact", f"<sip:scripted@{self.address}>"),
            *headers,
        ]
        data = write(f"{method} {answer.contact_uri} SIP/2.0", lines, sipfrag)
        if sipfrag:
            data = data.replace(b"application/sdp", b"message/sipfrag;version=2.0")
        self.send(data, self._source)

    def answers_to(self, method: str) -> list[int]:
        """The statuses that its requests of `method` were answered with, in order."""
        return [
            entry.message.status
            for entry in list(self.received)
            if entry.message.status and not entry.repeated and entry.message.method == method
        ]
