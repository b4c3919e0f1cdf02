"""The doorkeeper: the gate of the SIP endpoint, told by the configuration whom to listen to.

A source is *heard* as a matter of course when it has an address of a trunk, when it logged in as one lately, or when we
speak with it ourselves. All others are strangers, whose messages cost tokens before they are read. What begins a call
is then judged: strangers by what they are, trunks by their rate and by how busy we are.

It does not know who a caller is beyond the address; `b2bua.trunks` checks credentials.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from b2bua.admission.counters import AdmissionCounters
from b2bua.admission.overload import Overload
from b2bua.admission.strangers import MAX_SOURCES, SILENCE_SECONDS, Strangers
from b2bua.admission.token_bucket import BoundedTable, TokenBucket
from b2bua.telemetry.logs import OncePerInterval, excerpt, get_logger
from sip_stack.errors import RemoteError
from sip_stack.gate import SILENCE, Verdict
from sip_stack.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from b2bua.admission.loop_load import Load
    from b2bua.config import Configuration, Trunk
    from sip_stack.message import Request

RETRY_SOON = Refusal(503, headers=(("Retry-After", "1"),))
"""To a trunk. The next second may do; longer, and a peer that obeys would leave us idle."""
COME_BACK_LATER = Refusal(503, headers=(("Retry-After", f"{SILENCE_SECONDS:.0f}"),), stateless=True)
"""To a stranger, before the silence."""
FORBIDDEN = Refusal(403, stateless=True)
"""To a stranger's call, when there is no trunk to log in as."""
NO_SUCH_DIALOG = Refusal(481, stateless=True)
"""To a stranger's re-INVITE."""
LOGIN_SECONDS = 3600.0
"""How long a source that logged in is not a stranger."""
FLOOD = 5_000
"""Messages dropped unread between two measurements, beyond which they are what keeps the loop busy: refusing calls then
would punish trunks for what strangers do, and change nothing."""
REPORT_INTERVAL = 10.0
"""Seconds between two log lines that say what was refused."""


