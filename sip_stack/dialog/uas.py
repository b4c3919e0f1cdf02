"""The called side of an INVITE: provisional responses, the final one, CANCEL.

RFC 3261 sections 9.2, 13.3 and 15.1.2, RFC 3262 section 3. What follows the answer is in `session.py`.
"""

from __future__ import annotations

from sip_stack.dialog.answering import AnsweringSession
from sip_stack.dialog.core import PROGRESS_INTERVAL, Core, HeaderLines, is_secure
from sip_stack.dialog.dialog import Dialog
from sip_stack.dialog.glare import short_delay
from sip_stack.dialog.provisional import Provisional, ReliableProvisionals
from sip_stack.dialog.session import SDP
from sip_stack.dialog.snapshot import InviteSnapshot, UnansweredSnapshot
from sip_stack.dialog.usage import SessionState
from sip_stack.errors import LocalError, RemoteError
from sip_stack.events import (
    AnswerSent,
    Cancelled,
    Ended,
    EndedBy,
    InviteReceived,
    ProvisionalAcknowledged,
    ReofferReceived,
    SessionEvent,
)
from sip_stack.extensions import RELIABLE, Extensions
from sip_stack.message import Request, Response
from sip_stack.transaction import ServerTransaction
from sip_stack.transport import Flow, Target

KEEP_ALIVE = "1xx again"


