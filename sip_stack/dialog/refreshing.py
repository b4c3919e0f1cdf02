"""The messages that keep a session alive, and what becomes of them.

RFC 4028 sections 7 to 10. When something is due is decided in `session_timer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sip_stack.dialog.core import HeaderLines
from sip_stack.dialog.requests import DialogRequest
from sip_stack.dialog.session_timer import SessionTimer, TimerSnapshot
from sip_stack.dialog.usage import SessionState
from sip_stack.errors import RemoteError
from sip_stack.events import RefreshDue
from sip_stack.extensions import TimerTerms
from sip_stack.message import Message, Request, Response

if TYPE_CHECKING:
    from sip_stack.dialog.session import Session
    from sip_stack.transaction import ServerTransaction

NOT_REFRESHED = ("Reason", 'Q.850;cause=102;text="Session not refreshed"')
"""In the BYE of a session that expired: 102 is "recovery on timer expiry" (RFC 3326)."""


class RefreshingSnapshot(NamedTuple):
    """What a later process needs to know to keep a session alive."""

    timer: TimerSnapshot
    by_update: bool
    """The far end takes UPDATE."""


class Refreshing:
    """A session that keeps itself alive; it has one unless its session timers are disabled."""

    __slots__ = ("_by_update", "_session", "_update", "timer")

    def __init__(self, session: Session, terms: TimerTerms) -> None:
        self._session = session
        self._by_update = False
        """The far end says that it takes UPDATE."""
        self._update: DialogRequest | None = None
        """Ours without a body, while it is under way."""
        self.timer = SessionTimer(self, session.core.timers, terms)

    def snapshot(self) -> RefreshingSnapshot | None:
        """What was agreed on; None while nothing is in force."""
        timer = self.timer.snapshot()
        return None if timer is None else RefreshingSnapshot(timer, self._by_update)

    def resume(self, snapshot: RefreshingSnapshot, now: float, *, at_once: bool) -> None:
        """Go on with what an earlier process has agreed on; not `at_once` where that was just now."""
        self._by_update = snapshot.by_update
        self.timer.resume(snapshot.timer, now, at_once=at_once)

    def end(self) -> None:
        """The session is over. This and the timer name each other: untied, both and the session are freed at once."""
        self.timer.end()
        del self.timer

    def answered(self, response: Response, now: float) -> None:
        """A 2xx to an INVITE or UPDATE of ours came."""
        self._learn_methods(response)
        self.timer.answered(response, now)

    def answer(self, request: Request, now: float) -> HeaderLines:
        """What our 2xx to an INVITE or UPDATE says, and agrees on. An early dialog has no timer (section 8)."""
        if self._session.state is not SessionState.CONFIRMED:
            return ()
        self._learn_methods(request)
        return self.timer.answer(request, now)

    def refuses(self, transaction: ServerTransaction, request: Request, now: float) -> bool:
        """True when a re-INVITE or UPDATE was refused because of its session interval."""
        try:
            self.timer.judge(request)
        except RemoteError as error:
            self._session.reply(now, transaction, error.status_hint, error.reason, headers=error.headers)
            return True
        return False

    def _learn_methods(self, message: Message) -> None:
        lines = message.headers.get_all("Allow")
        if lines:
            self._by_update = any("UPDATE" in line.upper() for line in lines)

    # What the timer asks for

    def refresh(self, now: float) -> None:
        """By UPDATE when the far end takes it: it is the shortest, and nobody can misread it as a change."""
        session = self._session
        if self._update is not None or session.state is not SessionState.CONFIRMED:
            return
        if self._by_update:
            self._update = DialogRequest(session, "UPDATE", ())
            self._update.send(now)
        else:
            session.core.events.append(RefreshDue(session))

    def expire(self, now: float) -> None:
        """Nobody is there: BYE, and nobody waits for its answer."""
        session = self._session
        if session.state is SessionState.CONFIRMED:
            session.end_with_bye("expired", None, now, (NOT_REFRESHED,))

    def completed(self, pending: DialogRequest, response: Response | None, now: float) -> bool:
        """True when that was an UPDATE of ours; what its final response means for the timer is done."""
        if pending is not self._update:
            return False
        self._update = None
        session, timer = self._session, self.timer
        if session.state is not SessionState.CONFIRMED:
            return True
        if response is None or response.status == 408:
            timer.unanswered(now)
        elif response.status == 481:
            # They have hung up (RFC 5057): nothing has expired.
            session.end_with_bye("remote", response, now)
        elif response.status < 300:
            before = session.terms
            session.refresh_target(response)
            self.answered(response, now)
            session.note_terms(before)
        elif response.status in (405, 501):
            self._by_update = False
            timer.try_again(now, 0.0)
        elif response.status == 422 and timer.raise_minimum(response):
            timer.try_again(now, 0.0)
        elif response.status in (491, 500):
            timer.try_again(now, max(response.retry_after or 0.0, session.glare_delay()))
        return True
