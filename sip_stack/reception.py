"""What becomes of each message received: matched, answered, refused, or handed to its session.

RFC 3261 sections 8.2 (what a UAS checks, in that order), 9.2 (CANCEL), 12.2.2 (dialogs), 16.3 (Max-Forwards), 18.2
(where responses go), RFC 3581 (rport). The facade around it is `endpoint.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from sip_stack.dialog import Core, ServerSession, Session
from sip_stack.dialog.core import contact, session_key
from sip_stack.dialog.dialog import TARGET_REFRESH
from sip_stack.dialog.replaces import Replaces, find_replaced
from sip_stack.dialog.restored import acknowledge_for_another
from sip_stack.dialog.uac import release_fork
from sip_stack.errors import RemoteError, TransportError
from sip_stack.events import InviteRefused, OutOfDialogReceived
from sip_stack.gate import SILENCE, Verdict
from sip_stack.locating import behind_connection
from sip_stack.message import (
    MalformedMessage,
    Request,
    Response,
    check_request,
    check_response,
    parse_message,
    reason_phrase,
    response_to,
)
from sip_stack.refusals import Refusal, refusal, without_session
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import ClientTransaction, ServerTransaction
from sip_stack.transaction.key import server_key
from sip_stack.transport import Flow, FlowFor, Tap, Target, Transmit
from sip_stack.waiting_room import WaitingRoom

IN_DIALOG_HEADROOM = 1.25
"""How much of `max_transactions` the requests of calls we have may fill: a full table must still let them end."""


class Reception:
    """The receiving half of an endpoint; owns the `Core` that its sessions share."""

    __slots__ = ("core", "draining", "settings", "tap", "waiting_room")

    def __init__(
        self,
        *,
        token: Callable[[], str],
        settings: EndpointSettings,
        flow_for: FlowFor | None,
        is_connected: Callable[[Flow], bool],
    ) -> None:
        self.settings = settings
        self.draining = False
        self.tap: Tap | None = None
        self.waiting_room: WaitingRoom | None = None
        """Where requests wait for sessions that are being restored; None: nobody waits."""
        self.core = Core(
            token=token, settings=settings, flow_for=flow_for, upcalls=self, is_connected=is_connected
        )

    def receive(self, data: bytes, flow: Flow, now: float, fault: RemoteError | None = None) -> None:
        """Take one message from `flow`. Bad input never raises: it is counted, answered or dropped.

        With `fault` the transport found something wrong with the message: a request is refused for that.
        """
        counters = self.core.counters
        counters.received += 1
        if flow.subjects:
            self.core.gate.certified(flow.remote[0], flow.subjects, now)
        if not self.core.gate.hears(flow.remote[0], now):
            counters.unread += 1
            return
        if not data.strip(b"\r\n\0 "):
            counters.keepalives += 1
            return
        if self.tap is not None:
            self.tap.received(data, flow, now)
        try:
            message = parse_message(data)
        except MalformedMessage as malformed:
            counters.parse_errors += 1
            if malformed.request is not None:
                self._receive_request(malformed.request, flow, now, fault or malformed)
            return
        counters.parse_errors += fault is not None
        if isinstance(message, Request):
            self._receive_request(message, flow, now, fault)
        elif fault is None:
            self._receive_response(message, flow, now)

    # What transactions need (the `Upcalls` protocol)

    def on_acknowledgement(self, request: Request, now: float) -> None:
        """An ACK to a 2xx: its session stops repeating it."""
        session = self.core.sessions.get(session_key(request.call_id, request.to.tag or ""))
        if session is None:
            session = self._session_of_branch(request)
        if session is None or not session.owns(request.from_.tag):
            self.core.counters.strays += 1
        else:
            session.receive_acknowledgement(request, now)

    def _session_of_branch(self, request: Request) -> Session | None:
        """Whose 2xx an ACK is for that has the INVITE's branch and a To tag of its own making, as pyVoIP's has.

        Refusing it would cost the caller the call after 64*T1 (section 13.3.1.4).
        """
        transaction = self.core.transactions.find(server_key(request))
        if transaction is None or transaction.dialog_tag is None:
            return None
        return self.core.sessions.get(session_key(request.call_id, transaction.dialog_tag))

    def on_forked_answer(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A 2xx of another fork."""
        release_fork(self.core, transaction, response, now)

    # Responses

    def _receive_response(self, response: Response, flow: Flow, now: float) -> None:
        try:
            _check(response)
            found = self.core.transactions.receive_response(response, now)
        except RemoteError:
            self.core.counters.unanswerable += 1
            return
        if found or acknowledge_for_another(self.core, response):
            self.core.gate.expect(flow.remote[0])
        else:
            self.core.counters.strays += 1

    # Requests

    def _receive_request(
        self, request: Request, flow: Flow, now: float, malformed: RemoteError | None = None
    ) -> None:
        core = self.core
        transactions = core.transactions
        try:
            request.stamp_source(*flow.remote)
            key = server_key(request)
        except RemoteError as error:
            self._refuse_unidentified(request, flow, now, error)
            return
        transaction = transactions.find(key)
        if request.method == "ACK":
            self._receive_ack(request, transaction, malformed, now)
            return
        if transaction is not None:
            transactions.repeat_request(transaction, now)
            return
        if self.waiting_room is not None and self._is_early(request):
            self.waiting_room.keep(request, flow)
            return
        session = self._session_of(request)
        verdict = self._judge(request, session, flow, now)
        if verdict is SILENCE:
            core.counters.unheard += 1
            return
        try:
            if verdict is None and malformed is not None:
                raise malformed
            if verdict is None:
                check_request(request)
        except RemoteError as error:
            verdict = Refusal.of(error)
            self._tell_refused(request, flow, verdict)
        if verdict is not None:
            self._refuse(request, key, flow, now, verdict)
            return
        if request.method == "CANCEL":
            self._receive_cancel(request, key, flow, now)
        elif session is not None or request.to.tag is not None:
            self._receive_in_dialog(request, session, key, flow, now)
        else:
            self._receive_out_of_dialog(request, key, flow, now)

    def _is_early(self, request: Request) -> bool:
        """True for a request of a dialog that we do not know, and for the CANCEL of an INVITE."""
        try:
            begins = request.to.tag is None and request.method != "CANCEL"
            return not begins and not self._belongs(request, self._session_of(request))
        except RemoteError:
            return False

    def open_waiting_room(self, now: float) -> None:
        """Receive again what has waited, and let nothing wait any more."""
        room, self.waiting_room = self.waiting_room, None
        for request, flow in [] if room is None else room.leave():
            self._receive_request(request, flow, now)

    def _judge(self, request: Request, session: Session | None, flow: Flow, now: float) -> Verdict:
        """What the gate says to a request that begins something new; what belongs to a session is welcome."""
        gate, source = self.core.gate, flow.remote[0]
        if self._belongs(request, session):
            gate.expect(source)
            return None
        return gate.judge(request, source, now)

    def _session_of(self, request: Request) -> Session | None:
        """The session that a request inside a dialog is for, whose both tags it names; None for any other, and for one
        that nobody can read."""
        try:
            local_tag = request.to.tag
            if local_tag is None:
                return None
            session = self.core.sessions.get(session_key(request.call_id, local_tag))
            return session if session is not None and session.owns(request.from_.tag) else None
        except RemoteError:
            return None

    def _belongs(self, request: Request, session: Session | None) -> bool:
        """True inside a session of ours, since whoever names both tags was told them, for what is to replace one, and
        for the CANCEL of an INVITE that we have."""
        try:
            if request.method == "CANCEL":
                return self.core.transactions.find_invite(request) is not None
            if session is not None or request.method != "INVITE" or request.to.tag is not None:
                return session is not None
            replaces = Replaces.of(request)
            return replaces is not None and find_replaced(self.core, replaces) is not None
        except RemoteError:
            return False

    def _receive_ack(
        self,
        request: Request,
        transaction: ServerTransaction | None,
        malformed: RemoteError | None,
        now: float,
    ) -> None:
        """An ACK is never answered (section 17.1): a bad one is only counted."""
        try:
            if malformed is not None:
                raise malformed
            check_request(request)
        except RemoteError:
            self.core.counters.unanswerable += 1
            return
        if transaction is not None:
            self.core.transactions.acknowledge(transaction, request, now)
        else:
            self.on_acknowledgement(request, now)

    def _receive_cancel(self, request: Request, key: str, flow: Flow, now: float) -> None:
        """Section 9.2: 200 to the CANCEL whatever becomes of the INVITE; 481 when there is none."""
        invite = self.core.transactions.find_invite(request)
        if invite is None:
            self._refuse(request, key, flow, now, Refusal(481))
            return
        transaction = self._begin(request, key, flow)
        # The tag of the INVITE's responses (section 9.2): some peers take the last one they saw for the dialog's.
        self.core.respond(now, transaction, 200, to_tag=invite.dialog_tag or self.core.token())
        if invite.user is not None:  # A transaction lets go of its user with the final response.
            invite.user.on_cancel(invite, request, now)

    def _receive_in_dialog(
        self, request: Request, session: Session | None, key: str, flow: Flow, now: float
    ) -> None:
        refused = self._refusal(request, in_dialog=True)
        if refused is None and session is None:
            refused = without_session(request)
        if refused is None and self.full(headroom=IN_DIALOG_HEADROOM):
            self.core.counters.over_limit += 1
            refused = self._overload()
        if refused is not None or session is None:
            self._refuse(request, key, flow, now, refused or Refusal(481))
        elif request.method == "OPTIONS":
            self._answer_options(self._begin(request, key, flow), flow, now)
        else:
            session.receive(self._begin(request, key, flow), request, now)

    def _receive_out_of_dialog(self, request: Request, key: str, flow: Flow, now: float) -> None:
        core = self.core
        refused = self._refusal(request, in_dialog=False)
        if refused is not None:
            self._tell_refused(request, flow, refused)
        elif core.transactions.merged(request):
            refused = Refusal(482, "Request Merged")
        if refused is None and self.draining and request.method != "INVITE":
            # Pings take us out of service by it. Calls are refused by whoever writes down that they were.
            refused = self._overload()
        if refused is None and self.full(invite=request.method == "INVITE"):
            core.counters.over_limit += 1
            refused = self._overload()
        if refused is not None:
            self._refuse(request, key, flow, now, refused)
        elif request.method == "INVITE":
            self._receive_invite(request, key, flow, now)
        elif request.method == "OPTIONS":
            self._answer_options(self._begin(request, key, flow), flow, now)
        else:
            core.events.append(OutOfDialogReceived(self._begin(request, key, flow), request))

    def _refusal(self, request: Request, *, in_dialog: bool) -> Refusal | None:
        try:
            return refusal(request, self.settings, in_dialog=in_dialog)
        except RemoteError as error:
            return Refusal.of(error)

    def _receive_invite(self, request: Request, key: str, flow: Flow, now: float) -> None:
        transaction = self._begin(request, key, flow)
        try:
            session = ServerSession(self.core, transaction, request, flow)
        except RemoteError as error:
            self.core.counters.refused += 1
            self._tell_refused(request, flow, Refusal.of(error))
            self.core.respond(now, transaction, error.status_hint, error.reason, to_tag=self.core.token())
            return
        session.start(now)

    def _answer_options(self, transaction: ServerTransaction, flow: Flow, now: float) -> None:
        """Section 11.2, and a Contact, without which Microsoft Teams marks a trunk as down."""
        headers = [("Contact", contact(flow, "")), ("Accept", ", ".join(self.settings.accept))]
        headers += self.core.capabilities()
        self.core.respond(now, transaction, 200, to_tag=self.core.token(), headers=headers)

    def _begin(self, request: Request, key: str, flow: Flow) -> ServerTransaction:
        fallback = behind_connection(request.via, flow) if flow.reliable else None
        return self.core.transactions.accept(request, key, self._response_flow(request, flow), fallback)

    def _tell_refused(self, request: Request, flow: Flow, refused: Refusal) -> None:
        """Tell the user of a call that will never be."""
        if request.method != "INVITE":
            return
        try:
            begins = request.to.tag is None
        except RemoteError:
            begins = True
        if begins:
            reason = refused.reason or reason_phrase(refused.status)
            self.core.events.append(InviteRefused(request, flow.remote[0], refused.status, reason))

    def _refuse(self, request: Request, key: str, flow: Flow, now: float, refused: Refusal) -> None:
        """Answer by ourselves; without a transaction when that is asked for, or when there are too many already."""
        core = self.core
        core.counters.refused += 1
        if len(core.transactions) < self.settings.max_transactions and not refused.stateless:
            transaction = self._begin(request, key, flow)
            core.respond(
                now, transaction, refused.status, refused.reason, to_tag=core.token(), headers=refused.headers
            )
            return
        self._send_stateless(request, refused, self._response_flow(request, flow))

    def _refuse_unidentified(self, request: Request, flow: Flow, now: float, error: RemoteError) -> None:
        """A request whose Via or identity cannot be read (RFC 4475 section 3.1.2.1) is answered to its source."""
        if request.method == "ACK" or "Via" not in request.headers:
            self.core.counters.unanswerable += 1
        elif self.core.gate.judge(request, flow.remote[0], now) is not None:
            self.core.counters.unheard += 1
        else:
            self.core.counters.refused += 1
            self._send_stateless(request, Refusal.of(error), flow)

    def _send_stateless(self, request: Request, refused: Refusal, flow: Flow) -> None:
        core = self.core
        lines = (*refused.headers, *core.server_headers)
        response = response_to(request, refused.status, refused.reason, to_tag=core.token(), headers=lines)
        core.output.append(Transmit(response.encode(), flow))

    def _response_flow(self, request: Request, flow: Flow) -> Flow:
        """Where responses go (section 18.2.2, RFC 3581 section 4): back to the source, on UDP without `rport`
        to the port that the Via names. `maddr` is not followed: it would let anyone aim our responses at
        anyone."""
        top = request.via
        port = top.port or 5060
        if flow.reliable or port == flow.remote[1] or top.wants_rport or self.core.flow_for is None:
            return flow
        try:
            return self.core.flow_for(Target(flow.transport, flow.remote[0], port), flow)
        except TransportError:
            self.core.counters.no_flow += 1
            return flow

    # Limits

    def full(self, *, invite: bool = False, headroom: float = 1.0) -> bool:
        """True when a limit leaves no room for another request or call."""
        core = self.core
        too_many_sessions = invite and len(core.sessions) >= self.settings.max_sessions
        return too_many_sessions or len(core.transactions) >= self.settings.max_transactions * headroom

    def _overload(self) -> Refusal:
        return Refusal(503, headers=(("Retry-After", str(self.settings.retry_after)),))


def _check(response: Response) -> None:
    """Raise RemoteError for a response that must not be acted on.

    In full only where addresses go into a dialog: checking costs a third of receiving. Of the others nothing is used
    but what names transaction and fork; further headers raise when they are read.
    """
    goes_into_a_dialog = 200 <= response.status < 300 or "RSeq" in response.headers
    if goes_into_a_dialog and response.cseq.method in TARGET_REFRESH:
        check_response(response)
    else:
        _ = response.call_id, response.from_, response.to
