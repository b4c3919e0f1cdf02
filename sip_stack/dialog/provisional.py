"""Reliable provisional responses that we send: numbered, repeated until their PRACK comes, one at a time.

RFC 3262 sections 3 and 5. It decides nothing about offers: what a PRACK holds is the session's business.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from sip_stack.dialog.core import Core
from sip_stack.errors import RemoteError
from sip_stack.message import Request
from sip_stack.transaction import Timer, TimerOwner

MAX_WAITING = 8
"""Provisional responses that wait for the PRACK of the one before; the newest takes the place of the last."""
REPEAT = "repeat 1xx"
GIVE_UP = "no PRACK"


class Provisional(NamedTuple):
    """What one provisional response says; its body is a session description."""

    status: int
    reason: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytes


class ProvisionalUser(Protocol):
    """The session whose responses they are."""

    core: Core

    def send_provisional(self, provisional: Provisional, rseq: int, now: float) -> bytes:
        """Send it with this number; returns its octets."""

    def repeat_provisional(self, data: bytes, now: float) -> None:
        """Send it again."""

    def provisional_unacknowledged(self, now: float) -> None:
        """64*T1 went by without a PRACK."""


class ReliableProvisionals:
    """Those of one INVITE."""

    __slots__ = ("_data", "_give_up", "_interval", "_repeat", "_rseq", "_sent", "_user", "_waiting")

    def __init__(self, user: ProvisionalUser, first: int) -> None:
        """`first` is the number of the first one, 1 to 2**31 - 1."""
        self._user: ProvisionalUser | None = user
        self._rseq = first - 1
        self._sent: Provisional | None = None
        """The one that waits for its PRACK."""
        self._waiting: deque[Provisional] = deque()
        self._data = b""
        self._interval = 0.0
        self._repeat: Timer[TimerOwner] | None = None
        self._give_up: Timer[TimerOwner] | None = None

    @property
    def pending(self) -> bool:
        """True while a PRACK is awaited: a 2xx has to wait as well (section 3)."""
        return self._sent is not None

    def send(self, provisional: Provisional, now: float) -> None:
        """Send it now, or after the PRACK of the one before."""
        if self._sent is None:
            self._send(provisional, now)
        else:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.pop()
            self._waiting.append(provisional)

    def acknowledge(self, prack: Request) -> Provisional | None:
        """The response that a PRACK is for, which is no longer repeated; None when it is for none of ours (section 3).

        Raises RemoteError (400) for a RAck that cannot be read.
        """
        rseq, method = _read_rack(prack)
        sent = self._sent
        if sent is None or rseq != self._rseq or method != "INVITE":
            return None
        self._stop_timers()
        self._sent = None
        return sent

    def send_next(self, now: float) -> None:
        """The PRACK is dealt with: what waited for it is sent."""
        if self._sent is None and self._waiting:
            self._send(self._waiting.popleft(), now)

    def stop(self) -> None:
        """The INVITE has its final response, or the session is over."""
        self._stop_timers()
        self._waiting.clear()
        self._sent = self._user = None
        self._data = b""

    def on_timer(self, kind: str, now: float) -> None:
        """Send it again, or give up; the interval doubles without a bound (section 3)."""
        user = self._user
        if user is None:
            return
        if kind == GIVE_UP:
            self.stop()
            user.provisional_unacknowledged(now)
            return
        user.repeat_provisional(self._data, now)
        self._interval *= 2
        self._repeat = user.core.timers.start(now, self._interval, self, REPEAT)

    def _send(self, provisional: Provisional, now: float) -> None:
        user = self._user
        if user is None:
            return
        self._rseq += 1
        self._sent = provisional
        self._data = user.send_provisional(provisional, self._rseq, now)
        settings, timers = user.core.settings, user.core.timers
        self._interval = settings.t1
        self._repeat = timers.start(now, settings.t1, self, REPEAT)
        self._give_up = timers.start(now, settings.timeout, self, GIVE_UP)

    def _stop_timers(self) -> None:
        for timer in (self._repeat, self._give_up):
            if timer is not None:
                timer.stop()
        self._repeat = self._give_up = None


def _read_rack(prack: Request) -> tuple[int, str]:
    """The number of the response, and the method it was to; the CSeq between them is that of the only INVITE there
    is. Raises RemoteError (400)."""
    parts = (prack.headers.get("RAck") or "").split()
    if len(parts) != 3 or not all(
        part.isascii() and part.isdigit() and len(part) <= 10 for part in parts[:2]
    ):
        raise RemoteError(400, "Malformed RAck")
    return int(parts[0]), parts[2]
