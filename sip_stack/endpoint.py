"""The SIP endpoint without I/O: octets in, octets and events out, time as an argument.

Every input (`receive`, `handle_timer`, `lost`, a command of the endpoint or of a session) is followed by
draining `transmits()` and `events()` and by reading `next_timer()`. Bad input never raises: it is counted,
answered or dropped.

RFC 3261 sections 8.2 (what a UAS checks, in that order), 9.2, 12.2.2, 16.3 (Max-Forwards), 18.2, RFC 3581.
"""

from __future__ import annotations

from collections.abc import Callable

from sip_stack.auth import Credentials
from sip_stack.counters import Counters
from sip_stack.dialog import ClientSession, Core, FlowFor, OutOfDialogRequest, ServerSession
from sip_stack.dialog.core import HeaderLines, body_headers, contact, session_key, via
from sip_stack.dialog.dialog import TARGET_REFRESH
from sip_stack.dialog.uac import build_invite, release_fork
from sip_stack.errors import LocalError, RemoteError, TransportError
from sip_stack.events import Event, OutOfDialogReceived
from sip_stack.message import (
    MalformedMessage,
    NameAddr,
    Request,
    Response,
    check_request,
    check_response,
    parse_message,
    response_to,
)
from sip_stack.refusals import Refusal, refusal
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import ClientTransaction, ServerTransaction
from sip_stack.transaction.key import server_key
from sip_stack.transaction.tables import State
from sip_stack.transport import Flow, Target, Transmit

DEFAULT_SETTINGS = EndpointSettings()


