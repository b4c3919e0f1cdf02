"""A session that an earlier process of ours left behind, and that goes on here.

Its dialog is confirmed; what the other process was in the middle of is over: requests of ours without a response, 2xx
of ours without an ACK. A far end that waits for the ACK to a 2xx gets one, else it would end the call after 64*T1.
RFC 3261 section 12.2.2 lets CSeq rise by more than one, so that ours are higher than any it sent.
"""

from __future__ import annotations

from typing import NamedTuple

from sip_stack.auth import Credentials
from sip_stack.dialog.core import Core, session_key, via
from sip_stack.dialog.refreshing import Refreshing, RefreshingSnapshot
from sip_stack.dialog.session import Session
from sip_stack.dialog.snapshot import DialogSnapshot
from sip_stack.dialog.usage import SessionState
from sip_stack.extensions import Extensions
from sip_stack.message import NameAddr, Response
from sip_stack.transport import Flow, Transmit


class SessionSnapshot(NamedTuple):
    """What of a confirmed session its dialog does not tell."""

    remote_cseq: int | None
    """The highest that the far end has sent."""
    we_called: bool
    """The Call-ID is ours: we wait longer after a glare."""
    secure: bool
    """The dialog keeps to SIPS URIs."""
    contact_user: str
    """The user part of our Contact."""
    refreshing: RefreshingSnapshot | None
    """Its session timer; None while none runs."""

    @classmethod
    def of(cls, session: Session) -> SessionSnapshot:
        """The session as it is now."""
        return cls(
            None if session.dialog is None else session.dialog.remote_cseq,
            session.we_called,
            session.secure,
            session.contact_user,
            None if session.refreshing is None else session.refreshing.snapshot(),
        )


class RestoredSession(Session):
    """Both sides of it: who called whom matters for a glare alone."""

    __slots__ = ("_first_cseq", "_we_called")

    def __init__(
        self,
        core: Core,
        dialog: DialogSnapshot,
        usage: SessionSnapshot,
        *,
        flow: Flow,
        credentials: Credentials | None,
        extensions: Extensions,
    ) -> None:
        """Raises `RemoteError` for a dialog that nobody can read."""
        restored = dialog.restored()
        restored.remote_cseq = usage.remote_cseq
        super().__init__(
            core,
            call_id=restored.call_id,
            secure=usage.secure,
            flow=flow,
            local_tag=NameAddr.parse(dialog.local).tag or "",
            contact_user=usage.contact_user,
            credentials=credentials,
            owner=None,
        )
        self._we_called = usage.we_called
        self.dialog = restored
        self._first_cseq = restored.local_cseq
        self.remote_tag = restored.remote_tag
        self.state = SessionState.CONFIRMED
        self.use(extensions)
        self.register()

    def resume(self, refreshing: RefreshingSnapshot | None, now: float) -> None:
        """Keep it alive as was agreed, whatever is configured by now."""
        if refreshing is not None:
            self.refreshing = self.refreshing or Refreshing(self, self.extensions.timer)
            self.refreshing.resume(refreshing, now)

    @property
    def we_called(self) -> bool:
        return self._we_called

    def acknowledge_for_another(self, response: Response) -> bool:
        """Send the ACK to a 2xx to a re-INVITE of the process before, each time that it comes (RFC 3261 section
        13.2.2.4); False for what is none. What was agreed on by it, nobody knows here: our next offer says it anew."""
        dialog, cseq = self.dialog, response.cseq
        if (cseq.method, response.status // 100) != ("INVITE", 2) or cseq.number > self._first_cseq:
            return False
        if dialog is None or not self.owns(response.to.tag):
            return False
        self.keep_flow_alive()
        ack = dialog.request(
            "ACK",
            via=via(self.flow, self.core.branch()),
            headers=(*self.core.user_agent_headers, *self._standing_lines()),
            cseq=cseq.number,
        )
        self.core.output.append(Transmit(ack.encode(), self.flow))
        return True


def acknowledge_for_another(core: Core, response: Response) -> bool:
    """Whether a response that no transaction waits for was a 2xx to the re-INVITE of a process before this one."""
    session = core.sessions.get(session_key(response.call_id, response.from_.tag or ""))
    return isinstance(session, RestoredSession) and session.acknowledge_for_another(response)
