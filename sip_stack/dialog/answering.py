"""What a session needs as long as its far end, who called us, may not have our 2xx: what we ask of it waits.

RFC 3261 section 13.3.1.4. Whoever sends that 2xx is in `uas.py`, and in `restored.py` where an earlier process sent it
first.
"""

from __future__ import annotations

from sip_stack.dialog.core import HeaderLines
from sip_stack.dialog.requests import DialogRequest
from sip_stack.dialog.session import Session
from sip_stack.dialog.snapshot import UnansweredSnapshot
from sip_stack.dialog.unacknowledged import UnacknowledgedAnswer
from sip_stack.dialog.usage import SessionState
from sip_stack.events import SessionEvent
from sip_stack.message import Request
from sip_stack.transport import Flow, Target


class AnsweringSession(Session):
    """A call we receive, or received once."""

    __slots__ = ("_held_requests",)

    _held_requests: list[DialogRequest]
    """Requests of ours that wait for the ACK of our 2xx."""

    @property
    def invite_cseq(self) -> int:
        """The CSeq number of the INVITE; 0 where it is settled for good."""
        raise NotImplementedError

    @property
    def awaits_first_acknowledgement(self) -> bool:
        """True while our 2xx to the INVITE waits for its ACK, or to be sent."""
        return self.invite_cseq in self.unacknowledged

    @property
    def unanswered(self) -> tuple[Flow, Target, UnansweredSnapshot] | None:
        """The INVITE, as long as the far end may have no final response: the flow that this goes over, where it goes
        once a connection is gone, and what it repeats; None when the far end has it."""
        raise NotImplementedError

    @property
    def unacknowledged_answer(self) -> UnacknowledgedAnswer | None:
        """Our 2xx to the INVITE, as long as it has no ACK."""
        return self.unacknowledged.get(self.invite_cseq)

    def request(
        self, now: float, method: str, headers: HeaderLines = (), body: bytes = b"", content_type: str = ""
    ) -> None:
        """As of every session, but a caller who has not acknowledged our 2xx may not have it: a request that overtakes
        it finds no dialog, and its 481 would end the call. It waits, as a BYE does (section 15)."""
        if self.state is SessionState.CONFIRMED and self.awaits_first_acknowledgement:
            self._held_requests.append(DialogRequest(self, method, headers, body, content_type))
        else:
            super().request(now, method, headers, body, content_type)

    def receive_acknowledgement(self, request: Request, now: float) -> None:
        super().receive_acknowledgement(request, now)
        if self._held_requests and not self.awaits_first_acknowledgement:
            held, self._held_requests = self._held_requests, []
            if self.state is SessionState.CONFIRMED:
                for each in held:
                    each.send(now)

    def finish(self, event: SessionEvent | None) -> None:
        self._held_requests.clear()
        super().finish(event)