class Endpoint:
    """One SIP user agent: both sides of every call. Not thread-safe; one event loop owns it."""

    __slots__ = ("_core", "admits", "draining", "settings")

    def __init__(
        self,
        *,
        token: Callable[[], str],
        settings: EndpointSettings = DEFAULT_SETTINGS,
        flow_for: FlowFor | None = None,
    ) -> None:
        """`token` gives unguessable text for tags, branches and Call-IDs; without `flow_for` the requests of
        a dialog stay on the flow it was set up on."""
        self.settings = settings
        self.admits: Callable[[str], bool] = lambda source: True
        """Whether requests from an IP address are heard at all, unless they belong to a session we have; the others
        get no answer, not even to what is malformed."""
        self.draining = False
        """True: new INVITEs and OPTIONS are answered 503; what is under way goes on."""
        self._core = Core(token=token, settings=settings, flow_for=flow_for, upcalls=self)

    @property
    def counters(self) -> Counters:
        """What happened since the start."""
        return self._core.counters

    @property
    def transaction_count(self) -> int:
        """Transactions held, lingering ones included."""
        return len(self._core.transactions)

    @property
    def session_count(self) -> int:
        """INVITE sessions held."""
        return len(self._core.sessions)

    # Outputs

    def transmits(self) -> list[Transmit]:
        """What to send now, in order."""
        output = self._core.output
        if not output:
            return []
        drained = output[:]
        output.clear()
        return drained

    def events(self) -> list[Event]:
        """What happened, in order."""
        events = self._core.events
        if not events:
            return []
        drained = events[:]
        events.clear()
        return drained

    def next_timer(self) -> float | None:
        """When `handle_timer` is to be called at the latest; None: no need."""
        return self._core.timers.next_due()

    # Inputs

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one message from `flow`."""
        counters = self._core.counters
        counters.received += 1
        if not data.strip(b"\r\n\0 "):
            counters.keepalives += 1
            return
        try:
            message = parse_message(data)
        except MalformedMessage as malformed:
            counters.parse_errors += 1
            if malformed.request is not None:
                self._receive_request(malformed.request, flow, now, malformed)
            return
        if isinstance(message, Request):
            self._receive_request(message, flow, now)
        else:
            self._receive_response(message, now)

    def handle_timer(self, now: float) -> None:
        """Let everything happen that is due."""
        timers = self._core.timers
        while (due := timers.pop_due(now)) is not None:
            owner, kind = due
            owner.on_timer(kind, now)

    def lost(self, flow: Flow, now: float, reason: str) -> None:
        """Sending over `flow` failed: requests that wait for a response on it fail with "transport"."""
        self._core.counters.lost_flows += 1
        self._core.transactions.lost(flow, now)

    # Commands

    def invite(
        self,
        now: float,
        *,
        flow: Flow,
        uri: str,
        from_: NameAddr,
        to: NameAddr,
        contact_user: str = "",
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str = "application/sdp",
        credentials: Credentials | None = None,
        max_forwards: int = 70,
        call_id: str | None = None,
        owner: object | None = None,
    ) -> ClientSession:
        """Start a call; `from_` gets our tag. Raises LocalError when a limit is reached."""
        core = self._core
        self._check_limits()
        local_tag, branch = core.token(), core.branch()
        invite = build_invite(
            core,
            flow=flow,
            branch=branch,
            uri=uri,
            addresses=[("From", str(from_.with_tag(local_tag))), ("To", str(to))],
            call_id=call_id or core.token(),
            contact=contact(flow, contact_user),
            headers=(*headers, *body_headers(body, content_type)),
            body=body,
            max_forwards=max_forwards,
        )
        session = ClientSession(
            core,
            invite=invite,
            flow=flow,
            local_tag=local_tag,
            contact_user=contact_user,
            credentials=credentials,
            owner=owner,
        )
        session.start(now, branch)
        return session

    def request(
        self,
        now: float,
        *,
        flow: Flow,
        method: str,
        uri: str,
        from_: NameAddr,
        to: NameAddr,
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str = "",
        credentials: Credentials | None = None,
        call_id: str | None = None,
        owner: object | None = None,
    ) -> OutOfDialogRequest:
        """Send a request outside any dialog; `OutOfDialogCompleted` follows. Raises LocalError for INVITE,
        ACK, CANCEL."""
        if method in ("INVITE", "ACK", "CANCEL", "BYE"):
            raise LocalError(f"{method} is not sent outside a dialog")
        self._check_limits()
        core = self._core
        branch = core.branch()
        lines = [
            ("Via", via(flow, branch)),
            ("Max-Forwards", "70"),
            ("From", str(from_.with_tag(core.token()))),
            ("To", str(to)),
            ("Call-ID", call_id or core.token()),
            ("CSeq", f"1 {method}"),
            ("Contact", contact(flow, "")),
            *core.user_agent_headers,
            *headers,
            *body_headers(body, content_type),
        ]
        pending = OutOfDialogRequest(core, Request(method, uri, lines, body), flow, credentials, owner)
        pending.send(now, branch)
        return pending

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
        """Answer an `OutOfDialogReceived`. Ignored when it was answered meanwhile."""
        self._core.respond(
            now,
            transaction,
            status,
            reason,
            to_tag=self._core.token() if status > 100 else None,
            headers=headers,
            body=body,
            content_type=content_type,
        )

    # What transactions need (the `Upcalls` protocol)

    def on_acknowledgement(self, request: Request, now: float) -> None:
        """An ACK to a 2xx: its session stops repeating it."""
        session = self._core.sessions.get(session_key(request.call_id, request.to.tag or ""))
        if session is None or not session.owns(request.from_.tag):
            self._core.counters.strays += 1
        else:
            session.receive_acknowledgement(request, now)

    def on_forked_answer(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A 2xx of another fork."""
        release_fork(self._core, transaction, response, now)

    # Responses

    def _receive_response(self, response: Response, now: float) -> None:
        counters = self._core.counters
        try:
            _check(response)
            found = self._core.transactions.receive_response(response, now)
        except RemoteError:
            counters.unanswerable += 1
            return
        if not found:
            counters.strays += 1

    # Requests

    def _receive_request(
        self, request: Request, flow: Flow, now: float, malformed: RemoteError | None = None
    ) -> None:
        core = self._core
        transactions = core.transactions
        try:
            request.stamp_source(*flow.remote)
            key = server_key(request)
        except RemoteError:
            core.counters.unanswerable += 1
            return
        transaction = transactions.find(key)
        if request.method == "ACK":
            self._receive_ack(request, transaction, malformed, now)
            return
        if transaction is not None:
            transactions.repeat_request(transaction, now)
            return
        if not self.admits(flow.remote[0]) and not self._belongs(request):
            core.counters.unheard += 1
            return
        try:
            if malformed is not None:
                raise malformed
            check_request(request)
        except RemoteError as error:
            self._refuse(request, key, flow, now, Refusal(error.status_hint, error.reason, error.headers))
            return
        if request.method == "CANCEL":
            self._receive_cancel(request, key, flow, now)
        elif request.to.tag is not None:
            self._receive_in_dialog(request, key, flow, now)
        else:
            self._receive_out_of_dialog(request, key, flow, now)

    def _belongs(self, request: Request) -> bool:
        """True for a request inside a session of ours; whoever names both tags was told them."""
        try:
            session = self._core.sessions.get(session_key(request.call_id, request.to.tag or ""))
            return session is not None and session.owns(request.from_.tag)
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
            self._core.counters.unanswerable += 1
            return
        if transaction is not None:
            self._core.transactions.acknowledge(transaction, request, now)
        else:
            self.on_acknowledgement(request, now)

    def _receive_cancel(self, request: Request, key: str, flow: Flow, now: float) -> None:
        """Section 9.2: 200 to the CANCEL whatever becomes of the INVITE; 481 when there is none."""
        invite = self._core.transactions.find_invite(request)
        if invite is None:
            self._refuse(request, key, flow, now, Refusal(481))
            return
        transaction = self._begin(request, key, flow)
        # The user's tag is on the INVITE's responses, but a CANCEL never makes a dialog: any tag will do.
        self._core.respond(now, transaction, 200, to_tag=self._core.token())
        if invite.state is State.PROCEEDING and invite.user is not None:
            invite.user.on_cancel(invite, request, now)

    def _receive_in_dialog(self, request: Request, key: str, flow: Flow, now: float) -> None:
        session = self._core.sessions.get(session_key(request.call_id, request.to.tag or ""))
        refused = self._refusal(request, in_dialog=True)
        if refused is None and (session is None or not session.owns(request.from_.tag)):
            refused = Refusal(481)
        if refused is not None or session is None:
            self._refuse(request, key, flow, now, refused or Refusal(481))
        elif request.method == "OPTIONS":
            self._answer_options(self._begin(request, key, flow), flow, now)
        else:
            session.receive(self._begin(request, key, flow), request, now)

    def _receive_out_of_dialog(self, request: Request, key: str, flow: Flow, now: float) -> None:
        core = self._core
        refused = self._refusal(request, in_dialog=False)
        if refused is None and core.transactions.merged(request):
            refused = Refusal(482, "Request Merged")
        if refused is None and (self.draining or self._full(request.method == "INVITE")):
            core.counters.over_limit += not self.draining
            refused = Refusal(503, headers=(("Retry-After", str(self.settings.retry_after)),))
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
            return Refusal(error.status_hint, error.reason, error.headers)

    def _receive_invite(self, request: Request, key: str, flow: Flow, now: float) -> None:
        transaction = self._begin(request, key, flow)
        try:
            session = ServerSession(self._core, transaction, request, flow)
        except RemoteError as error:
            self._core.counters.refused += 1
            self._core.respond(now, transaction, error.status_hint, error.reason, to_tag=self._core.token())
            return
        session.start(now)

    def _answer_options(self, transaction: ServerTransaction, flow: Flow, now: float) -> None:
        """Section 11.2, and a Contact, without which Microsoft Teams marks a trunk as down."""
        headers = [("Contact", contact(flow, "")), ("Accept", ", ".join(self.settings.accept))]
        headers += self._core.capabilities()
        self._core.respond(now, transaction, 200, to_tag=self._core.token(), headers=headers)

    def _begin(self, request: Request, key: str, flow: Flow) -> ServerTransaction:
        return self._core.transactions.accept(request, key, self._response_flow(request, flow))

    def _refuse(self, request: Request, key: str, flow: Flow, now: float, refused: Refusal) -> None:
        """Answer by ourselves; without a transaction when there are too many already."""
        core = self._core
        core.counters.refused += 1
        if len(core.transactions) < self.settings.max_transactions:
            transaction = self._begin(request, key, flow)
            core.respond(
                now, transaction, refused.status, refused.reason, to_tag=core.token(), headers=refused.headers
            )
            return
        lines = (*refused.headers, *core.server_headers)
        response = response_to(request, refused.status, refused.reason, to_tag=core.token(), headers=lines)
        core.output.append(Transmit(response.encode(), self._response_flow(request, flow)))

    def _response_flow(self, request: Request, flow: Flow) -> Flow:
        """Where responses go (section 18.2.2, RFC 3581 section 4): back to the source, on UDP without `rport`
        to the port that the Via names. `maddr` is not followed: it would let anyone aim our responses at
        anyone."""
        top = request.via
        port = top.port or 5060
        if flow.reliable or top.wants_rport or port == flow.remote[1] or self._core.flow_for is None:
            return flow
        try:
            return self._core.flow_for(Target(flow.transport, flow.remote[0], port), flow)
        except TransportError:
            self._core.counters.no_flow += 1
            return flow

    # Limits

    def _full(self, invite: bool) -> bool:
        core = self._core
        too_many_sessions = invite and len(core.sessions) >= self.settings.max_sessions
        return too_many_sessions or len(core.transactions) >= self.settings.max_transactions

    def _check_limits(self) -> None:
        if self._full(invite=True):
            self._core.counters.over_limit += 1
            raise LocalError("too many transactions or sessions")


def _check(response: Response) -> None:
    """Raise RemoteError for a response that must not be acted on.

    In full only where addresses go into a dialog: checking costs a third of receiving. Of the others nothing is used
    but what names transaction and fork; further headers raise when they are read.
    """
    if 200 <= response.status < 300 and response.cseq.method in TARGET_REFRESH:
        check_response(response)
    else:
        _ = response.call_id, response.from_, response.to
