"""Token buckets, and the bounded table that keeps one for each of many sources. No clock: `now` is in seconds."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

V = TypeVar("V")


class TokenBucket:
    """Lets `rate` things a second through, and up to `burst` at once after a quiet time.

    `rate` may be changed at any time.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        """Full at first."""
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._at = now

    def has(self, now: float) -> bool:
        """True when `take` would succeed."""
        self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        return self._level >= 1.0

    def take(self, now: float) -> bool:
        """Take one token; False when there is none."""
        if not self.has(now):
            return False
        self._level -= 1.0
        return True


class BoundedTable(OrderedDict[str, V]):
    """A mapping that forgets its oldest entry when it is full: what strangers can fill must not grow."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def put(self, key: str, value: V) -> None:
        """Keep `value`; the entry becomes the youngest."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._capacity:
            self.popitem(last=False)
