"""A 2xx to an INVITE that waits for its ACK: repeated at T1, doubling up to T2, given up after 64*T1.

RFC 3261 section 13.3.1.4. It repeats over reliable transports too, since the ACK crosses every hop.
"""

from __future__ import annotations

from typing import Protocol

from sip_stack.dialog.core import Core
from sip_stack.transaction import ServerTransaction

REPEAT = "repeat 2xx"
GIVE_UP = "no ACK"


class AnswerUser(Protocol):
    """The session that sent the 2xx."""

    core: Core

    def never_acknowledged(self, answer: UnacknowledgedAnswer, now: float) -> None:
        """64*T1 went by without an ACK."""


class UnacknowledgedAnswer:
    """The octets of one 2xx and the timer that repeats them; `stop` when the ACK of that CSeq comes."""

    __slots__ = ("_given_up_at", "_interval", "_timer", "_transaction", "_user", "cseq", "data", "offers")

    def __init__(
        self,
        user: AnswerUser,
        transaction: ServerTransaction,
        data: bytes,
        cseq: int,
        *,
        offers: bool,
        now: float,
    ) -> None:
        """`offers`: the 2xx holds the offer, so the answer comes in the ACK."""
        self._user: AnswerUser | None = user
        self._transaction = transaction
        self.data = data
        self.cseq = cseq
        self.offers = offers
        settings = user.core.settings
        self._interval = settings.t1
        self._given_up_at = now + settings.timeout
        self._timer = user.core.timers.start(now, settings.t1, self, REPEAT)

    def on_timer(self, kind: str, now: float) -> None:
        """Send it again, or give up."""
        user = self._user
        if user is None:
            return
        if kind == GIVE_UP:
            self.stop()
            user.never_acknowledged(self, now)
            return
        user.core.transactions.repeat_answer(self._transaction, self.data, now)
        self._interval = min(self._interval * 2, user.core.settings.t2)
        left = self._given_up_at - now
        if left > self._interval:
            self._timer = user.core.timers.start(now, self._interval, self, REPEAT)
        else:
            self._timer = user.core.timers.start(now, left, self, GIVE_UP)

    def stop(self) -> None:
        """The ACK came, or the session is over."""
        self._timer.stop()
        self._user = None
        self.data = b""
