"""What an INVITE usage holds, and the tools both its sides and all its phases use.

RFC 3261 sections 12.2.1 (requests), 13.2.2.4 (ACK to a 2xx). Which request may be sent when is decided in `session.py`,
`uac.py` and `uas.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING
from zlib import crc32

from sip_stack.auth import Credentials, DigestClient
from sip_stack.dialog.core import Core, HeaderLines, authorization_of, contact, via
from sip_stack.dialog.dialog import TARGET_REFRESH, Dialog
from sip_stack.errors import LocalError
from sip_stack.extensions import NO_EXTENSIONS
from sip_stack.message import Request, Response
from sip_stack.transaction import ClientTransaction, ServerTransaction, Timer, TimerOwner
from sip_stack.transport import Flow, Transmit

if TYPE_CHECKING:
    from sip_stack.dialog.refreshing import Refreshing
    from sip_stack.dialog.requests import DialogRequest
    from sip_stack.dialog.unacknowledged import UnacknowledgedAnswer


class SessionState(StrEnum):
    """Where an INVITE usage is."""

    EARLY = "early"
    """The INVITE has no final response yet."""
    CONFIRMED = "confirmed"
    ENDING = "ending"
    """Our BYE or CANCEL is on its way, or waits until it may be sent."""
    ENDED = "ended"


class InviteUsage:
    """One INVITE and the dialog it makes."""

    __slots__ = (
        "_bye_headers",
        "_timer",
        "call_id",
        "contact_user",
        "core",
        "credentials",
        "dialog",
        "digest",
        "extensions",
        "flow",
        "local_tag",
        "own_reoffer",
        "owner",
        "refreshing",
        "remote_reoffer",
        "remote_tag",
        "secure",
        "session_id",
        "source",
        "state",
        "unacknowledged",
    )

    def __init__(
        self,
        core: Core,
        *,
        call_id: str,
        secure: bool,
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
        """What answers challenges to our requests in this session; may be set at any time before one."""
        self.call_id = call_id
        self.secure = secure
        """The dialog keeps to SIPS URIs."""
        self.local_tag = local_tag
        self.remote_tag: str | None = None
        self.session_id = ""
        """What our messages say in Session-ID (RFC 7989); empty for nothing. May be set at any time."""
        self.contact_user = contact_user
        """The user part of our Contact."""
        self.state = SessionState.EARLY
        self.flow = flow
        """Where the requests of the dialog go."""
        self.dialog: Dialog | None = None
        self.digest: DigestClient | None = None
        self.source = flow
        """Where the session began: for a call we received, where its INVITE came from, whatever its Contact says."""
        self.extensions = NO_EXTENSIONS
        """What may be used beyond RFC 3261; `use` sets it."""
        self.refreshing: Refreshing | None = None
        """What keeps it alive; None where session timers are disabled."""
        self._timer: Timer[TimerOwner] | None = None
        self.unacknowledged: dict[int, UnacknowledgedAnswer] = {}
        """2xx of ours that wait for their ACK, by CSeq."""
        self.own_reoffer: DialogRequest | None = None
        """Our re-INVITE, on its way or waiting for its turn."""
        self.remote_reoffer: ServerTransaction | None = None
        """Theirs, or an UPDATE with an offer, until it is answered."""
        self._bye_headers: tuple[tuple[str, str], ...] | None = None
        core.hold(flow)

    @property
    def remote_contact(self) -> str | None:
        """The URI that requests of the dialog are for; None before the dialog exists."""
        return None if self.dialog is None else self.dialog.remote_target

    @property
    def contact(self) -> str:
        """Our Contact in this dialog."""
        return contact(self.flow, self.contact_user, secure=self.secure)

    def choose_flow(self) -> None:
        """Find the flow for the dialog's next hop; the flow the session was set up on is the fallback."""
        if self.dialog is not None:
            self.core.release(self.flow)
            self.flow = self.core.flow_toward(self.dialog.next_hop, self.source)
            self.core.hold(self.flow)

    def keep_flow_alive(self) -> None:
        """Before a request is sent: choose the flow anew when the connection that it was is gone."""
        if self.flow.reliable and not self.core.is_connected(self.flow):
            self.choose_flow()

    def acknowledge(self, transaction: ClientTransaction, invite: Request, response: Response) -> None:
        """Send the ACK to a 2xx, and leave it with the transaction for the repetitions."""
        dialog = self.dialog
        if dialog is None:
            return
        self.keep_flow_alive()
        credentials = transaction.credentials = authorization_of(invite)
        ack = dialog.request(
            "ACK",
            via=via(self.flow, self.core.branch()),
            headers=(*credentials, *self.core.user_agent_headers, *self._standing_lines()),
            cseq=invite.cseq.number,
        )
        transmit = Transmit(ack.encode(), self.flow)
        transaction.acknowledgements = {response.to.tag or "": transmit}
        self.core.output.append(transmit)

    def build(
        self,
        method: str,
        branch: str,
        headers: HeaderLines,
        body: bytes,
        content_type: str,
        flow: Flow,
        early: Dialog | None = None,
    ) -> Request:
        """The next request of the dialog, or of an `early` one, CSeq raised; it goes over `flow`."""
        dialog = early or self.dialog
        if dialog is None:
            raise LocalError(f"{method} needs a dialog")
        if self.refreshing is not None and method in ("INVITE", "UPDATE"):
            headers = (*self.refreshing.timer.request_lines(), *headers)
        return dialog.request(
            method,
            via=via(flow, branch),
            contact=self.contact if method in TARGET_REFRESH else "",
            headers=(*self.core.user_agent_headers, *self._standing_lines(), *headers),
            body=body,
            content_type=content_type,
        )

    def reply(
        self,
        now: float,
        transaction: ServerTransaction,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> bytes:
        """Answer a request of this session; returns the octets. Ignored, with empty octets, when that was done."""
        if self.session_id:
            headers = (("Session-ID", self.session_id), *headers)
        return self.core.respond(
            now,
            transaction,
            status,
            reason,
            to_tag=to_tag,
            headers=headers,
            body=body,
            content_type=content_type,
        )

    def _standing_lines(self) -> HeaderLines:
        """What all our messages of this session say."""
        return (("Session-ID", self.session_id),) if self.session_id else ()

    def refresh_target(self, message: Request | Response) -> None:
        """Take over the Contact of a target refresh request or of its 2xx."""
        if self.dialog is not None and self.dialog.refresh_target(message):
            self.choose_flow()

    def on_timer(self, kind: str, now: float) -> None:
        """The usage's timer is over."""
        raise NotImplementedError

    @property
    def waiting(self) -> bool:
        """True while the usage's timer runs."""
        return self._timer is not None

    def start_timer(self, now: float, duration: float, kind: str) -> None:
        """Start the session's timer, in place of the one before: a session waits for one thing at a time."""
        self.stop_timer()
        self._timer = self.core.timers.start(now, duration, self, kind)

    def stop_timer(self) -> None:
        """Stop the session's timer."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def draw(self, values: int) -> int:
        """A number below `values`, from the endpoint's source of unguessable text."""
        return crc32(self.core.token().encode()) % values
