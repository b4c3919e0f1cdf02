"""A session that an earlier process of ours left behind, and that goes on here.

Its dialog is confirmed; what the other process was in the middle of is over: requests of ours without a response, 2xx
of ours to a re-INVITE without an ACK. The 2xx to the INVITE goes on being repeated. A far end that waits for the ACK to
a 2xx gets one, else it would end the call after 64*T1.
RFC 3261 section 12.2.2 lets CSeq rise by more than one, so that ours are higher than any it sent.
"""

from __future__ import annotations

from typing import NamedTuple

from sip_stack.auth import Credentials
from sip_stack.dialog.answering import AnsweringSession
from sip_stack.dialog.core import Core, session_key, via
from sip_stack.dialog.refreshing import Refreshing, RefreshingSnapshot
from sip_stack.dialog.session import Session
from sip_stack.dialog.snapshot import DialogSnapshot, UnansweredSnapshot
from sip_stack.dialog.unacknowledged import UnacknowledgedAnswer
from sip_stack.dialog.usage import SessionState
from sip_stack.errors import RemoteError
from sip_stack.extensions import Extensions
from sip_stack.message import NameAddr, Request, Response, parse_message
from sip_stack.transaction.key import server_key
from sip_stack.transport import Flow, Target, Transmit


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
    answer: str
    """Our 2xx to the INVITE where it has no ACK, its octets as Latin-1; else empty."""
    offers: bool
    """It holds the offer: the answer comes in the ACK."""

    @classmethod
    def of(cls, session: Session) -> SessionSnapshot:
        """The session as it is now."""
        answer = session.unacknowledged_answer if isinstance(session, AnsweringSession) else None
        return cls(
            None if session.dialog is None else session.dialog.remote_cseq,
            session.we_called,
            session.secure,
            session.contact_user,
            None if session.refreshing is None else session.refreshing.snapshot(),
            "" if answer is None else answer.data.decode("latin-1"),
            answer is not None and answer.offers,
        )


class AnsweredInvite(NamedTuple):
    """An INVITE whose sender may not have our 2xx."""

    left: UnansweredSnapshot
    request: Request
    answer: Response
    flow: Flow
    """Over which that goes."""
    offers: bool
    """It holds the offer."""

    @classmethod
    def read(cls, left: UnansweredSnapshot, flow: Flow, session: SessionSnapshot) -> AnsweredInvite | None:
        """None where it was acknowledged. Raises `RemoteError` for what nobody can read."""
        if not session.answer:
            return None
        request, response = left.invite.restored(), parse_message(session.answer.encode("latin-1"))
        request.from_, request.to, request.cseq  # noqa: B018  # Before there is a session that would be left over.
        if not isinstance(response, Response):
            raise RemoteError(400, "Not a response")
        return cls(left, request, response, flow, session.offers)


class RestoredSession(AnsweringSession):
    """Both sides of it: who called whom matters for a glare, and for what an INVITE of theirs has been answered."""

    __slots__ = ("_answered", "_first_cseq", "_we_called")

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
        self._held_requests = []
        self._answered: AnsweredInvite | None = None
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
            self.refreshing.resume(refreshing, now, at_once=self._answered is None)

    def answer_again(self, now: float, answered: AnsweredInvite) -> None:
        """Repeat our 2xx to the INVITE until its ACK comes, or send BYE after 64*T1 (RFC 3261 section 13.3.1.4).

        Who has acknowledged it to the process before does so again (section 13.2.2.4)."""
        self._answered = answered
        request, transactions = answered.request, self.core.transactions
        transaction = transactions.restore(request, server_key(request), answered.flow)
        transaction.dialog_tag = self.local_tag
        data, cseq = transactions.respond(now, transaction, answered.answer), self.invite_cseq
        offers = answered.offers
        again = UnacknowledgedAnswer(self, transaction, data, cseq, offers=offers, now=now)
        self.unacknowledged[cseq] = again

    @property
    def invite_cseq(self) -> int:
        return 0 if self._answered is None else self._answered.request.cseq.number

    @property
    def unanswered(self) -> tuple[Flow, Target, UnansweredSnapshot] | None:
        if self._answered is None or not self.awaits_first_acknowledgement:
            return None
        flow = self._answered.flow
        name = "" if flow.peer is None else flow.peer.name
        return flow, Target(flow.transport, *flow.remote, name), self._answered.left

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
