"""Sources that are no trunk's and that we do not speak with: how much of them is heard.

Each has a token bucket, all of them share another. A source that is over its bucket is told so once and then not heard
for a while; so is one that fails to authenticate again and again, or that calls itself a scanner.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from b2bua.admission.counters import AdmissionCounters
from b2bua.admission.token_bucket import BoundedTable, TokenBucket

if TYPE_CHECKING:
    from b2bua.config import Limits

SILENCE_SECONDS = 60.0
"""How long a source is not heard that went too far."""
MAX_FAILURES = 10
FAILURE_WINDOW = 60.0
"""So many failures to authenticate within so many seconds silence a source."""
MAX_SOURCES = 16_384
"""Sources remembered; beyond, the one unknown for longest is forgotten."""
BURST = 5.0
"""Seconds' worth of messages that may come at once: a peer that starts up has many calls to announce."""


class Stranger:
    """One source."""

    __slots__ = ("bucket", "silent_until")

    def __init__(self, bucket: TokenBucket, locked_until: float | None) -> None:
        self.bucket = bucket
        self.silent_until = locked_until or float("-inf")
        """Until then it is not heard."""


class Strangers:
    """All of them. No clock: `now` is in seconds."""

    def __init__(self, limits: Limits, counters: AdmissionCounters) -> None:
        self._counters = counters
        self._limits = limits
        self._met: BoundedTable[Stranger] = BoundedTable(MAX_SOURCES)
        """By address; neighbours in one /64 of IPv6 are one stranger."""
        self._networks: BoundedTable[Stranger] = BoundedTable(MAX_SOURCES)
        self._failures: BoundedTable[deque[float]] = BoundedTable(MAX_SOURCES)
        self._locked: BoundedTable[float] = BoundedTable(MAX_SOURCES)
        self._together: TokenBucket | None = None

    def use(self, limits: Limits) -> None:
        """Take other limits; sources start anew, lock-outs stay."""
        self._limits = limits
        self._met.clear()
        self._networks.clear()
        self._together = None

    def __contains__(self, source: str) -> bool:
        """True for an address we met before."""
        return source in self._met

    def hears(self, source: str, now: float) -> bool:
        """Whether a message of a stranger is read; it costs a token of its own and one of all.

        The first one over the bucket is still read, to be answered.
        """
        stranger = self._met.get(source) or self._meet(source, now)
        if now < stranger.silent_until:
            return False
        if not stranger.bucket.take(now):
            stranger.silent_until = now + SILENCE_SECONDS
            self._counters.silenced += 1
        if self._together is None:
            rate = float(self._limits.unknown_requests_in_all)
            self._together = TokenBucket(rate, rate, now)
        return self._together.take(now)

    def over_rate(self, source: str, now: float) -> bool:
        """True for the message that silenced its source."""
        stranger = self._met.get(source)
        return stranger is not None and now < stranger.silent_until

    def is_locked(self, source: str, now: float) -> bool:
        """True while a source is silenced for what it tried."""
        until = self._locked.get(_key(source))
        return until is not None and now < until

    def lock(self, source: str, now: float) -> None:
        """Silence a source."""
        key, until = _key(source), now + SILENCE_SECONDS
        self._locked.put(key, until)
        # A trunk's source is no stranger, and must not become one here.
        if (stranger := self._networks.get(key)) is not None:
            stranger.silent_until = until

    def failed(self, source: str, now: float) -> bool:
        """Count a failure to authenticate; True when it was one too many and the source is silenced."""
        key = _key(source)
        failures = self._failures.get(key)
        if failures is None:
            failures = deque(maxlen=MAX_FAILURES)
        failures.append(now)
        self._failures.put(key, failures)
        if len(failures) < MAX_FAILURES or now - failures[0] > FAILURE_WINDOW:
            return False
        self._failures.pop(key, None)
        self.lock(source, now)
        return True

    def _meet(self, source: str, now: float) -> Stranger:
        key = _key(source)
        stranger = self._networks.get(key)
        if stranger is None:
            rate = float(self._limits.unknown_requests_per_source)
            stranger = Stranger(TokenBucket(rate, rate * BURST, now), self._locked.get(key))
            self._networks.put(key, stranger)
        self._met.put(source, stranger)
        return stranger


@lru_cache(maxsize=4096)
def _key(source: str) -> str:
    """Who an address stands for: itself, or its /64, which IPv6 gives to every customer whole."""
    if ":" not in source:
        return source
    address = IPv6Address(source)
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
