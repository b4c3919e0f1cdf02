"""Overload: how many new calls a second each trunk may start while the event loop cannot keep up.

While the loop is overloaded a level sinks, while it is not the level rises; a trunk that stays below it is not touched,
so a quiet trunk pays nothing for a loud one. Running calls are never touched. Refusing costs a tenth of a call, which
is what keeps the machine near its peak rate however much more is offered.
"""

from __future__ import annotations

from b2bua.admission.loop_load import Load
from b2bua.admission.token_bucket import TokenBucket
from b2bua.telemetry.logs import get_logger

MAX_LAG = 0.1
"""Seconds of lag, smoothed, beyond which the loop is overloaded: scheduling alone explains tens of milliseconds."""
MOST_LAG = 0.3
"""Seconds of lag that one measurement counts for: once is no overload, however long the machine stood still."""
MAX_BUSY = 0.95
"""Share of a core, smoothed, beyond which the loop is overloaded."""
MAX_BEHIND = 2
"""Measurements in a row that find it behind, beyond which the loop is overloaded; one may be a burst. Once
it is, one is enough."""
MIN_LEVEL = 5.0
"""New calls a second that each trunk may start however bad it is."""
FIRST_SINK, SINK = 0.75, 0.94
"""What the level is multiplied with at the first and at each measurement that finds overload, ten times a second. The
first step is larger: until what waits is worked off, all that is under way suffers."""
RISE, FASTEST_RISE = 1.02, 1.15
"""What it is multiplied with at each other measurement: the first where the core is nearly full, more for each percent
of it that is idle. An idle core tells that too many were refused; what it can take is known from nothing else."""
SMOOTHING = 0.3
"""Weight of the newest measurement."""
CALM = 20
"""Measurements without overload, and with nothing refused, after which it is over."""


class Overload:
    """The level and what it is made from. No clock: `now` is in seconds."""

    def __init__(self) -> None:
        self.level: float | None = None
        """New calls a second for each trunk; None when there is no overload."""
        self._lag = 0.0
        self._busy = 0.0
        self._behind = 0
        self._at: float | None = None
        self._offered: dict[str, int] = {}
        self._rates: dict[str, float] = {}
        self._buckets: dict[str, TokenBucket] = {}
        self._refused = 0
        self._refused_before = 0
        self._calm = 0
        self._log = get_logger()

    @property
    def active(self) -> bool:
        """True while new calls may be refused."""
        return self.level is not None

    def admits(self, trunk: str, now: float) -> bool:
        """Whether one more new call of `trunk` may start."""
        self._offered[trunk] = self._offered.get(trunk, 0) + 1
        if self.level is None:
            return True
        # Room for what comes together between two measurements, which is no reason to refuse.
        burst = max(2.0, self.level / 5)
        bucket = self._buckets.get(trunk)
        if bucket is None:
            bucket = self._buckets[trunk] = TokenBucket(self.level, burst, now)
        bucket.rate, bucket.burst = self.level, burst
        if bucket.take(now):
            return True
        self._refused += 1
        return False

    def measured(self, load: Load, now: float) -> None:
        """Take one measurement into account."""
        self._lag += SMOOTHING * (min(load.lag, MOST_LAG) - self._lag)
        self._busy += SMOOTHING * (load.busy - self._busy)
        self._behind = self._behind + 1 if load.behind else 0
        self._measure_rates(now)
        overloaded = self._lag > MAX_LAG or self._busy > MAX_BUSY or self._behind > MAX_BEHIND
        if self.level is None:
            if overloaded:
                self._begin()
        elif overloaded or load.behind:
            self.level = max(MIN_LEVEL, self.level * SINK)
            self._calm = 0
        else:
            self.level *= min(FASTEST_RISE, RISE + max(0.0, MAX_BUSY - self._busy))
            self._calm = self._calm + 1 if self._refused == self._refused_before else 0
            if self._calm >= CALM:
                self._end()
        self._refused_before = self._refused

    def _measure_rates(self, now: float) -> None:
        """New calls a second that each trunk offers. Trunks are few: they are named in the configuration."""
        elapsed = max(now - self._at, 0.001) if self._at is not None else 1.0
        self._at = now
        for trunk in self._rates.keys() | self._offered.keys():
            rate = self._rates.get(trunk, 0.0)
            rate += SMOOTHING * (self._offered.get(trunk, 0) / elapsed - rate)
            self._rates[trunk] = rate
        self._offered.clear()

    def _begin(self) -> None:
        self.level = max(MIN_LEVEL, FIRST_SINK * max(self._rates.values(), default=0.0))
        self._calm = 0
        self._refused = self._refused_before = 0
        self._log.warning("overload_begins", **self._figures())

    def _end(self) -> None:
        self._log.info("overload_ends", refused=self._refused, **self._figures())
        self.level = None
        self._buckets.clear()

    def _figures(self) -> dict[str, object]:
        return {
            "lag_ms": round(self._lag * 1000),
            "busy": round(self._busy, 2),
            "behind": self._behind,
            "calls_per_second": round(sum(self._rates.values())),
            "level": round(self.level or 0),
        }
