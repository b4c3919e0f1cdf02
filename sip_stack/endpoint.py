"""The SIP endpoint without I/O: octets in, octets and events out, time as an argument.

Every input (`receive`, `handle_timer`, `lost`, a command of the endpoint or of a session) is followed by
draining `transmits()` and `events()` and by reading `next_timer()`. Bad input never raises: it is counted,
answered or dropped.

What is done with what arrives is in `reception.py`, and then with the sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sip_stack.auth import Credentials
from sip_stack.counters import Counters
from sip_stack.dialog import ClientSession, OutOfDialogRequest, Session
from sip_stack.dialog.core import HeaderLines, body_headers, contact, is_secure, session_key, via
from sip_stack.dialog.dialog import Dialog
from sip_stack.dialog.replaces import Replaces, find_replaced
from sip_stack.dialog.restored import AnsweredInvite, RestoredSession, SessionSnapshot
from sip_stack.dialog.session import SDP
from sip_stack.dialog.snapshot import DialogSnapshot, InviteSnapshot, UnansweredSnapshot
from sip_stack.dialog.uac import build_invite
from sip_stack.dialog.unanswered import UnansweredInvite
from sip_stack.errors import LocalError, LossReason
from sip_stack.events import Event
from sip_stack.extensions import NO_EXTENSIONS, Extensions
from sip_stack.gate import Gate
from sip_stack.message import NameAddr, Request
from sip_stack.message.framing import PING
from sip_stack.reception import Reception
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import ServerTransaction
from sip_stack.transaction.key import server_key
from sip_stack.transport import Flow, FlowFor, Loss, Tap, Transmit
from sip_stack.waiting_room import WaitingRoom

DEFAULT_SETTINGS = EndpointSettings()


class Endpoint:
    """One SIP user agent: both sides of every call. Not thread-safe; one event loop owns it."""

    __slots__ = ("_core", "_reception", "next_timer", "receive", "settings", "to_send", "to_tell")

    def __init__(
        self,
        *,
        token: Callable[[], str],
        settings: EndpointSettings = DEFAULT_SETTINGS,
        flow_for: FlowFor | None = None,
        is_connected: Callable[[Flow], bool] = lambda flow: True,
    ) -> None:
        """`token` gives unguessable text for tags, branches and Call-IDs; without `flow_for` the requests of
        a dialog stay on the flow it was set up on. `is_connected`: whether a TCP or TLS flow has its connection."""
        self.settings = settings
        self._reception = Reception(
            token=token, settings=settings, flow_for=flow_for, is_connected=is_connected
        )
        self._core = self._reception.core
        self.receive = self._reception.receive
        """Take one message: its octets, the flow it came over, the time. See `Reception.receive`."""
        self.next_timer: Callable[[], float | None] = self._core.timers.next_due
        """When `handle_timer` is to be called at the latest; None: no need."""
        self.to_send: Sequence[Transmit] = self._core.output
        """What waits for `transmits`; only to be looked at, as is `to_tell`."""
        self.to_tell: Sequence[Event] = self._core.events
        """What waits for `events`."""

    @property
    def gate(self) -> Gate:
        """Decides whom we listen to. To be set; everybody is heard at first."""
        return self._core.gate

    @gate.setter
    def gate(self, gate: Gate) -> None:
        self._core.gate = gate

    @property
    def draining(self) -> bool:
        """True: OPTIONS and what else is outside of calls is answered 503; INVITEs are the user's. To be set."""
        return self._reception.draining

    @draining.setter
    def draining(self, draining: bool) -> None:
        self._reception.draining = draining

    @property
    def tap(self) -> Tap | None:
        """Hears of what is received; what is sent is told by whoever sends it. To be set."""
        return self._reception.tap

    @tap.setter
    def tap(self, tap: Tap | None) -> None:
        self._reception.tap = tap

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

    def find_replaced(self, replaces: Replaces) -> Session:
        """The session of a dialog that somebody wants replaced. RemoteError (481, 486, 603) when it cannot be."""
        return find_replaced(self._core, replaces)

    # Outputs

    def transmits(self) -> list[Transmit]:
        """What to send now, in order."""
        output = self._core.output
        drained = output[:]
        output.clear()
        return drained

    def events(self) -> list[Event]:
        """What happened, in order."""
        events = self._core.events
        drained = events[:]
        events.clear()
        return drained

    # Inputs

    def handle_timer(self, now: float) -> None:
        """Let everything happen that is due."""
        timers = self._core.timers
        while (due := timers.pop_due(now)) is not None:
            owner, kind = due
            owner.on_timer(kind, now)

    def lost(self, flow: Flow, now: float, detail: str, reason: LossReason = "transport") -> None:
        """Sending over `flow` failed or its connection is over: requests that have no response yet fail with
        `reason`; `detail` is for people."""
        self._core.counters.lost_flows += 1
        self._core.transactions.lost(flow, now, Loss(reason, detail))

    def needs(self, flow: Flow) -> bool:
        """True while a session or a request of ours lives on the connection of `flow`."""
        return flow in self._core.held or self._core.transactions.waits_on(flow)

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
        credentials: Credentials | None = None,
        max_forwards: int = 70,
        owner: object | None = None,
        extensions: Extensions = NO_EXTENSIONS,
    ) -> ClientSession:
        """Start a call; `from_` gets our tag. Raises LocalError when a limit is reached."""
        core = self._core
        self._check_limits()
        core.gate.expect(flow.remote[0])
        local_tag, branch, secure = core.token(), core.branch(), uri[:5].lower() == "sips:"
        call_id = core.token()
        invite = build_invite(
            core,
            flow=flow,
            branch=branch,
            uri=uri,
            addresses=[("From", str(from_.with_tag(local_tag))), ("To", str(to))],
            call_id=call_id,
            contact=contact(flow, contact_user, secure=secure),
            extensions=extensions,
            headers=(*headers, *body_headers(body, SDP)),
            body=body,
            max_forwards=max_forwards,
        )
        session = ClientSession(
            core,
            invite=invite,
            call_id=call_id,
            secure=secure,
            flow=flow,
            local_tag=local_tag,
            contact_user=contact_user,
            credentials=credentials,
            owner=owner,
            extensions=extensions,
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
        cseq: int = 1,
        contacts: Iterable[str] | None = None,
        owner: object | None = None,
    ) -> OutOfDialogRequest:
        """Send a request outside any dialog; `OutOfDialogCompleted` follows. Raises LocalError for INVITE,
        ACK, CANCEL.

        REGISTERs of one kind have the same `call_id`, rising `cseq` (a challenge takes one more) and `contacts` in
        place of our usual one (RFC 3261 section 10.2)."""
        if method in ("INVITE", "ACK", "CANCEL", "BYE"):
            raise LocalError(f"{method} is not sent outside a dialog")
        self._check_limits()
        core = self._core
        core.gate.expect(flow.remote[0])
        branch = core.branch()
        lines = [
            ("Via", via(flow, branch)),
            ("Max-Forwards", "70"),
            ("From", str(from_.with_tag(core.token()))),
            ("To", str(to)),
            ("Call-ID", call_id or core.token()),
            ("CSeq", f"{cseq} {method}"),
            *(("Contact", each) for each in ((contact(flow, ""),) if contacts is None else contacts)),
            *core.user_agent_headers,
            *headers,
            *body_headers(body, content_type),
        ]
        pending = OutOfDialogRequest(core, Request(method, uri, lines, body), flow, credentials, owner)
        pending.send(now, branch)
        return pending

    def farewell(
        self,
        now: float,
        *,
        flow: Flow,
        dialog: Dialog,
        headers: HeaderLines = (),
        credentials: Credentials | None = None,
        owner: object | None = None,
    ) -> OutOfDialogRequest:
        """Send BYE in a dialog that an earlier process of ours left behind; `OutOfDialogCompleted` follows.

        No session is made of it: what the far end may still send is answered 481. Raises LocalError at a limit."""
        self._check_limits()
        core = self._core
        core.gate.expect(flow.remote[0])
        branch = core.branch()
        bye = dialog.request("BYE", via=via(flow, branch), headers=(*core.user_agent_headers, *headers))
        pending = OutOfDialogRequest(core, bye, flow, credentials, owner)
        pending.send(now, branch)
        return pending

    def take_back(
        self,
        now: float,
        *,
        flow: Flow,
        invite: InviteSnapshot,
        headers: HeaderLines = (),
        credentials: Credentials | None = None,
    ) -> ClientSession:
        """Cancel an INVITE that an earlier process of ours has sent; `Ended` follows. A 2xx that crosses is
        acknowledged and hung up. Raises `SipError` for one that nobody can read, `LocalError` at a limit."""
        self._check_limits()
        core, restored = self._core, invite.restored()
        restored.via, restored.cseq  # noqa: B018  # Before there is a session that would be left over.
        core.gate.expect(flow.remote[0])
        session = ClientSession(
            core,
            invite=restored,
            call_id=restored.call_id,
            secure=is_secure(restored),
            flow=flow,
            local_tag=restored.from_.tag or "",
            contact_user="",
            credentials=credentials,
            owner=None,
            extensions=NO_EXTENSIONS,
        )
        session.take_back(now, headers)
        return session

    def take_up(self, *, flow: Flow, left: UnansweredSnapshot) -> UnansweredInvite:
        """Take up an INVITE that an earlier process of ours received, and whose sender may have no final response, to
        refuse it; its responses go over `flow`. Raises `SipError` for one that nobody can read, `LocalError` when it is
        there already: it came again before, and is served."""
        self._check_unserved(left.invite.restored())
        self._core.gate.expect(flow.remote[0])
        return UnansweredInvite(self._core, left, flow)

    def _check_unserved(self, invite: Request) -> None:
        if self._core.transactions.find(server_key(invite)) is not None:
            raise LocalError("the INVITE is served already")

    def restore(
        self,
        now: float,
        *,
        flow: Flow,
        dialog: DialogSnapshot,
        session: SessionSnapshot,
        credentials: Credentials | None = None,
        extensions: Extensions = NO_EXTENSIONS,
        unanswered: tuple[UnansweredSnapshot, Flow] | None = None,
    ) -> RestoredSession:
        """Go on with an answered session that an earlier process of ours left behind; `flow` leads to its far end.

        `unanswered`: its INVITE, whose sender may not have our 2xx in `session`, and where that goes: it is repeated
        until its ACK. A refresh that may be due goes out at once. Raises `RemoteError` for what nobody can read, and
        `LocalError` when it is there already or a limit is reached."""
        self._check_limits()
        core = self._core
        answered = None if unanswered is None else AnsweredInvite.read(*unanswered, session)
        if answered is not None:
            self._check_unserved(answered.request)
        if session_key(dialog.call_id, NameAddr.parse(dialog.local).tag or "") in core.sessions:
            raise LocalError("the session is there already")
        restored = RestoredSession(
            core,
            dialog,
            session,
            flow=flow,
            credentials=credentials,
            extensions=extensions,
        )
        core.gate.expect(flow.remote[0])
        if answered is not None:
            restored.answer_again(now, answered)
        restored.resume(session.refreshing, now)
        return restored

    def await_sessions(self) -> None:
        """Let requests for dialogs that are not known wait, and CANCELs of such INVITEs: they may be restored in a
        moment. Until `sessions_restored` is said."""
        self._reception.waiting_room = WaitingRoom()

    def sessions_restored(self, now: float) -> None:
        """Whatever can be restored is: what waited for it is dealt with, and nothing waits any more."""
        self._reception.open_waiting_room(now)

    def keep_alive(self, flow: Flow) -> bool:
        """Send what keeps a NAT's binding or a connection alive (RFC 5626 section 4.4.1); False, and nothing is sent,
        when the connection of `flow` is gone."""
        if not self._core.is_connected(flow):
            return False
        self._core.output.append(Transmit(PING, flow))
        return True

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

    def _check_limits(self) -> None:
        if self._reception.full(invite=True):
            self._core.counters.over_limit += 1
            raise LocalError("too many transactions or sessions")
