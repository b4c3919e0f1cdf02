"""One INVITE usage after its dialog exists: BYE, re-INVITE and UPDATE of both sides, other requests, ACK.

RFC 3261 sections 12.2, 13.3.1.4, 14 and 15, RFC 5057 (what a failure does to the usage).
How a session comes to be is in `uac.py` and `uas.py`, which offers are taken when in `reoffers.py`. It judges who may
speak; it never reads a session description.

Commands of a session that has ended are ignored: its terminal event may still be on its way to the caller,
and a race with the peer is nobody's error. LocalError is for a wrong order on a live session.
"""

from __future__ import annotations

from sip_stack.dialog.core import HeaderLines, session_key
from sip_stack.dialog.refreshing import Refreshing
from sip_stack.dialog.reoffers import REOFFER_RETRY, receive_reinvite, receive_update, reinvite_completed
from sip_stack.dialog.requests import DialogRequest
from sip_stack.dialog.unacknowledged import UnacknowledgedAnswer
from sip_stack.dialog.usage import InviteUsage, SessionState
from sip_stack.errors import LocalError
from sip_stack.events import (
    Acknowledged,
    Ended,
    EndedBy,
    RequestCompleted,
    RequestReceived,
    SessionEvent,
    TermsChanged,
)
from sip_stack.extensions import Extensions
from sip_stack.message import Request, Response
from sip_stack.transaction import ClientTransaction, ServerTransaction

SDP = "application/sdp"
OFFERING = ("INVITE", "UPDATE")
"""Requests that may hold an offer, and that refresh the session."""


