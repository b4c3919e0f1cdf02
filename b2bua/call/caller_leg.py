"""The caller's leg: an INVITE we received, from its offer to our answer or refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause, events
from b2bua.call.leg import Leg, describe, leg_record
from b2bua.identity import Caller
from sip_stack import events as sip

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from sip_stack.dialog.uas import ServerSession
    from sip_stack.message import Request


class CallerLeg(Leg):
    """The leg that a call exists for.

    Our session description toward the caller is made once and stays the same through early media, attempts and
    the answer.
    """

    def __init__(self, call: Call, session: ServerSession, request: Request) -> None:
        """Understand the offer and take a port. Raises `RemoteError` (488) or `PortsExhausted`."""
        media = call.media.open_leg("caller")
        super().__init__(call, "caller", media, describe(call, media, session.flow))
        media.set_remote(self.description.receive_offer(request.body_of_type("application/sdp")))
        self._session = session
        self._alerted = False
        self._early_media = False
        self._answered = False
        self.identity = Caller.from_invite(request)
        self.record = leg_record("caller", session, self.now())
        session.owner = self

    @property
    def session(self) -> ServerSession:
        return self._session

    def ring(self) -> None:
        """180 to the caller, once, and not over early media they hear already."""
        if self._alerted or self.over:
            return
        self._alerted = True
        self._session.progress(self.now(), 180)
        self.flush()

    def early_media(self) -> None:
        """183 with our description to the caller, once: from now on they hear the far end."""
        if self._early_media or self.over:
            return
        self._alerted = self._early_media = True
        self._session.progress(self.now(), 183, body=self.description.make_answer())
        self.flush()

    def answer(self) -> None:
        """200 to the caller with our description."""
        if self.over:
            return
        self._answered = True
        self.record.answered = self.now()
        self._session.answer(self.now(), body=self.description.make_answer())
        self.flush()

    def hang_up(self, outcome: cause.Outcome) -> None:
        if self.over:
            return
        self.over = True
        self.record.end("b2bua" if outcome.source == self.role else outcome.source, self.now())
        if self._answered:
            self._session.bye(self.now(), headers=outcome.reason_headers())
        else:
            status = outcome.caller_status or 500
            self._session.reject(self.now(), status, headers=outcome.reason_headers())
        self.flush()

    def deliver_first(self, event: sip.SessionEvent) -> None:
        match event:
            case sip.Cancelled():
                self.record.end(self.role, self.now())
                self.tell(events.Cancelled(self))
                self.over = True