class ServerSession(AnsweringSession):
    """A call we receive. It ends with `Cancelled` or `Ended`, or silently with our own `reject`."""

    __slots__ = (
        "_agreed",
        "_held_answer",
        "_last_progress",
        "_provisionals",
        "_transaction",
        "invite",
    )

    def __init__(self, core: Core, transaction: ServerTransaction, request: Request, flow: Flow) -> None:
        """Raises RemoteError when the INVITE cannot make a dialog."""
        local_tag = core.token()
        dialog = Dialog.from_request(request, local_tag)
        super().__init__(
            core,
            call_id=request.call_id,
            secure=is_secure(request),
            flow=flow,
            local_tag=local_tag,
            contact_user="",
            credentials=None,
            owner=None,
        )
        self.invite = request
        self.register()
        self.remote_tag = dialog.remote_tag
        self.dialog = dialog
        self.choose_flow()
        self._transaction = transaction
        self._last_progress: Provisional | None = None
        self._provisionals: ReliableProvisionals | None = None
        self._held_answer: Provisional | None = None
        """Our 2xx while it waits for a PRACK."""
        self._held_requests = []
        self._agreed = False
        """Offer and answer are complete before the 2xx."""

    def start(self, now: float) -> None:
        """100 Trying at once (section 8.2.6.1 allows it, pitfall 40 asks for it), then tell the user."""
        self._transaction.user = self
        self._transaction.dialog_tag = self.local_tag
        self.reply(now, self._transaction, 100)
        self.core.events.append(InviteReceived(self, self.invite))

    def use(self, extensions: Extensions) -> None:
        extensions.judge(self.invite)
        super().use(extensions)
        if self.refreshing is not None:
            self.refreshing.timer.judge(self.invite)

    def progress(
        self,
        now: float,
        status: int,
        *,
        reason: str | None = None,
        body: bytes = b"",
        headers: HeaderLines = (),
    ) -> None:
        """Send a 101..199; it is repeated every minute.

        Reliably where `sends_reliably` says so: then it is repeated until its PRACK comes, and further ones wait for
        that. Raises LocalError for another status or once answered.
        """
        if self.state is SessionState.ENDED:
            return
        if self.state is not SessionState.EARLY or not 101 <= status <= 199:
            raise LocalError(f"{status} is no provisional response to a pending INVITE")
        if self._last_progress is None:
            self.start_timer(now, PROGRESS_INTERVAL, KEEP_ALIVE)
        self._last_progress = Provisional(status, reason, tuple(headers), body)
        self._send_progress(self._last_progress, now)

    def sends_reliably(self, *, description: bool) -> bool:
        """True when a provisional response, with a session description or without one, gets acknowledged: always where
        either side requires it, else where the caller can and there is something in it that must not get lost."""
        if RELIABLE not in self.extensions.tags:
            return False
        if RELIABLE in self.extensions.required or RELIABLE in self.invite.require:
            return True
        return description and RELIABLE in self.invite.supported

    def answer(self, now: float, *, body: bytes, headers: HeaderLines = ()) -> None:
        """Send 200, repeated until its ACK comes: `Acknowledged`, or after 64*T1 `Ended(by="no_ack")`.

        It waits for the PRACK of what was said before (RFC 3262 section 3): `answer_is_held` until `AnswerSent`, or
        without one `Ended(by="no_prack")`.
        """
        if self.state is SessionState.ENDED:
            return
        if self.state is not SessionState.EARLY:
            raise LocalError("the INVITE is already answered")
        self.state = SessionState.CONFIRMED
        self._last_progress = None
        self.stop_timer()
        self._held_answer = Provisional(200, None, tuple(headers), body)
        self._send_answer_when_allowed(now)

    @property
    def answer_is_held(self) -> bool:
        """True while our 200 waits: as the caller has it, nobody has answered."""
        return self._held_answer is not None

    def _send_held_answer(self, now: float) -> None:
        if self._send_answer_when_allowed(now):
            self.core.events.append(AnswerSent(self))

    def _send_answer_when_allowed(self, now: float) -> bool:
        """True when it was sent."""
        answer, provisionals = self._held_answer, self._provisionals
        if answer is None or self.remote_reoffer is not None:
            return False
        if provisionals is not None:
            if provisionals.pending:
                return False
            provisionals.stop()
        self._held_answer = None
        lines = [
            ("Contact", self.contact),
            *self.core.capabilities(self.extensions),
            *self.answer_timer(self.invite, now),
            *answer.headers,
        ]
        transaction = self._transaction
        data = self._respond(now, 200, None, lines, answer.body)
        self.await_acknowledgement(transaction, self.invite, data, now)
        return True

    @property
    def _is_pending(self) -> bool:
        """True while the INVITE has no final response."""
        return self.state is SessionState.EARLY or self._held_answer is not None

    @property
    def unanswered(self) -> tuple[Flow, Target, UnansweredSnapshot] | None:
        if self.state is not SessionState.EARLY and not self.awaits_first_acknowledgement:
            return None
        flow = self._transaction.flow
        target = self._transaction.fallback or Target(flow.transport, *flow.remote)
        left = UnansweredSnapshot(InviteSnapshot.of(self.invite), self.local_tag, self.session_id)
        return flow, target, left

    @property
    def invite_cseq(self) -> int:
        return self.invite.cseq.number

    @property
    def awaits_first_acknowledgement(self) -> bool:
        return self._held_answer is not None or super().awaits_first_acknowledgement

    @property
    def awaits_acknowledgement(self) -> bool:
        return self._held_answer is not None or super().awaits_acknowledgement

    @property
    def first_offer_is_open(self) -> bool:
        return self._is_pending and not self._agreed

    def send_reoffer_when_allowed(self, now: float) -> None:
        """Whose turn it was is over: our answer may have waited for that."""
        self._send_held_answer(now)
        super().send_reoffer_when_allowed(now)

    def reject(
        self, now: float, status: int, *, reason: str | None = None, headers: HeaderLines = ()
    ) -> None:
        """Send a final response >= 300, in place of a 200 that is held. No event follows. Raises LocalError for another
        status or once answered."""
        if self.state is SessionState.ENDED:
            return
        if not self._is_pending or not 300 <= status <= 699:
            raise LocalError(f"{status} does not reject a pending INVITE")
        self._respond(now, status, reason, headers)
        self.finish(None)

    def bye_early(self, now: float, headers: HeaderLines) -> None:
        """A BYE before the answer is the caller's privilege (section 15)."""
        raise LocalError("an unanswered INVITE is rejected, not hung up")

    def on_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """CANCEL of the INVITE (487, terminal), or of a re-INVITE."""
        if self._is_pending and transaction is self._transaction:
            self._respond(now, 487)
            self.finish(Cancelled(self, request))
        else:
            super().on_cancel(transaction, request, now)

    def receive(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """Before the answer the caller may BYE (section 15.1.2); its INVITE is then answered 487."""
        if self._is_pending and request.method == "BYE":
            self.reply(now, transaction, 200)
            self._respond(now, 487)
            self.finish(Ended(self, "remote", request))
        elif self._is_pending and request.method == "INVITE":
            self.reply(now, transaction, 500, headers=[("Retry-After", short_delay(self))])
        else:
            super().receive(transaction, request, now)

    def receive_prack(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """The caller has our provisional response (RFC 3262 section 3): 481 when it means none that waits for it.

        With a body it answers the offer in that response, or, once offer and answer are complete, makes another one
        (section 5).
        """
        provisionals = self._provisionals
        try:
            acknowledged = None if provisionals is None else provisionals.acknowledge(request)
        except RemoteError as error:
            self.reply(now, transaction, error.status_hint, error.reason)
            return
        if provisionals is None or acknowledged is None:
            self.reply(now, transaction, 481)
            return
        answers = bool(acknowledged.body) and not self.invite.body and not self._agreed
        self._agreed = self._agreed or bool(acknowledged.body)
        if answers or not request.body:
            self.reply(now, transaction, 200)
            if answers:
                self.core.events.append(ProvisionalAcknowledged(self, request))
        elif self.first_offer_is_open or self.remote_reoffer is not None:
            self.reply(now, transaction, 500, headers=[("Retry-After", short_delay(self))])
        else:
            self.remote_reoffer = transaction
            self.core.events.append(ReofferReceived(self, transaction, request))
        provisionals.send_next(now)
        self._send_held_answer(now)

    def provisional_unacknowledged(self, now: float) -> None:
        """64*T1 without a PRACK: the INVITE is refused (RFC 3262 section 3)."""
        self._respond(now, 504)
        self.finish(Ended(self, "no_prack"))

    def end_with_bye(
        self, by: EndedBy, response: Response | None, now: float, headers: HeaderLines = ()
    ) -> None:
        """Before the answer is out there is nothing for a BYE of ours to end (section 15): the INVITE is refused."""
        if self._is_pending:
            self._respond(now, 480, headers=headers)
            self.finish(Ended(self, by, response))
        else:
            super().end_with_bye(by, response, now, headers)

    def finish(self, event: SessionEvent | None) -> None:
        if self._provisionals is not None:
            self._provisionals.stop()
            self._provisionals = None
        self._held_answer = None
        super().finish(event)

    def on_timer(self, kind: str, now: float) -> None:
        """A minute went by without an answer: the last 1xx again, without a description that was acknowledged."""
        if kind != KEEP_ALIVE:
            super().on_timer(kind, now)
        elif self.state is SessionState.EARLY and self._last_progress is not None:
            self.start_timer(now, PROGRESS_INTERVAL, KEEP_ALIVE)
            said = self._last_progress
            self._send_progress(said if self._provisionals is None else said._replace(body=b""), now)

    def _send_progress(self, progress: Provisional, now: float) -> None:
        if self.sends_reliably(description=bool(progress.body)):
            if self._provisionals is None:
                # Where to begin is not to be guessed (RFC 3262 section 3): who guesses it can send the PRACK.
                self._provisionals = ReliableProvisionals(self, 1 + self.draw(2**31 - 2**16))
            self._provisionals.send(progress, now)
        else:
            self._send_provisional(progress, (), now)

    def send_provisional(self, provisional: Provisional, rseq: int, now: float) -> bytes:
        """Send one that asks for a PRACK; returns its octets."""
        return self._send_provisional(provisional, (("Require", RELIABLE), ("RSeq", str(rseq))), now)

    def repeat_provisional(self, data: bytes, now: float) -> None:
        """Its PRACK has not come yet."""
        self.core.transactions.repeat_provisional(self._transaction, data, now)

    def _send_provisional(self, provisional: Provisional, lines: HeaderLines, now: float) -> bytes:
        status, reason, headers, body = provisional
        return self._respond(now, status, reason, [("Contact", self.contact), *lines, *headers], body)

    def _respond(
        self,
        now: float,
        status: int,
        reason: str | None = None,
        headers: HeaderLines = (),
        body: bytes = b"",
    ) -> bytes:
        """Answer the INVITE; returns the octets."""
        return self.reply(
            now,
            self._transaction,
            status,
            reason,
            to_tag=self.local_tag,
            headers=headers,
            body=body,
            content_type=SDP,
        )