class Session(InviteUsage):
    """What both sides share. Use `ClientSession` and `ServerSession`."""

    __slots__ = ()

    def register(self) -> None:
        """Be found by what arrives for the dialog."""
        self.core.sessions[session_key(self.call_id, self.local_tag)] = self
        self.core.counters.sessions += 1

    # Commands

    def use(self, extensions: Extensions) -> None:
        """What this session may use beyond RFC 3261; to be said before it is answered.

        For a call we received it raises RemoteError with what to reject it with: 420, 421 or 422.
        """
        self.extensions = extensions
        if extensions.timer.use != "disabled":
            self.refreshing = Refreshing(self, extensions.timer)

    def bye(self, now: float, headers: HeaderLines = ()) -> None:
        """Hang up; `Ended(by="local")` follows when the BYE has its final response or 64*T1 went by.

        An unanswered `ClientSession` is cancelled; an unanswered `ServerSession` raises LocalError: reject
        it. When our 2xx has no ACK yet, the BYE waits for it (section 15).
        """
        if self.state is SessionState.EARLY:
            self.bye_early(now, headers)
        elif self.state is SessionState.CONFIRMED:
            self.state = SessionState.ENDING
            self._bye_headers = tuple(headers)
            self._close_remote_reoffer(now)
            self.send_bye_when_allowed(now)

    def bye_early(self, now: float, headers: HeaderLines) -> None:
        """`bye` before the final response to the INVITE."""
        raise NotImplementedError

    def reoffer(self, now: float, body: bytes, headers: HeaderLines = ()) -> None:
        """Send a re-INVITE, as soon as no other INVITE is under way.

        `ReofferCompleted` follows unless the session ends before or `withdraw_reoffer` is said.
        491, and 500 with Retry-After, are waited out and retried up to `MAX_RETRIES` times (sections 14.1 and
        14.2). Raises LocalError when unanswered or when one is pending.
        """
        if self.state in (SessionState.ENDING, SessionState.ENDED):
            return
        if self.state is SessionState.EARLY:
            raise LocalError("re-INVITE needs an answered session")
        if self.own_reoffer is not None:
            raise LocalError("a re-INVITE is pending")
        self.own_reoffer = DialogRequest(self, "INVITE", headers, body, SDP)
        self.send_reoffer_when_allowed(now)

    def withdraw_reoffer(self) -> bool:
        """Give up a re-INVITE that is not on its way: it waits for its turn, or after a 491. False: too late.

        For the user who hears an offer of the peer meanwhile: what waits was made before it.
        """
        if self.own_reoffer is None or self.own_reoffer.request is not None:
            return False
        self.own_reoffer = None
        self.stop_timer()
        return True

    def request(
        self, now: float, method: str, headers: HeaderLines = (), body: bytes = b"", content_type: str = ""
    ) -> None:
        """Send another request; `RequestCompleted` follows. Raises LocalError without a dialog."""
        if self.state in (SessionState.ENDING, SessionState.ENDED):
            return
        if self.dialog is None:
            raise LocalError(f"{method} needs a dialog")
        DialogRequest(self, method, headers, body, content_type).send(now)

    def answer_reoffer(self, now: float, transaction: ServerTransaction, body: bytes) -> None:
        """Answer a `ReofferReceived` with 200. Ignored when it got its final response meanwhile."""
        request = transaction.request
        if request is None:
            return
        self.refresh_target(request)
        lines = [
            ("Contact", self.contact),
            *self.core.capabilities(self.extensions),
            *self.answer_timer(request, now),
        ]
        data = self.reply(now, transaction, 200, headers=lines, body=body, content_type=SDP)
        self._reoffer_settled(transaction)
        if request.method == "INVITE":
            self.await_acknowledgement(transaction, request, data, now)
        self.send_reoffer_when_allowed(now)

    def refuse(
        self,
        now: float,
        transaction: ServerTransaction,
        status: int,
        reason: str | None = None,
        headers: HeaderLines = (),
    ) -> None:
        """Refuse a `ReofferReceived`: the session stays as it was. Ignored when it was answered meanwhile."""
        self.reply(now, transaction, status, reason, headers=headers)
        self._reoffer_settled(transaction)
        self.send_reoffer_when_allowed(now)

    def respond(
        self,
        now: float,
        transaction: ServerTransaction,
        status: int,
        *,
        reason: str | None = None,
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """Answer a `RequestReceived`. Ignored when it was answered meanwhile."""
        self.reply(now, transaction, status, reason, headers=headers, body=body, content_type=content_type)

    # Requests of the dialog that we receive

    def owns(self, remote_tag: str | None) -> bool:
        """True when that From tag is our dialog's peer."""
        return self.dialog is not None and self.dialog.remote_tag == remote_tag

    def receive(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A request of the dialog other than ACK and CANCEL."""
        dialog = self.dialog
        if dialog is None or not dialog.accept(request):
            self.reply(now, transaction, 500, "CSeq Out of Order")
        elif request.method == "BYE":
            self._receive_bye(transaction, request, now)
        elif request.method == "PRACK":
            self.receive_prack(transaction, request, now)
        elif self.state is SessionState.ENDING:
            self.reply(now, transaction, 481)
        elif (
            self.refreshing is not None
            and request.method in OFFERING
            and self.refreshing.refuses(transaction, request, now)
        ):
            return
        elif request.method == "INVITE":
            receive_reinvite(self, transaction, request, now)
        elif request.method == "UPDATE":
            receive_update(self, transaction, request, now)
        else:
            self.core.events.append(RequestReceived(self, transaction, request))

    def receive_prack(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A PRACK, for which there has to be a response of ours (RFC 3262 section 3)."""
        self.reply(now, transaction, 481)

    def receive_acknowledgement(self, request: Request, now: float) -> None:
        """An ACK to a 2xx of ours; only the first for each 2xx counts."""
        answer = self.unacknowledged.pop(request.cseq.number, None)
        if answer is None:
            self.core.counters.retransmissions_received += 1
            return
        answer.stop()
        if self.state is SessionState.CONFIRMED:
            self.core.events.append(Acknowledged(self, request))
        self.send_bye_when_allowed(now)
        self.send_reoffer_when_allowed(now)

    def on_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A re-INVITE was cancelled before its final response: 487, the session stays as it was."""
        self.reply(now, transaction, 487)
        self._reoffer_settled(transaction)
        self.send_reoffer_when_allowed(now)

    def answer_timer(self, request: Request, now: float) -> HeaderLines:
        """What our 2xx to an INVITE or UPDATE says of the session timer."""
        return () if self.refreshing is None else self.refreshing.answer(request, now)

    @property
    def first_offer_is_open(self) -> bool:
        """True until the offer of the INVITE is answered for good, which a response that may get lost does not do."""
        return self.state is SessionState.EARLY

    def _receive_bye(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        self.reply(now, transaction, 200)
        self._close_remote_reoffer(now)
        ours_is_out = self.state is SessionState.ENDING and self._bye_headers is None
        if not ours_is_out:  # Else it is glare: the final response to our BYE tells the end.
            self.finish(Ended(self, "remote", request))

    @property
    def terms(self) -> object:
        """What an UPDATE without an offer may change: the far end's Contact, and the session timer."""
        return (self.remote_contact, None if self.refreshing is None else self.refreshing.snapshot())

    def note_terms(self, before: object) -> None:
        """Tell of it when the `terms` are not what they were."""
        if self.terms != before:
            self.core.events.append(TermsChanged(self))

    # Requests of ours

    def completed(
        self, pending: DialogRequest, transaction: ClientTransaction, response: Response | None, now: float
    ) -> None:
        """A request of ours has its final response; None: it will have none."""
        if pending.method == "INVITE":
            reinvite_completed(self, pending, transaction, response, now)
        elif self.state is SessionState.ENDED or pending.method == "PRACK":
            return  # Whatever a PRACK is answered, the INVITE goes on.
        elif self.refreshing is not None and self.refreshing.completed(pending, response, now):
            return
        elif pending.method == "BYE":
            self.finish(Ended(self, "local", response))
        elif self.state is SessionState.CONFIRMED or self.state is SessionState.EARLY:
            if pending.method == "UPDATE" and response is not None and response.status < 300:
                self.refresh_target(response)
                if self.refreshing is not None and self.state is SessionState.CONFIRMED:
                    self.refreshing.answered(response, now)
            self.core.events.append(RequestCompleted(self, pending.method, response))
            if pending.method == "NOTIFY":
                return  # A 481 ends the subscription (RFC 6665 section 4.2.2), and PJSIP says it with the call up.
            if response is not None and response.status == 481 and self.dialog is not None:
                self.end_with_bye("remote", response, now)

    def on_timer(self, kind: str, now: float) -> None:
        """A wait of the session is over."""
        if kind == REOFFER_RETRY:
            self.stop_timer()
            self.send_reoffer_when_allowed(now)

    def was_overtaken(self, response: Response) -> bool:
        """True for the 500 to a request of ours that came after a later one (section 12.2.2): it was not looked at."""
        dialog = self.dialog
        return response.status == 500 and dialog is not None and response.cseq.number < dialog.local_cseq

    @property
    def we_called(self) -> bool:
        """The Call-ID of its dialog is ours."""
        return False

    def glare_delay(self) -> float:
        """Seconds to wait after a 491, in steps of 10 ms: whoever owns the Call-ID lets the other side go first
        (section 14.1)."""
        return 2.1 + 0.01 * self.draw(191) if self.we_called else 0.01 * self.draw(200)

    def _reoffer_settled(self, transaction: ServerTransaction) -> None:
        if self.remote_reoffer is transaction:
            self.remote_reoffer = None

    def _close_remote_reoffer(self, now: float) -> None:
        """Section 15.1.2: what is pending when the session ends is answered 487."""
        if self.remote_reoffer is not None:
            self.reply(now, self.remote_reoffer, 487)
            self.remote_reoffer = None

    def send_reoffer_when_allowed(self, now: float) -> None:
        """Section 14.1: no new INVITE while another is under way in either direction."""
        pending = self.own_reoffer
        if pending is None or pending.request is not None or self.state is not SessionState.CONFIRMED:
            return
        # A running timer is the wait after a glare.
        if self.remote_reoffer is None and not self.awaits_acknowledgement and not self.waiting:
            pending.send(now)

    @property
    def awaits_acknowledgement(self) -> bool:
        """True while a 2xx of ours has no ACK."""
        return bool(self.unacknowledged)

    def send_bye_when_allowed(self, now: float) -> None:
        headers = self._bye_headers
        if headers is None or self.awaits_acknowledgement:
            return
        self._bye_headers = None
        DialogRequest(self, "BYE", headers).send(now)

    def await_acknowledgement(
        self, transaction: ServerTransaction, invite: Request, data: bytes, now: float
    ) -> None:
        """Repeat a 2xx just sent until its ACK comes."""
        transaction.dialog_tag = self.local_tag
        cseq = invite.cseq.number
        self.unacknowledged[cseq] = UnacknowledgedAnswer(
            self, transaction, data, cseq, offers=not invite.body, now=now
        )

    def never_acknowledged(self, answer: UnacknowledgedAnswer, now: float) -> None:
        """64*T1 without an ACK to our 2xx: BYE (section 13.3.1.4)."""
        self.unacknowledged.pop(answer.cseq, None)
        if self.state is SessionState.ENDING:
            self.send_bye_when_allowed(now)
        else:
            self.end_with_bye("no_ack", None, now)

    def end_with_bye(
        self, by: EndedBy, response: Response | None, now: float, headers: HeaderLines = ()
    ) -> None:
        """End at once and send a BYE nobody waits for."""
        self._close_remote_reoffer(now)
        DialogRequest(self, "BYE", headers).send(now)
        self.finish(Ended(self, by, response))

    def finish(self, event: SessionEvent | None) -> None:
        """The session is over: forget it, stop its timers, say so."""
        key = session_key(self.call_id, self.local_tag)
        if self.state is not SessionState.ENDED:
            self.core.release(self.flow)
            if self.state is not SessionState.EARLY:
                self.core.ended.add(key, self.remote_tag)
        self.state = SessionState.ENDED
        self.core.sessions.pop(key, None)
        self.stop_timer()
        if self.refreshing is not None:
            self.refreshing.end()
            self.refreshing = None
        for answer in self.unacknowledged.values():
            answer.stop()
        self.unacknowledged.clear()
        self.own_reoffer = None
        self._bye_headers = None
        if event is not None:
            self.core.events.append(event)
