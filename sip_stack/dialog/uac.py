"""The calling side of an INVITE: provisional responses, challenges, CANCEL, the first 2xx and its forks.

RFC 3261 sections 9.1, 13.2 and 22.2, RFC 6026. What follows the answer is in `session.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_stack.auth import AuthRejected, Credentials, DigestClient
from sip_stack.dialog.core import Core, HeaderLines, copy_of, is_challenge, via
from sip_stack.dialog.dialog import Dialog
from sip_stack.dialog.early import EarlyDialog, EarlyDialogs, continue_dialog
from sip_stack.dialog.glare import short_delay
from sip_stack.dialog.session import Session
from sip_stack.dialog.snapshot import InviteSnapshot
from sip_stack.dialog.usage import SessionState
from sip_stack.errors import LocalError
from sip_stack.events import Answered, Challenged, Ended, Failed, Progress, Rejected, ReofferReceived
from sip_stack.extensions import RELIABLE, Extensions
from sip_stack.message import Request, Response
from sip_stack.transaction import ClientTransaction, ServerTransaction
from sip_stack.transaction.derived import cancellation
from sip_stack.transport import Flow, Transmit

if TYPE_CHECKING:
    from sip_stack.events import FailureReason

CANCEL_SETTLED = "64*T1 after CANCEL"
MAX_FORKS = 8
"""Answers of one INVITE that are acknowledged; further ones are left to time out."""


class ClientSession(Session):
    """A call we make. After `cancel` exactly one event follows: `Ended(by="local")`."""

    __slots__ = (
        "_attempts",
        "_cancel_headers",
        "_early",
        "_hung_up",
        "_proceeding",
        "_progressed",
        "_transaction",
        "invite",
    )

    def __init__(
        self,
        core: Core,
        *,
        invite: Request,
        call_id: str,
        secure: bool,
        flow: Flow,
        local_tag: str,
        contact_user: str,
        credentials: Credentials | None,
        owner: object | None,
        extensions: Extensions,
    ) -> None:
        super().__init__(
            core,
            call_id=call_id,
            secure=secure,
            flow=flow,
            local_tag=local_tag,
            contact_user=contact_user,
            credentials=credentials,
            owner=owner,
        )
        self.invite = invite
        """As last sent."""
        self.register()
        self.use(extensions)
        self._early = EarlyDialogs()
        self._transaction: ClientTransaction | None = None
        self._attempts = 0
        self._proceeding = False
        self._progressed = False
        self._cancel_headers: tuple[tuple[str, str], ...] | None = None
        self._hung_up: list[str | None] = []

    def start(self, now: float, branch: str) -> None:
        """Send the INVITE, whose top Via carries `branch`."""
        self._proceeding = self._progressed = False
        self._transaction = self.core.transactions.send(now, self.invite, branch, self.flow, self)

    def cancel(self, now: float, headers: HeaderLines = ()) -> None:
        """Give up. CANCEL goes out once a 1xx is there (section 9.1); a 2xx that crosses it is ACKed and
        BYEd.

        Raises LocalError when answered: say `bye`.
        """
        if self.state is SessionState.CONFIRMED:
            raise LocalError("an answered session is ended by BYE")
        if self.state is SessionState.EARLY:
            self.state = SessionState.ENDING
            self._cancel_headers = tuple(headers)
            if self._proceeding:
                self._send_cancel(now)

    def take_back(self, now: float, headers: HeaderLines = ()) -> None:
        """`cancel` an INVITE that an earlier process of ours has sent, in place of `start`. There may have been no 1xx,
        but it is too late to wait for one."""
        self._transaction = self.core.transactions.resume(self.invite, self.invite.branch, self.flow, self)
        self._proceeding = True
        self.cancel(now, headers)

    @property
    def pending(self) -> tuple[Flow, InviteSnapshot] | None:
        """The INVITE that waits for its final response, and where it went; None when none does."""
        if self.state is not SessionState.EARLY or self._transaction is None:
            return None
        return self._transaction.flow, InviteSnapshot.of(self.invite)

    def bye_early(self, now: float, headers: HeaderLines) -> None:
        """An unanswered call is cancelled."""
        self.cancel(now, headers)

    @property
    def we_called(self) -> bool:
        return True

    # Responses to the INVITE

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A provisional or the first final response to the INVITE."""
        if response.status < 200:
            self._on_provisional(response, now)
        elif response.status < 300:
            self._on_answer(transaction, response, now)
        else:
            self._on_rejection(response, now)

    def on_failure(self, transaction: ClientTransaction, reason: FailureReason, now: float) -> None:
        """The INVITE has no final response and will have none."""
        self._transaction = None
        if self.state is SessionState.ENDING:
            self.finish(Ended(self, "local"))
        else:
            self.finish(Failed(self, reason, transaction.loss.detail))

    def on_timer(self, kind: str, now: float) -> None:
        """64*T1 after our CANCEL there is still no final response: the INVITE is considered cancelled."""
        if kind != CANCEL_SETTLED:
            super().on_timer(kind, now)
        elif self._transaction is not None:
            self.core.transactions.abandon(self._transaction, now)
            self._transaction = None
            self.finish(Ended(self, "local"))

    def _on_provisional(self, response: Response, now: float) -> None:
        first = not self._proceeding
        self._proceeding = True
        self._progressed = self._progressed or response.status > 100
        self.remote_tag = response.to.tag or self.remote_tag
        if self.state is not SessionState.EARLY and first:
            self._send_cancel(now)
        if RELIABLE in self.extensions.tags and not self._early.acknowledge(self, response, now):
            self.core.counters.retransmissions_received += 1
        elif self.state is SessionState.EARLY:
            self.core.events.append(Progress(self, response))

    def _on_answer(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self._transaction = None
        self.remote_tag = response.to.tag
        self.dialog = Dialog.from_response(response, self.invite.uri)
        continue_dialog(self.dialog, self._early.find(self.remote_tag))
        transaction.highest_cseq = self._early.highest_cseq(self.invite.cseq.number)
        self._early.clear()
        self.choose_flow()
        self.acknowledge(transaction, self.invite, response)
        if self.remote_tag in self._hung_up:
            self.finish(Ended(self, "remote"))
        elif self.state is SessionState.ENDING:
            self._bye_headers = self._cancel_headers
            self.send_bye_when_allowed(now)
        else:
            self.state = SessionState.CONFIRMED
            if self.refreshing is not None:
                self.refreshing.answered(response, now)
            self.core.events.append(Answered(self, response))

    def _on_rejection(self, response: Response, now: float) -> None:
        self._transaction = None
        if self.state is SessionState.ENDING:
            self.finish(Ended(self, "local", response))
        elif is_challenge(response):
            self._answer_challenge(response, now)
        elif response.status != 422 or not self._asks_for_longer(response, now):
            # A 403 to credentials is the polite form of a second 401; but who rings has let us in.
            refused = response.status == 403 and self._attempts > 0 and not self._progressed
            self.finish(Rejected(self, response, "rejected" if refused else None))

    def _answer_challenge(self, response: Response, now: float) -> None:
        """The same INVITE with credentials: new branch, CSeq + 1, no To tag (section 8.1.3.5)."""
        if self.digest is None:
            self.digest = DigestClient(self.credentials, self.core.token)
            self.digest.begin(self.invite)
        branch, retry = self._retry()
        try:
            self.digest.answer(response, retry)
        except AuthRejected as rejected:
            self.finish(Rejected(self, response, rejected.reason))
            return
        self.invite = retry
        self.remote_tag = None
        self._attempts += 1
        self.start(now, branch)
        self.core.events.append(Challenged(self, response, self._attempts))

    def _asks_for_longer(self, response: Response, now: float) -> bool:
        """Send the same INVITE with the session interval that a 422 asks for (RFC 4028 section 7.3)."""
        if self.refreshing is None or not self.refreshing.timer.raise_minimum(response):
            return False
        branch, retry = self._retry()
        for name, value in self.refreshing.timer.invite_lines():
            retry.headers.set(name, value)
        if self.digest is not None:
            self.digest.begin(retry)
        self.invite = retry
        self.remote_tag = None
        self.start(now, branch)
        return True

    def _retry(self) -> tuple[str, Request]:
        """The same INVITE with a new branch, above every CSeq that its early dialogs have seen."""
        branch, cseq = self.core.branch(), self._early.highest_cseq(self.invite.cseq.number) + 1
        self._early.clear()
        return branch, copy_of(self.invite, branch=branch, flow=self.flow, cseq=cseq)

    def _send_cancel(self, now: float) -> None:
        cancel = cancellation(self.invite, (*self.core.user_agent_headers, *(self._cancel_headers or ())))
        # Where the INVITE went (section 9.1), which a large one did by TCP.
        flow = self.flow if self._transaction is None else self._transaction.flow
        self.core.transactions.send(now, cancel, self.invite.branch, flow, None)
        self.start_timer(now, self.core.settings.timeout, CANCEL_SETTLED)

    # Requests that arrive before the answer

    def owns(self, remote_tag: str | None) -> bool:
        """Before the answer any To tag may be one of our forks; our own tag cannot be guessed."""
        return self.dialog is None or super().owns(remote_tag)

    def receive(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A request of an early dialog; the BYE of an answer that was overtaken on the way is remembered."""
        if self.dialog is not None:
            super().receive(transaction, request, now)
        elif request.method == "BYE" and len(self._hung_up) < MAX_FORKS:
            self._hung_up.append(request.from_.tag)
            self.reply(now, transaction, 200)
        elif request.method == "UPDATE" and (early := self._early.find(request.from_.tag)) is not None:
            self._receive_early_update(early, transaction, request, now)
        elif request.method in ("INVITE", "UPDATE"):
            # Our offer is still open (RFC 3311 section 5.2, RFC 3261 section 14.2).
            self.reply(now, transaction, 491)
        elif self._early.find(request.from_.tag) is not None:
            # Not 481, which would end a dialog that both sides know (RFC 5057 section 5.1).
            self.reply(now, transaction, 500, headers=[("Retry-After", short_delay(self))])
        else:
            self.reply(now, transaction, 481)

    def _receive_early_update(
        self, early: EarlyDialog, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        """RFC 3311 section 5.2: who answered our offer for good may make one."""
        if not early.dialog.accept(request):
            self.reply(now, transaction, 500, "CSeq Out of Order")
        elif self.state is not SessionState.EARLY:
            self.reply(now, transaction, 481)
        elif not request.body:
            early.dialog.refresh_target(request)
            self.reply(now, transaction, 200, headers=[("Contact", self.contact)])
        elif not early.agreed:
            self.reply(now, transaction, 491)
        elif self.remote_reoffer is not None:
            self.reply(now, transaction, 500, headers=[("Retry-After", short_delay(self))])
        else:
            early.dialog.refresh_target(request)
            self.remote_reoffer = transaction
            self.core.events.append(ReofferReceived(self, transaction, request))


def release_fork(core: Core, transaction: ClientTransaction, response: Response, now: float) -> None:
    """ACK and BYE the 2xx of another fork (section 13.2.2.4); the session may be long gone."""
    acknowledgements = transaction.acknowledgements
    if acknowledgements is None:
        acknowledgements = transaction.acknowledgements = {}
    if len(acknowledgements) >= MAX_FORKS:
        return
    core.counters.forked_answers += 1
    dialog = Dialog.from_response(response, "")
    if not dialog.remote_target:
        return
    flow = core.flow_toward(dialog.next_hop, transaction.flow)
    ack_via = via(flow, core.branch())
    ack = dialog.request("ACK", via=ack_via, headers=transaction.credentials, cseq=dialog.local_cseq)
    acknowledgements[response.to.tag or ""] = transmit = Transmit(ack.encode(), flow)
    core.output.append(transmit)
    dialog.local_cseq = max(dialog.local_cseq, transaction.highest_cseq)
    branch = core.branch()
    bye = dialog.request("BYE", via=via(flow, branch), headers=core.user_agent_headers)
    core.transactions.send(now, bye, branch, flow, None)


def build_invite(
    core: Core,
    *,
    flow: Flow,
    branch: str,
    uri: str,
    addresses: HeaderLines,
    call_id: str,
    contact: str,
    extensions: Extensions,
    headers: HeaderLines,
    body: bytes,
    max_forwards: int,
) -> Request:
    """The first INVITE; `addresses` are the From (with our tag) and To lines."""
    lines = [
        ("Via", via(flow, branch)),
        ("Max-Forwards", str(max_forwards)),
        *addresses,
        ("Call-ID", call_id),
        ("CSeq", "1 INVITE"),
        ("Contact", contact),
        *core.capabilities(extensions),
        *extensions.invite_lines,
        *core.user_agent_headers,
        *headers,
    ]
    return Request("INVITE", uri, lines, body)
