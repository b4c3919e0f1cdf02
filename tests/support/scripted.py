"""SIP peers that follow a script: callees that misbehave, and a caller that watches what it gets."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence

from tests.support.digest_gate import credentials
from tests.support.peer_sip import Header, SipText, new_branch, response, sdp, write
from tests.support.processes import wait_until
from tests.support.udp_peer import Address, UdpPeer

Script = Callable[[SipText], Sequence[bytes]]
"""What a callee sends for an INVITE it sees for the first time."""

_call_ids = itertools.count(1)


class ScriptedCallee(UdpPeer):
    """Answers INVITE as its script says; BYE and CANCEL as one should; a repetition as the first time."""

    def __init__(self, script: Script) -> None:
        """A callee of this script."""
        super().__init__()
        self._script = script
        self._sent: dict[tuple[str, str], Sequence[bytes]] = {}

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """Answer."""
        if message.status:
            return
        key = (message.branch, message.method)
        if key not in self._sent:
            self._sent[key] = self._answers(message)
        for answer in self._sent[key]:
            self.send(answer, source)

    def _answers(self, request: SipText) -> Sequence[bytes]:
        match request.method:
            case "INVITE":
                return self._script(request)
            case "CANCEL":
                cancelled = [
                    response(invite, 487, "Request Terminated")
                    for invite in self.requests("INVITE")
                    if invite.branch == request.branch
                ]
                return [response(request, 200, "OK"), *cancelled]
            case "ACK":
                return []
        return [response(request, 200, "OK")]

    @property
    def invites(self) -> int:
        """INVITEs received, repetitions not counted."""
        return len(self.requests("INVITE"))

    @property
    def credentialed_invites(self) -> int:
        """Those of them that carried credentials."""
        return sum(bool(credentials(invite)) for invite in self.requests("INVITE"))


class ScriptedCaller(UdpPeer):
    """One call at a time; acknowledges finals by itself."""

    def __init__(self) -> None:
        """A caller that calls nobody yet."""
        super().__init__()

    def call(self, target: Address, user: str) -> None:
        """Send an INVITE to `user` at `target`."""
        self._target, self._user = target, user
        self._call_id = f"call-{next(_call_ids)}@{self.host}"
        self._branch = new_branch()
        self._called_at = time.monotonic()
        self._number = 1
        self._uri = f"sip:{user}@{target[0]}:{target[1]}"
        self._request("INVITE", self._uri, 1, self._branch, body=self.sdp())

    def sdp(self) -> str:
        """The session description of its calls; nobody listens there."""
        return sdp(self.host, self.port + 1)

    def cancel(self) -> None:
        """Give the call up."""
        self._request("CANCEL", self._uri, 1, self._branch)

    def hang_up(self) -> None:
        """BYE in the dialog of the answer."""
        answer, _ = self.final()
        self._number += 1
        uri = self._remote_target(answer)
        self._request("BYE", uri, self._number, new_branch(), to=answer.header("To"), inside=True)

    def _remote_target(self, answer: SipText) -> str:
        """Where the dialog of an answer leads, unless a re-INVITE of the other side has said so anew."""
        said = [each for each in self.requests("INVITE") if each.header("Call-ID") == self._call_id]
        return (said or [answer])[-1].contact_uri

    def reoffer(self, body: str) -> SipText:
        """Re-INVITE in the dialog of the answer. Returns the final response, which is acknowledged."""
        answer, _ = self.final()
        self._number += 1
        self._branch = new_branch()
        to = answer.header("To")
        uri = self._remote_target(answer)
        self._request("INVITE", uri, self._number, self._branch, to=to, body=body, inside=True)
        return self.final()[0]

    def responses(self) -> list[tuple[SipText, float]]:
        """The responses to the INVITE so far, each once, with the seconds it took."""
        return [
            (entry.message, entry.at - self._called_at)
            for entry in list(self.received)
            if entry.message.status and not entry.repeated and entry.message.branch == self._branch
            if entry.message.method == "INVITE" and entry.message.header("Call-ID") == self._call_id
        ]

    def wait_for_response(self, status: int, deadline: float = 5.0) -> tuple[SipText, float]:
        """The response with this status and the seconds it took."""

        def look() -> tuple[SipText, float] | None:
            return next((entry for entry in self.responses() if entry[0].status == status), None)

        return wait_until(
            look, deadline, lambda: f"{status}, but {[r.start_line for r, _ in self.responses()]}"
        )

    def final(self, deadline: float = 10.0) -> tuple[SipText, float]:
        """The final response and the seconds it took."""

        def look() -> tuple[SipText, float] | None:
            return next((entry for entry in self.responses() if entry[0].status >= 200), None)

        return wait_until(
            look, deadline, lambda: f"a final, but {[r.start_line for r, _ in self.responses()]}"
        )

    def handle(self, message: SipText, data: bytes, source: Address, repeated: bool) -> None:
        """Acknowledge what is final; agree to what the other side asks."""
        if not message.status:
            if message.method != "ACK":
                self.send(response(message, 200, "OK"), source)
        elif message.method == "INVITE" and message.status >= 300:
            self._request("ACK", self._uri, 1, message.branch, to=message.header("To"))
        elif message.method == "INVITE" and message.status >= 200:
            number = int(message.header("CSeq").split()[0])
            to = message.header("To")
            self._request("ACK", message.contact_uri, number, new_branch(), to=to, inside=True)

    def _route_set(self) -> list[Header]:
        """Of the dialog: the proxies that put themselves into the answer to the first INVITE (RFC 3261 12.1.2)."""
        answers = (
            entry.message
            for entry in list(self.received)
            if 200 <= entry.message.status < 300
            and entry.message.header("CSeq") == "1 INVITE"
            and entry.message.header("Call-ID") == self._call_id
        )
        answer = next(answers, None)
        return [] if answer is None else [("Route", each) for each in reversed(answer.all("Record-Route"))]

    def _request(
        self,
        method: str,
        uri: str,
        number: int,
        branch: str,
        *,
        to: str | None = None,
        body: str = "",
        inside: bool = False,
    ) -> None:
        headers = [
            ("Via", f"SIP/2.0/UDP {self.address};branch={branch};rport"),
            *(self._route_set() if inside else ()),
            ("Max-Forwards", "70"),
            ("From", f"<sip:scripted@{self.address}>;tag=scripted"),
            ("To", to or f"<{self._uri}>"),
            ("Call-ID", self._call_id),
            ("CSeq", f"{number} {method}"),
            ("Contact", f"<sip:scripted@{self.address}>"),
        ]
        self.send(write(f"{method} {uri} SIP/2.0", headers, body), self._target)
