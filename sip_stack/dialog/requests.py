"""Requests of ours from sending to final response, challenges answered on the way: in a dialog, and outside
any.

RFC 3261 sections 12.2.1, 8.1.3.5 and 22.2. What a final response means is the session's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_stack.auth import AuthRejected, Credentials, DigestClient
from sip_stack.dialog.core import Core, HeaderLines, copy_of, is_challenge
from sip_stack.dialog.dialog import Dialog
from sip_stack.dialog.usage import SessionState
from sip_stack.events import OutOfDialogCompleted
from sip_stack.message import Request, Response
from sip_stack.transaction import ClientTransaction, Timer, TimerOwner
from sip_stack.transaction.derived import cancellation
from sip_stack.transport import Flow

if TYPE_CHECKING:
    from sip_stack.dialog.session import Session
    from sip_stack.events import FailureReason


UNANSWERED = "no final response to a re-INVITE"
CANCELLED = "no final response after its CANCEL"


class DialogRequest:
    """One request inside a session's dialog. The session hears only its final response, in `completed`.

    A re-INVITE that gets nothing but 1xx has no timer in RFC 3261. Here it is cancelled after 64*T1, and given up as
    unanswered when 64*T1 later there is still no final response.
    """

    __slots__ = (
        "_dialog",
        "_session",
        "_timer",
        "_transaction",
        "body",
        "content_type",
        "headers",
        "method",
        "request",
        "retries",
    )

    def __init__(
        self,
        session: Session,
        method: str,
        headers: HeaderLines,
        body: bytes = b"",
        content_type: str = "",
        *,
        dialog: Dialog | None = None,
    ) -> None:
        """`dialog`: the early one that it is for."""
        self._session = session
        self._dialog = dialog
        self.method = method
        self.headers = tuple(headers)
        self.body = body
        self.content_type = content_type
        self.request: Request | None = None
        """What is on the way; None before it is sent, and while a retry after 491 waits."""
        self.retries = 0
        """How often it was put back after a 491."""
        self._transaction: ClientTransaction | None = None
        self._timer: Timer[TimerOwner] | None = None

    def send(self, now: float) -> None:
        """Send it, with the credentials that the dialog's peer is known to ask for."""
        session = self._session
        session.keep_flow_alive()
        branch = session.core.branch()
        flow = self._flow()
        self.request = session.build(
            self.method, branch, self.headers, self.body, self.content_type, flow, self._dialog
        )
        if session.digest is not None:
            session.digest.begin(self.request)
        session.core.transactions.send(now, self.request, branch, flow, self)

    def _flow(self) -> Flow:
        session = self._session
        if self._dialog is None:
            return session.flow
        return session.core.flow_toward(self._dialog.next_hop, session.source)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Answer a challenge, or hand a final response to the session."""
        if response.status < 200:
            if self.method == "INVITE" and self._timer is None:
                self._transaction = transaction
                self._start_timer(now, UNANSWERED)
            return
        self._stop_timer()
        if is_challenge(response) and self._answer_challenge(response, now):
            return
        self._session.completed(self, transaction, response, now)

    def on_failure(self, transaction: ClientTransaction, reason: FailureReason, now: float) -> None:
        """No final response will come."""
        self._stop_timer()
        self._session.completed(self, transaction, None, now)

    def on_timer(self, kind: str, now: float) -> None:
        """64*T1 after the first 1xx, or after our CANCEL, there is no final response."""
        session, transaction, request = self._session, self._transaction, self.request
        self._stop_timer()
        if transaction is None or request is None:
            return
        if kind == UNANSWERED and session.state is SessionState.CONFIRMED:
            cancel = cancellation(request, session.core.user_agent_headers)
            session.core.transactions.send(now, cancel, request.branch, transaction.flow, None)
            self._transaction = transaction
            self._start_timer(now, CANCELLED)
            return
        session.core.transactions.abandon(transaction, now)
        session.completed(self, transaction, None, now)

    def _start_timer(self, now: float, kind: str) -> None:
        core = self._session.core
        self._timer = core.timers.start(now, core.settings.timeout, self, kind)

    def _stop_timer(self) -> None:
        self._transaction = None
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _answer_challenge(self, response: Response, now: float) -> bool:
        session = self._session
        dialog = self._dialog or session.dialog
        if session.credentials is None or dialog is None or self.request is None:
            return False
        if session.digest is None:
            session.digest = DigestClient(session.credentials, session.core.token)
            session.digest.begin(self.request)
        session.keep_flow_alive()
        branch = session.core.branch()
        flow, cseq = self._flow(), dialog.local_cseq + 1
        retry = copy_of(self.request, branch=branch, flow=flow, cseq=cseq)
        try:
            session.digest.answer(response, retry)
        except AuthRejected:
            return False
        dialog.local_cseq = cseq
        self.request = retry
        session.core.transactions.send(now, retry, branch, flow, self)
        return True


class OutOfDialogRequest:
    """One request outside any dialog (OPTIONS, MESSAGE...); `OutOfDialogCompleted` tells how it ended."""

    __slots__ = ("_core", "_credentials", "_digest", "flow", "owner", "request")

    def __init__(
        self, core: Core, request: Request, flow: Flow, credentials: Credentials | None, owner: object | None
    ) -> None:
        self._core = core
        self._credentials = credentials
        self._digest: DigestClient | None = None
        self.request = request
        """The request as last sent."""
        self.flow = flow
        self.owner = owner

    def send(self, now: float, branch: str) -> None:
        """Send it; its top Via carries `branch`."""
        self._core.transactions.send(now, self.request, branch, self.flow, self)

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """Answer a challenge, or report a final response."""
        if response.status < 200:
            return
        if is_challenge(response) and self._answer_challenge(response, now):
            return
        self._core.events.append(OutOfDialogCompleted(self, response))

    def on_failure(self, transaction: ClientTransaction, reason: FailureReason, now: float) -> None:
        """No final response will come."""
        self._core.events.append(OutOfDialogCompleted(self, None, reason))

    def _answer_challenge(self, response: Response, now: float) -> bool:
        if self._credentials is None:
            return False
        if self._digest is None:
            self._digest = DigestClient(self._credentials, self._core.token)
            self._digest.begin(self.request)
        branch = self._core.branch()
        retry = copy_of(self.request, branch=branch, flow=self.flow, cseq=self.request.cseq.number + 1)
        try:
            self._digest.answer(response, retry)
        except AuthRejected:
            return False
        self.request = retry
        self.send(now, branch)
        return True
