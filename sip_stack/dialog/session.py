"""One INVITE usage after its dialog exists: BYE, re-INVITE and UPDATE of both sides, other requests, ACK.

RFC 3261 sections 12.2, 13.3.1.4, 14 and 15, RFC 3311 (UPDATE), RFC 5057 (what a failure does to the usage).
How a session comes to be is in `uac.py` and `uas.py`. It judges who may speak; it never reads a session
description.

Commands of a session that has ended are ignored: its terminal event may still be on its way to the caller,
and a race with the peer is nobody's error. LocalError is for a wrong order on a live session.
"""

from __future__ import annotations

from enum import StrEnum
from zlib import crc32

from sip_stack.auth import Credentials, DigestClient
from sip_stack.dialog.core import Core, HeaderLines, authorization_of, contact, session_key, via
from sip_stack.dialog.dialog import TARGET_REFRESH, Dialog
from sip_stack.dialog.requests import DialogRequest
from sip_stack.dialog.unacknowledged import UnacknowledgedAnswer
from sip_stack.errors import LocalError
from sip_stack.events import (
    Acknowledged,
    Ended,
    EndedBy,
    ReofferCompleted,
    ReofferReceived,
    RequestCompleted,
    RequestReceived,
    SessionEvent,
)
from sip_stack.message import Request, Response
from sip_stack.transaction import ClientTransaction, ServerTransaction, Timer, TimerOwner
from sip_stack.transport import Flow, Transmit

SDP = "application/sdp"
REOFFER_RETRY = "re-INVITE again"
MAX_UNACKNOWLEDGED = 2
"""2xx of ours waiting for ACK at once; a peer that re-INVITEs on without ACKs gets 500."""


class SessionState(StrEnum):
    """Where an INVITE usage is."""

    EARLY = "early"
    """The INVITE has no final response yet."""
    CONFIRMED = "confirmed"
    ENDING = "ending"
    """Our BYE or CANCEL is on its way, or waits until it may be sent."""
    ENDED = "ended"