class Doorkeeper:
    """A `sip_stack.gate.Gate`. `configuration` may be replaced at any time."""

    def __init__(
        self,
        configuration: Configuration,
        clock: Callable[[], float],
        challenge: Callable[[float], Refusal],
        caller_of: Callable[[Request], str | None] = lambda request: None,
    ) -> None:
        """`challenge` makes the answer to a call of a stranger who may log in; `caller_of` names the trunk that calls
        the Contact we registered with it."""
        self._challenge = challenge
        self._caller_of = caller_of
        self.counters = AdmissionCounters()
        self.overload = Overload()
        self._configuration = configuration
        self._scanners = _any_of(configuration.limits.scanners)
        self._strangers = Strangers(configuration.limits, self.counters)
        self._heard: BoundedTable[Trunk | None] = BoundedTable(MAX_SOURCES)
        """Whom we hear, with the trunk that has this address."""
        self._logins: BoundedTable[tuple[str, float]] = BoundedTable(MAX_SOURCES)
        """Name of the trunk a source logged in as, and until when that counts."""
        self._rates: dict[str, TokenBucket | None] = {}
        self._log = get_logger()
        self._once = OncePerInterval(60.0, clock)
        self._unread = 0
        self._reported = self.counters.as_dict()
        self._report_at: float | None = None

    @property
    def configuration(self) -> Configuration:
        """What it goes by. Other limits and addresses count from the next message on; lock-outs stay."""
        return self._configuration

    @configuration.setter
    def configuration(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._scanners = _any_of(configuration.limits.scanners)
        self._strangers.use(configuration.limits)
        self._rates.clear()
        # Whoever was heard still is, for the sake of calls under way; a source whose trunk is gone begins none.
        for source in list(self._heard):
            self._heard.put(source, configuration.trunk_for(source))

    # What the endpoint asks

    def hears(self, source: str, now: float) -> bool:
        """Whether a message is read. While there is overload, a stranger's is not."""
        if source in self._heard:
            return True
        if source not in self._strangers or source in self._logins:
            trunk = self._configuration.trunk_for(source)
            if trunk is not None or self._login(source, now) is not None:
                self._heard.put(source, trunk)
                return True
        if self._strangers.hears(source, now) and not self.overload.active:
            return True
        self.counters.unread += 1
        return False

    def judge(self, request: Request, source: str, now: float) -> Verdict:
        """What becomes of a request that belongs to nothing we have."""
        trunk = self._heard.get(source)
        name = trunk.name if trunk is not None else self._login(source, now) or self._caller_of(request)
        if name is None:
            return self._judge_stranger(request, source, now)
        if request.method != "INVITE":
            return None
        if self._strangers.is_locked(source, now):
            return SILENCE
        if not self._rate(name, now):
            self.counters.over_rate += 1
            if (held := self._once.allow(f"rate {name}")) is not None:
                self._log.warning("over_rate", trunk=name, source=source, held=held)
            return RETRY_SOON
        if not self.overload.admits(name, now):
            self.counters.overload += 1
            return RETRY_SOON
        return None

    def expect(self, source: str) -> None:
        """Hear `source` from now on."""
        if source not in self._heard:
            self._heard.put(source, self._configuration.trunk_for(source))

    def certified(self, source: str, subjects: tuple[str, ...], now: float) -> None:
        """A client that showed the certificate of a trunk is as good as logged in, for as long as it has that."""
        login = self._logins.get(source)
        if login is not None and login[1] - now > LOGIN_SECONDS / 2:
            return
        trunk = self._configuration.trunk_of_certificate(subjects)
        if trunk is not None:
            self.logged_in(source, trunk, now)

    # What those who admit calls say

    def trunk_at(self, source: str, now: float) -> Trunk | None:
        """The trunk that `source` is known as: by its address, or since it logged in; None for a stranger."""
        login = self._login(source, now)
        return self._configuration.trunk_for(source) or self._configuration.trunks.get(login or "")

    def start_call(self, trunk: Trunk, now: float) -> bool:
        """Count a call that a trunk starts; False when it is over its calls per second."""
        bucket = self._bucket(trunk.name, now)
        if bucket is None or bucket.take(now):
            return True
        self.counters.over_rate += 1
        return False

    def logged_in(self, source: str, trunk: Trunk, now: float) -> None:
        """`source` showed the credentials of a trunk: it is no stranger for a while."""
        self._logins.put(source, (trunk.name, now + LOGIN_SECONDS))
        self.expect(source)

    def failed_login(self, source: str, now: float) -> None:
        """`source` showed wrong credentials; ten times in a minute, and it is not heard for the next."""
        self.counters.authentication_failures += 1
        if self._strangers.failed(source, now):
            self.counters.lockouts += 1
            self._log.warning("locked_out", source=source, seconds=SILENCE_SECONDS)

    def measured(self, load: Load, now: float) -> None:
        """Take a measurement of the event loop; now and then say what was refused."""
        unread = self.counters.unread - self._unread
        self._unread = self.counters.unread
        if unread < FLOOD:
            self.overload.measured(load, now)
        if self._report_at is None or now >= self._report_at:
            self._report_at = now + REPORT_INTERVAL
            self._report()

    # Within

    def _judge_stranger(self, request: Request, source: str, now: float) -> Verdict:
        if self._is_scanner(request):
            self.counters.scanners += 1
            if (held := self._once.allow(f"scanner {source}")) is not None:
                self._log.info("scanner", source=source, held=held)
            self._strangers.lock(source, now)
            return SILENCE
        if source in self._heard and not self._strangers.hears(source, now):
            # We speak with it, so it was heard; that is no reason to serve all that it asks.
            return SILENCE
        if self._strangers.over_rate(source, now):
            return COME_BACK_LATER
        if _is_in_dialog(request):
            return self._judge_in_dialog(request, source)
        if request.method == "INVITE" and self._configuration.logins:
            # What has credentials goes the way of all calls, where they are looked at.
            return self._challenge(now) if request.headers.get("Authorization") is None else None
        if self._configuration.sip.unknown_source == "silent":
            return SILENCE
        return self._forbid(request, source) if request.method == "INVITE" else None

    def _judge_in_dialog(self, request: Request, source: str) -> Verdict:
        """Of a dialog that is over, or never was: no call, so nobody has to show who they are (RFC 3261 section
        12.2.2). Whom we speak with knows that we are here."""
        if self._configuration.sip.unknown_source == "silent" and source not in self._heard:
            return SILENCE
        return NO_SUCH_DIALOG if request.method == "INVITE" else None

    def _forbid(self, request: Request, source: str) -> Refusal:
        self.counters.unknown_sources += 1
        if (held := self._once.allow(source)) is not None:
            self._log.warning(
                "unknown_source",
                source=source,
                user_agent=excerpt(request.headers.get("User-Agent")),
                held=held,
            )
        return FORBIDDEN

    def _is_scanner(self, request: Request) -> bool:
        if self._scanners is None:
            return False
        headers = request.headers
        names = (headers.get("User-Agent"), headers.get("From"))
        return any(name is not None and self._scanners.search(name) for name in names)

    def _login(self, source: str, now: float) -> str | None:
        """The name of the trunk that a source logged in as lately."""
        login = self._logins.get(source)
        return login[0] if login is not None and now < login[1] else None

    def _rate(self, trunk: str, now: float) -> bool:
        bucket = self._bucket(trunk, now)
        return bucket is None or bucket.has(now)

    def _bucket(self, trunk: str, now: float) -> TokenBucket | None:
        """The calls per second of a trunk; None when they are not limited."""
        if trunk not in self._rates:
            configured = self._configuration.trunks.get(trunk)
            rate = configured.max_calls_per_second if configured is not None else None
            rate = rate or self._configuration.limits.max_calls_per_second
            self._rates[trunk] = None if rate is None else TokenBucket(rate, max(1.0, float(rate)), now)
        return self._rates[trunk]

    def _report(self) -> None:
        """One line with what was refused since the last one; none when nothing was."""
        counts = self.counters.as_dict()
        news = {name: count - self._reported[name] for name, count in counts.items()}
        self._reported = counts
        refused = {name: count for name, count in news.items() if count}
        if refused:
            self._log.warning("refused_lately", seconds=REPORT_INTERVAL, **refused)


def _any_of(words: Iterable[str]) -> re.Pattern[str] | None:
    """Finds any of the words, in upper or lower case; None when there are none."""
    pattern = "|".join(re.escape(word) for word in words)
    return re.compile(pattern, re.IGNORECASE) if pattern else None


def _is_in_dialog(request: Request) -> bool:
    """Whether it says so; a header that cannot be read says nothing."""
    try:
        return request.to.tag is not None
    except RemoteError:
        return False
