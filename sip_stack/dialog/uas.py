"""The called side of an INVITE: provisional responses, the final one, CANCEL.

RFC 3261 sections 9.2, 13.3 and 15.1.2. What follows the answer is in `session.py`.
"""

from __future__ import annotations

from sip_stack.dialog.core import PROGRESS_INTERVAL, Core, HeaderLines
from sip_stack.dialog.dialog import Dialog
from sip_stack.dialog.session import SDP, Session
from sip_stack.dialog.usage import SessionState
from sip_stack.errors import LocalError
from sip_stack.events import Cancelled, Ended, InviteReceived
from sip_stack.extensions import Extensions
from sip_stack.message import Request
from sip_stack.transaction import ServerTransaction
from sip_stack.transport import Flow

_Progress = tuple[int, str | None, tuple[tuple[str, str], ...], bytes, str]
KEEP_ALIVE = "1xx again"


class ServerSession(Session):
    """A call we receive. It ends with `Cancelled` or `Ended`, or silently with our own `reject`."""

    __slots__ = ("_last_progress", "_transaction")

    def __init__(self, core: Core, transaction: ServerTransaction, request: Request, flow: Flow) -> None:
        """Raises RemoteError when the INVITE cannot make a dialog."""
        local_tag = core.token()
        dialog = Dialog.from_request(request, local_tag)
        super().__init__(
            core,
            invite=request,
            flow=flow,
            local_tag=local_tag,
            contact_user="",
            credentials=None,
            owner=None,
        )
        self.remote_tag = dialog.remote_tag
        self.dialog = dialog
        self.choose_flow()
        self._transaction = transaction
        self._last_progress: _Progress | None = None

    def start(self, now: float) -> None:
        """100 Trying at once (section 8.2.6.1 allows it, pitfall 40 asks for it), then tell the user."""
        self._transaction.user = self
        self._transaction.dialog_tag = self.local_tag
        self.core.respond(now, self._transaction, 100)
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
        content_type: str = SDP,
    ) -> None:
        """Send a 101..199; it is repeated every minute. Raises LocalError for another status or once
        answered."""
        if self.state is SessionState.ENDED:
            return
        if self.state is not SessionState.EARLY or not 101 <= status <= 199:
            raise LocalError(f"{status} is no provisional response to a pending INVITE")
        if self._last_progress is None:
            self.start_timer(now, PROGRESS_INTERVAL, KEEP_ALIVE)
        self._last_progress = (status, reason, tuple(headers), body, content_type)
        self._send_progress(now)

    def answer(self, now: float, *, body: bytes, headers: HeaderLines = (), content_type: str = SDP) -> None:
        """Send 200, repeated until its ACK comes: `Acknowledged`, or after 64*T1 `Ended(by="no_ack")`."""
        if self.state is SessionState.ENDED:
            return
        if self.state is not SessionState.EARLY:
            raise LocalError("the INVITE is already answered")
        self.state = SessionState.CONFIRMED
        self._last_progress = None
        self.stop_timer()
        lines = [
            ("Contact", self.contact),
            *self.core.capabilities(self.extensions),
            *self.answer_timer(self.invite, now),
            *headers,
        ]
        transaction = self._transaction
        data = self._respond(now, 200, None, lines, body, content_type)
        self.await_acknowledgement(transaction, self.invite, data, now)

    def reject(
        self, now: float, status: int, *, reason: str | None = None, headers: HeaderLines = ()
    ) -> None:
        """Send a final response >= 300. No event follows. Raises LocalError for another status or once
        answered."""
        if self.state is SessionState.ENDED:
            return
        if self.state is not SessionState.EARLY or not 300 <= status <= 699:
            raise LocalError(f"{status} does not reject a pending INVITE")
        self._respond(now, status, reason, headers, b"", "")
        self.finish(None)

    def bye_early(self, now: float, headers: HeaderLines) -> None:
        """A BYE before the answer is the caller's privilege (section 15)."""
        raise LocalError("an unanswered INVITE is rejected, not hung up")

    def on_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """CANCEL of the INVITE (487, terminal), or of a re-INVITE."""
        if self.state is SessionState.EARLY:
            self._respond(now, 487, None, (), b"", "")
            self.finish(Cancelled(self, request))
        else:
            super().on_cancel(transaction, request, now)

    def receive(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """Before the answer the caller may BYE (section 15.1.2); its INVITE is then answered 487."""
        if self.state is SessionState.EARLY and request.method == "BYE":
            self.core.respond(now, transaction, 200)
            self._respond(now, 487, None, (), b"", "")
            self.finish(Ended(self, "remote", request))
        elif self.state is SessionState.EARLY and request.method == "INVITE":
            self.core.respond(now, transaction, 500, headers=[("Retry-After", self._short_delay())])
        else:
            super().receive(transaction, request, now)

    def on_timer(self, kind: str, now: float) -> None:
        """A minute went by without an answer: the last 1xx again."""
        if kind != KEEP_ALIVE:
            super().on_timer(kind, now)
        elif self.state is SessionState.EARLY and self._last_progress is not None:
            self.start_timer(now, PROGRESS_INTERVAL, KEEP_ALIVE)
            self._send_progress(now)

    def _send_progress(self, now: float) -> None:
        if self._last_progress is not None:
            status, reason, headers, body, content_type = self._last_progress
            self._respond(now, status, reason, [("Contact", self.contact), *headers], body, content_type)

    def _respond(
        self,
        now: float,
        status: int,
        reason: str | None,
        headers: HeaderLines,
        body: bytes,
        content_type: str,
    ) -> bytes:
        return self.core.respond(
            now,
            self._transaction,
            status,
            reason,
            to_tag=self.local_tag,
            headers=headers,
            body=body,
            content_type=content_type,
        )
