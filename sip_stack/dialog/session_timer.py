"""Session timers (RFC 4028): a session whose far end went away silently ends, however long nobody speaks.

Who refreshes is agreed on by every INVITE and UPDATE with its 2xx. The one who does asks again at half the interval,
by UPDATE where the far end takes it, else by a re-INVITE that says what was said before. The other one waits: when
nothing came shortly before the interval is over, that is the end, with a BYE.

The table below decides what happens; it is drawn in `docs/state-machines.md`. Each session has a timer of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from sip_stack.dialog.core import PROGRESS_INTERVAL
from sip_stack.errors import RemoteError
from sip_stack.extensions import TIMER, HeaderLine, TimerTerms, timer_lines
from sip_stack.message import Message, Params, Request, Response
from sip_stack.transaction import Timer, TimerOwner, TimerQueue

SHORTEST = 90
"""Seconds: no interval is shorter (RFC 4028 section 4), whatever a peer says."""
LONGEST = 86_400
"""Seconds: the longest Min-SE that we go along with."""
FAREWELL = 32.0
"""Seconds before the end at which a session that was not refreshed is given up, or a third of the interval (section
10)."""
LAST_WORDS = 5.0
"""Seconds between two tries to refresh, at least."""
MAX_RAISES = 3
"""422 that are followed in one session: each must ask for more than the one before, but not for ever."""
TICK = PROGRESS_INTERVAL
"""Seconds that a timer of ours runs at most, looking at the clock in between: the queue keeps a stopped timer until its
time comes, and calls are shorter than their interval. This long it has a lane of its own."""

WAIT = "session timer"


class State(StrEnum):
    """Who has to refresh."""

    OFF = "Off"
    OURS = "Ours"
    ASKING = "Asking"
    THEIRS = "Theirs"
    OVER = "Over"


class Input(StrEnum):
    """What happens to the timer of a session."""

    AGREED_OURS = "2xx, we refresh"
    AGREED_THEIRS = "2xx, they refresh"
    DUE = "half of what is left is over"
    EXPIRED = "the interval is over"
    NO_ANSWER = "408 or no response to our UPDATE"
    ENDED = "the session has ended"


class Verb(StrEnum):
    """What a row does, in order."""

    START = "start the interval"
    REFRESH = "refresh"
    WAIT_AGAIN = "wait half of what is left"
    STOP = "stop"
    BYE = "end the session with BYE"


Table = Mapping[tuple[State, Input], tuple[State, tuple[Verb, ...]]]

OFF, OURS, ASKING, THEIRS, OVER = State.OFF, State.OURS, State.ASKING, State.THEIRS, State.OVER

SESSION_TIMER: Table = {
    (OFF, Input.AGREED_OURS): (OURS, (Verb.START,)),
    (OFF, Input.AGREED_THEIRS): (THEIRS, (Verb.START,)),
    (OFF, Input.ENDED): (OVER, ()),
    (OURS, Input.AGREED_OURS): (OURS, (Verb.START,)),
    (OURS, Input.AGREED_THEIRS): (THEIRS, (Verb.START,)),
    (OURS, Input.DUE): (ASKING, (Verb.REFRESH, Verb.WAIT_AGAIN)),
    (OURS, Input.EXPIRED): (OVER, (Verb.STOP, Verb.BYE)),
    (OURS, Input.ENDED): (OVER, (Verb.STOP,)),
    (ASKING, Input.AGREED_OURS): (OURS, (Verb.START,)),
    (ASKING, Input.AGREED_THEIRS): (THEIRS, (Verb.START,)),
    # A refusal says that somebody is there: it is asked again until the interval is over (section 10).
    (ASKING, Input.DUE): (ASKING, (Verb.REFRESH, Verb.WAIT_AGAIN)),
    (ASKING, Input.NO_ANSWER): (OVER, (Verb.STOP, Verb.BYE)),
    (ASKING, Input.EXPIRED): (OVER, (Verb.STOP, Verb.BYE)),
    (ASKING, Input.ENDED): (OVER, (Verb.STOP,)),
    (THEIRS, Input.AGREED_OURS): (OURS, (Verb.START,)),
    (THEIRS, Input.AGREED_THEIRS): (THEIRS, (Verb.START,)),
    (THEIRS, Input.EXPIRED): (OVER, (Verb.STOP, Verb.BYE)),
    (THEIRS, Input.ENDED): (OVER, (Verb.STOP,)),
}


Party = Literal["uac", "uas"]
"""Who refreshes, by what they are in the transaction that says so."""
_PARTIES: Mapping[str, Party] = {"uac": "uac", "uas": "uas"}


class SessionExpires(NamedTuple):
    """The value of Session-Expires."""

    seconds: int
    refresher: Party | None


def read_session_expires(message: Message) -> SessionExpires | None:
    """Session-Expires; None without one. Raises RemoteError (400)."""
    text = message.headers.get("Session-Expires")
    if text is None:
        return None
    seconds, semicolon, rest = text.partition(";")
    refresher = (Params.parse(semicolon + rest).get("refresher") or "").lower()
    return SessionExpires(_seconds(seconds), _PARTIES.get(refresher))


def read_min_se(message: Message) -> int:
    """Seconds of Min-SE; `SHORTEST` without one. Raises RemoteError (400)."""
    text = message.headers.get("Min-SE")
    return SHORTEST if text is None else _seconds(text.partition(";")[0])


def _seconds(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise RemoteError(400, "Malformed session interval")
    return int(text)


class TimerSnapshot(NamedTuple):
    """What a later process needs to know of a timer."""

    ours: bool
    """We refresh."""
    interval: int
    """Seconds."""
    min_se: int
    """Seconds."""


class Refresher(Protocol):
    """Who does what a timer asks for."""

    def refresh(self, now: float) -> None:
        """Ask the far end whether it is there, unless it is being asked."""

    def expire(self, now: float) -> None:
        """Nobody is there any more: end with BYE."""


class SessionTimer:
    """The timer of one session; times are those of the timer queue."""

    __slots__ = (
        "_expires_at",
        "_interval",
        "_min_se",
        "_raises",
        "_refresh_at",
        "_refresher",
        "_terms",
        "_timer",
        "_timers",
        "state",
    )

    def __init__(self, refresher: Refresher, timers: TimerQueue[TimerOwner], terms: TimerTerms) -> None:
        self._refresher = refresher
        self._timers = timers
        self._terms = terms
        self.state = OFF
        self._interval = terms.expires
        self._min_se = terms.min_se
        self._raises = 0
        self._refresh_at: float | None = None
        self._expires_at = 0.0
        self._timer: Timer[TimerOwner] | None = None

    @property
    def asks(self) -> bool:
        """True while the far end has to answer a refresh of ours."""
        return self.state is ASKING

    # From one process to the next

    def snapshot(self) -> TimerSnapshot | None:
        """What was agreed on; None while nothing is in force."""
        if self.state in (OFF, OVER):
            return None
        return TimerSnapshot(self.state is not THEIRS, self._interval, self._min_se)

    def resume(self, snapshot: TimerSnapshot, now: float, *, at_once: bool) -> None:
        """Go on with what was agreed on. Where nobody knows when the last refresh was, ours is sent `at_once`; theirs
        gets a whole interval."""
        self._interval, self._min_se = snapshot.interval, snapshot.min_se
        self._feed(Input.AGREED_OURS if snapshot.ours else Input.AGREED_THEIRS, now)
        if snapshot.ours and at_once:
            self._refresh_at = now
            self._wait(now)

    # What we say

    def invite_lines(self) -> tuple[HeaderLine, ...]:
        """Session-Expires and Min-SE of a first INVITE that is sent again after 422."""
        return timer_lines(self._terms, self._interval, self._min_se)

    def request_lines(self) -> tuple[HeaderLine, ...]:
        """What a re-INVITE or an UPDATE of ours says: who refreshes stays as it is (section 7.4)."""
        if self.state is OFF:
            return ()
        refresher = "uas" if self.state is THEIRS else "uac"
        return (
            ("Supported", TIMER),
            ("Session-Expires", f"{self._interval};refresher={refresher}"),
            ("Min-SE", str(self._min_se)),
        )

    def judge(self, request: Request) -> None:
        """Raises RemoteError: 422 for an INVITE or UPDATE whose interval is too short, 400 for one nobody can read.

        A short interval of somebody who does not know timers is a proxy's, and 422 would mean nothing to them.
        """
        wanted = read_session_expires(request)
        _ = read_min_se(request)
        if wanted is not None and wanted.seconds < self._min_se and _knows_timers(request):
            raise RemoteError(422, "Session Interval Too Small", [("Min-SE", str(self._min_se))])

    def answer(self, request: Request, now: float) -> tuple[HeaderLine, ...]:
        """What our 2xx to an INVITE or UPDATE says, which is then agreed (section 9).

        Nothing where neither the far end nor a proxy asks for timers. A far end that does not know them is refreshed
        by us.
        """
        wanted, knows = read_session_expires(request), _knows_timers(request)
        if wanted is None and not knows and self.state is OFF:
            return ()
        seconds = max(self._terms.expires, self._min_se, read_min_se(request))
        if wanted is not None:
            seconds = min(seconds, wanted.seconds)
        refresher: Party = "uas"
        if knows:
            refresher = (wanted and wanted.refresher) or self._preferred()
        self._agree(now, seconds, ours=refresher == "uas")
        require = (("Require", TIMER),) if refresher == "uac" else ()
        return (("Session-Expires", f"{seconds};refresher={refresher}"), *require)

    def _preferred(self) -> Party:
        """Whom we ask to refresh, as the answering side: who does already, else as configured."""
        if self.state is OFF:
            return "uas" if self._terms.refresher == "us" else "uac"
        return "uac" if self.state is THEIRS else "uas"

    # What we hear

    def answered(self, response: Response, now: float) -> None:
        """A 2xx to an INVITE or UPDATE of ours (section 7.2).

        Without Session-Expires the far end does not know timers, or forgot: where they are required, or in force
        already, we refresh from now on, which harms nobody.
        """
        try:
            said = read_session_expires(response)
        except RemoteError:
            said = None
        if said is not None:
            self._agree(now, said.seconds, ours=said.refresher != "uas")
        elif self.state is not OFF or self._terms.use == "required":
            self._agree(now, self._interval, ours=True)

    def raise_minimum(self, response: Response) -> bool:
        """Take over the Min-SE of a 422; False when asking again would be in vain (section 7.3)."""
        try:
            minimum = read_min_se(response)
        except RemoteError:
            return False
        if not self._min_se < minimum <= LONGEST or self._raises >= MAX_RAISES:
            return False
        self._raises += 1
        self._min_se = minimum
        self._interval = max(self._interval, minimum)
        return True

    def try_again(self, now: float, delay: float) -> None:
        """Refresh after so long, or sooner: the far end was busy, or wants to be asked otherwise."""
        if self.state is ASKING and self._refresh_at is not None:
            self._refresh_at = min(self._refresh_at, now + delay)
            self._wait(now)

    def unanswered(self, now: float) -> None:
        """408 or nothing at all came to our UPDATE."""
        self._feed(Input.NO_ANSWER, now)

    def end(self) -> None:
        """The session is over."""
        self._feed(Input.ENDED, self._expires_at)

    # How it is done

    def _agree(self, now: float, seconds: int, *, ours: bool) -> None:
        self._interval = seconds
        self._feed(Input.AGREED_OURS if ours else Input.AGREED_THEIRS, now)

    def on_timer(self, kind: str, now: float) -> None:
        """A tick: something is due, or it goes on."""
        self._timer = None
        if now >= self._expires_at:
            self._feed(Input.EXPIRED, now)
        elif self._refresh_at is not None and now >= self._refresh_at:
            self._feed(Input.DUE, now)
        else:
            self._wait(now)

    def _feed(self, happened: Input, now: float) -> None:
        row = SESSION_TIMER.get((self.state, happened))
        if row is None:
            return
        self.state, verbs = row
        for verb in verbs:
            match verb:
                case Verb.START:
                    self._start(now)
                case Verb.WAIT_AGAIN:
                    self._wait_again(now)
                case Verb.STOP:
                    self._stop()
                case Verb.REFRESH:
                    self._refresher.refresh(now)
                case Verb.BYE:
                    self._refresher.expire(now)

    def _start(self, now: float) -> None:
        """Half the interval for us; for them all of it but the last moments (section 10)."""
        seconds = float(max(self._interval, SHORTEST))
        if self.state is OURS:
            self._refresh_at = now + seconds / 2
            self._expires_at = now + seconds
        else:
            self._refresh_at = None
            self._expires_at = now + seconds - min(FAREWELL, seconds / 3)
        self._wait(now)

    def _wait_again(self, now: float) -> None:
        if self.state is ASKING:  # Else what was asked has ended the session at once.
            self._refresh_at = now + max((self._expires_at - now) / 2, LAST_WORDS)
            self._wait(now)

    def _wait(self, now: float) -> None:
        self._stop()
        due = self._expires_at if self._refresh_at is None else min(self._refresh_at, self._expires_at)
        self._timer = self._timers.start(now, min(max(due - now, 0.0), TICK), self, WAIT)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None


def _knows_timers(request: Request) -> bool:
    return TIMER in request.supported or TIMER in request.require
