"""Token buckets, and the bounded table that keeps one for each of many sources. No clock: `now` is in seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

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


class BoundedTable(Generic[V]):
    """A mapping that forgets its oldest entry when it is full: what strangers can fill must not grow."""

    __slots__ = ("_capacity", "_entries")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def get(self, key: str) -> V | None:
        """The value of `key`, None when there is none."""
        return self._entries.get(key)

    def put(self, key: str, value: V) -> None:
        """Keep `value`; the entry becomes the youngest."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def pop(self, key: str) -> None:
        """Forget `key`, if it is there."""
        self._entries.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