class Session:
    """What both sides share. Use `ClientSession` and `ServerSession`."""

    __slots__ = (
        "_bye_headers",
        "_remote_reoffer",
        "_reoffer",
        "_source",
        "_timer",
        "_unacknowledged",
        "call_id",
        "contact_user",
        "core",
        "credentials",
        "dialog",
        "digest",
        "flow",
        "invite",
        "local_tag",
        "owner",
        "remote_tag",
        "state",
    )

    def __init__(
        self,
        core: Core,
        *,
        invite: Request,
        flow: Flow,
        local_tag: str,
        contact_user: str,
        credentials: Credentials | None,
        owner: object | None,
    ) -> None:
        self.core = core
        self.owner = owner
        """Free for the user."""
        self.credentials = credentials
        """What answers challenges to our requests in this session; may be set at any time."""
        self.invite = invite
        """The INVITE: as received, or as last sent."""
        self.call_id = invite.call_id
        self.local_tag = local_tag
        self.remote_tag: str | None = None
        self.contact_user = contact_user
        """The user part of our Contact."""
        self.state = SessionState.EARLY
        self.flow = flow
        """Where the requests of the dialog go."""
        self.dialog: Dialog | None = None
        self.digest: DigestClient | None = None
        self._source = flow
        self._timer: Timer[TimerOwner] | None = None
        self._unacknowledged: dict[int, UnacknowledgedAnswer] = {}
        self._reoffer: DialogRequest | None = None
        self._remote_reoffer: ServerTransaction | None = None
        self._bye_headers: tuple[tuple[str, str], ...] | None = None
        core.sessions[session_key(self.call_id, local_tag)] = self
        core.counters.sessions += 1

    @property
    def remote_contact(self) -> str | None:
        """The URI that requests of the dialog are for; None before the dialog exists."""
        return None if self.dialog is None else self.dialog.remote_target

    # Commands

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
            self._send_bye_when_allowed(now)

    def bye_early(self, now: float, headers: HeaderLines) -> None:
        """`bye` before the final response to the INVITE."""
        raise NotImplementedError

    def reoffer(self, now: float, body: bytes, headers: HeaderLines = (), content_type: str = SDP) -> None:
        """Send a re-INVITE, as soon as no other INVITE is under way; `ReofferCompleted` follows.

        491 is waited out and retried once (section 14.1). Raises LocalError when unanswered or when one is
        pending.
        """
        if self.state in (SessionState.ENDING, SessionState.ENDED):
            return
        if self.state is SessionState.EARLY:
            raise LocalError("re-INVITE needs an answered session")
        if self._reoffer is not None:
            raise LocalError("a re-INVITE is pending")
        self._reoffer = DialogRequest(self, "INVITE", headers, body, content_type)
        self._send_reoffer_when_allowed(now)

    def request(
        self, now: float, method: str, headers: HeaderLines = (), body: bytes = b"", content_type: str = ""
    ) -> None:
        """Send another request; `RequestCompleted` follows. Raises LocalError without a dialog."""
        if self.state in (SessionState.ENDING, SessionState.ENDED):
            return
        if self.dialog is None:
            raise LocalError(f"{method} needs a dialog")
        DialogRequest(self, method, headers, body, content_type).send(now)

    def answer_reoffer(
        self,
        now: float,
        transaction: ServerTransaction,
        body: bytes,
        headers: HeaderLines = (),
        content_type: str = SDP,
    ) -> None:
        """Answer a `ReofferReceived` with 200. Ignored when it got its final response meanwhile."""
        request = transaction.request
        if request is None:
            return
        self._refresh_target(request)
        lines = [("Contact", self.contact), *self.core.capabilities(), *headers]
        data = self.core.respond(now, transaction, 200, headers=lines, body=body, content_type=content_type)
        self._reoffer_settled(transaction)
        if request.method == "INVITE":
            self.await_acknowledgement(transaction, request, data, now)
        self._send_reoffer_when_allowed(now)

    def refuse(
        self,
        now: float,
        transaction: ServerTransaction,
        status: int,
        reason: str | None = None,
        headers: HeaderLines = (),
    ) -> None:
        """Refuse a `ReofferReceived`: the session stays as it was. Ignored when it was answered meanwhile."""
        self.core.respond(now, transaction, status, reason, headers=headers)
        self._reoffer_settled(transaction)
        self._send_reoffer_when_allowed(now)

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
        self.core.respond(
            now, transaction, status, reason, headers=headers, body=body, content_type=content_type
        )

    # Requests of the dialog that we receive

    def owns(self, remote_tag: str | None) -> bool:
        """True when that From tag is our dialog's peer."""
        return self.dialog is not None and self.dialog.remote_tag == remote_tag

    def receive(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A request of the dialog other than ACK and CANCEL."""
        dialog = self.dialog
        if dialog is None or not dialog.accept(request):
            self.core.respond(now, transaction, 500, "CSeq Out of Order")
        elif request.method == "BYE":
            self._receive_bye(transaction, request, now)
        elif self.state is SessionState.ENDING:
            self.core.respond(now, transaction, 481)
        elif request.method == "INVITE":
            self._receive_reinvite(transaction, request, now)
        elif request.method == "UPDATE":
            self._receive_update(transaction, request, now)
        else:
            self.core.events.append(RequestReceived(self, transaction, request))

    def receive_acknowledgement(self, request: Request, now: float) -> None:
        """An ACK to a 2xx of ours; only the first for each 2xx counts."""
        answer = self._unacknowledged.pop(request.cseq.number, None)
        if answer is None:
            self.core.counters.retransmissions_received += 1
            return
        answer.stop()
        if self.state is SessionState.CONFIRMED:
            self.core.events.append(Acknowledged(self, request))
        self._send_bye_when_allowed(now)
        self._send_reoffer_when_allowed(now)

    def on_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A re-INVITE was cancelled before its final response: 487, the session stays as it was."""
        self.core.respond(now, transaction, 487)
        self._reoffer_settled(transaction)
        self._send_reoffer_when_allowed(now)

    def _receive_bye(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        self.core.respond(now, transaction, 200)
        self._close_remote_reoffer(now)
        ours_is_out = self.state is SessionState.ENDING and self._bye_headers is None
        if not ours_is_out:  # Else it is glare: the final response to our BYE tells the end.
            self.finish(Ended(self, "remote", request))

    def _receive_reinvite(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        if self._reoffer_on_the_way() or any(answer.offers for answer in self._unacknowledged.values()):
            self.core.respond(now, transaction, 491)
        elif self._remote_reoffer is not None or len(self._unacknowledged) >= MAX_UNACKNOWLEDGED:
            self.core.respond(now, transaction, 500, headers=[("Retry-After", self._short_delay())])
        else:
            self.core.respond(now, transaction, 100)
            transaction.user = self
            self._remote_reoffer = transaction
            self.core.events.append(ReofferReceived(self, transaction, request))

    def _receive_update(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """RFC 3311 section 5.2: an offer is glare while another is open; without a body it only refreshes."""
        if not request.body:
            self._refresh_target(request)
            self.core.respond(now, transaction, 200, headers=[("Contact", self.contact)])
        elif self._reoffer_on_the_way() or any(answer.offers for answer in self._unacknowledged.values()):
            self.core.respond(now, transaction, 491)
        elif self._remote_reoffer is not None or self.state is SessionState.EARLY:
            self.core.respond(now, transaction, 500, headers=[("Retry-After", self._short_delay())])
        else:
            self._remote_reoffer = transaction
            self.core.events.append(ReofferReceived(self, transaction, request))

    # Requests of ours

    def build(
        self, method: str, branch: str, headers: HeaderLines, body: bytes, content_type: str
    ) -> Request:
        """The next request of the dialog, CSeq raised."""
        if self.dialog is None:
            raise LocalError(f"{method} needs a dialog")
        return self.dialog.request(
            method,
            via=via(self.flow, branch),
            contact=self.contact if method in TARGET_REFRESH else "",
            headers=(*self.core.user_agent_headers, *headers),
            body=body,
            content_type=content_type,
        )

    def completed(
        self, pending: DialogRequest, transaction: ClientTransaction, response: Response | None, now: float
    ) -> None:
        """A request of ours has its final response; None: it will have none."""
        if pending.method == "INVITE":
            self._reoffer_completed(pending, transaction, response, now)
        elif self.state is SessionState.ENDED:
            return
        elif pending.method == "BYE":
            self.finish(Ended(self, "local", response))
        elif self.state is SessionState.CONFIRMED or self.state is SessionState.EARLY:
            if pending.method == "UPDATE" and response is not None and response.status < 300:
                self._refresh_target(response)
            self.core.events.append(RequestCompleted(self, pending.method, response))
            if response is not None and response.status == 481 and self.dialog is not None:
                self._gone(response, now)

    def _reoffer_completed(
        self, pending: DialogRequest, transaction: ClientTransaction, response: Response | None, now: float
    ) -> None:
        if response is not None and response.status < 300 and pending.request is not None:
            self._refresh_target(response)
            self.acknowledge(transaction, pending.request, response)
        if self.state is not SessionState.CONFIRMED:
            return
        if response is not None and response.status == 491 and not pending.retried:
            pending.retried = True
            pending.request = None
            self.start_timer(now, self.glare_delay(), REOFFER_RETRY)
            return
        self._reoffer = None
        self.core.events.append(ReofferCompleted(self, response))
        # Section 12.2.1.2: 481, 408 or silence inside a dialog ends it.
        if response is None or response.status in (408, 481):
            self._gone(response, now)

    def on_timer(self, kind: str, now: float) -> None:
        """A wait of the session is over."""
        if kind == REOFFER_RETRY:
            self._timer = None
            self._send_reoffer_when_allowed(now)

    def start_timer(self, now: float, duration: float, kind: str) -> None:
        """Start the session's timer, in place of the one before: a session waits for one thing at a time."""
        self.stop_timer()
        self._timer = self.core.timers.start(now, duration, self, kind)

    def stop_timer(self) -> None:
        """Stop the session's timer."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def glare_delay(self) -> float:
        """Seconds to wait after a 491; the side that does not own the Call-ID goes first (section 14.1)."""
        return 0.01 * self._draw(200)

    def _draw(self, values: int) -> int:
        """A number below `values`, from the endpoint's source of unguessable text."""
        return crc32(self.core.token().encode()) % values

    def _short_delay(self) -> str:
        return str(self._draw(11))

    def _reoffer_on_the_way(self) -> bool:
        return self._reoffer is not None and self._reoffer.request is not None

    def _reoffer_settled(self, transaction: ServerTransaction) -> None:
        if self._remote_reoffer is transaction:
            self._remote_reoffer = None

    def _close_remote_reoffer(self, now: float) -> None:
        """Section 15.1.2: what is pending when the session ends is answered 487."""
        if self._remote_reoffer is not None:
            self.core.respond(now, self._remote_reoffer, 487)
            self._remote_reoffer = None

    def _send_reoffer_when_allowed(self, now: float) -> None:
        """Section 14.1: no new INVITE while another is under way in either direction."""
        pending = self._reoffer
        if pending is None or pending.request is not None or self.state is not SessionState.CONFIRMED:
            return
        waits_after_glare = self._timer is not None
        if self._remote_reoffer is None and not self._unacknowledged and not waits_after_glare:
            pending.send(now)

    def _send_bye_when_allowed(self, now: float) -> None:
        headers = self._bye_headers
        if headers is None or self._unacknowledged:
            return
        self._bye_headers = None
        DialogRequest(self, "BYE", headers).send(now)

    def _refresh_target(self, message: Request | Response) -> None:
        if self.dialog is not None and self.dialog.refresh_target(message):
            self.choose_flow()

    # What the two sides build on

    @property
    def contact(self) -> str:
        """Our Contact in this dialog."""
        return contact(self.flow, self.contact_user)

    def choose_flow(self) -> None:
        """Find the flow for the dialog's next hop; the flow the session was set up on is the fallback."""
        if self.dialog is not None:
            self.flow = self.core.flow_toward(self.dialog.next_hop, self._source)

    def acknowledge(self, transaction: ClientTransaction, invite: Request, response: Response) -> None:
        """Send the ACK to a 2xx, and leave it with the transaction for the repetitions."""
        dialog = self.dialog
        if dialog is None:
            return
        ack = dialog.request(
            "ACK",
            via=via(self.flow, self.core.branch()),
            headers=(*authorization_of(invite), *self.core.user_agent_headers),
            cseq=invite.cseq.number,
        )
        transmit = Transmit(ack.encode(), self.flow)
        transaction.acknowledgements = {response.to.tag or "": transmit}
        transaction.credentials = authorization_of(invite)
        self.core.output.append(transmit)

    def await_acknowledgement(
        self, transaction: ServerTransaction, invite: Request, data: bytes, now: float
    ) -> None:
        """Repeat a 2xx just sent until its ACK comes."""
        cseq = invite.cseq.number
        self._unacknowledged[cseq] = UnacknowledgedAnswer(
            self, transaction, data, cseq, offers=not invite.body, now=now
        )

    def never_acknowledged(self, answer: UnacknowledgedAnswer, now: float) -> None:
        """64*T1 without an ACK to our 2xx: BYE (section 13.3.1.4)."""
        self._unacknowledged.pop(answer.cseq, None)
        if self.state is SessionState.ENDING:
            self._send_bye_when_allowed(now)
        else:
            self._end_with_bye("no_ack", None, now)

    def _gone(self, response: Response | None, now: float) -> None:
        self._end_with_bye("remote", response, now)

    def _end_with_bye(self, by: EndedBy, response: Response | None, now: float) -> None:
        """End at once and send a BYE nobody waits for."""
        DialogRequest(self, "BYE", ()).send(now)
        self.finish(Ended(self, by, response))

    def finish(self, event: SessionEvent | None) -> None:
        """The session is over: forget it, stop its timers, say so."""
        self.state = SessionState.ENDED
        self.core.sessions.pop(session_key(self.call_id, self.local_tag), None)
        self.stop_timer()
        for answer in self._unacknowledged.values():
            answer.stop()
        self._unacknowledged.clear()
        self._reoffer = None
        self._bye_headers = None
        if event is not None:
            self.core.events.append(event)
