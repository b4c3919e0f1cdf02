"""How many calls may run at once, in all and per trunk."""

from __future__ import annotations

from collections import Counter


class Limits:
    """Counts running calls; constant time, no scan."""

    def __init__(self) -> None:
        self.running = 0
        self.per_trunk: Counter[str] = Counter()
        """Running calls by trunk, of those that have any."""

    def admits(self, trunk: str, *, trunk_limit: int | None, total_limit: int | None) -> bool:
        """True when one more call from `trunk` stays within both limits."""
        if total_limit is not None and self.running >= total_limit:
            return False
        return trunk_limit is None or self.per_trunk[trunk] < trunk_limit

    def enter(self, trunk: str) -> None:
        """A call of `trunk` starts."""
        self.running += 1
        self.per_trunk[trunk] += 1

    def leave(self, trunk: str) -> None:
        """A call of `trunk` ended."""
        self.running -= 1
        self.per_trunk[trunk] -= 1
        if not self.per_trunk[trunk]:
            del self.per_trunk[trunk]
