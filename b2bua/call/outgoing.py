"""How many calls of ours each destination has now and had within the last hour: what toll fraud runs up against."""

from __future__ import annotations

from collections import Counter, deque

HOUR = 3600.0


class OutgoingCalls:
    """Counts by destination; constant time for each call. Times are seconds of one clock."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()
        self._begun: dict[str, deque[float]] = {}
        """When each of the last hour began, of those that have a limit for it."""

    def admit(self, name: str, now: float, *, at_once: int | None, per_hour: int | None) -> str | None:
        """Why another call to `name` may not begin, as an event of `cause.CAUSES`; None when it may, and it counts."""
        if at_once is not None and self._running[name] >= at_once:
            return "destination_full"
        if per_hour is None:
            return None
        begun = self._begun.setdefault(name, deque())
        while begun and begun[0] <= now - HOUR:
            begun.popleft()
        if len(begun) >= per_hour:
            return "destination_spent"
        begun.append(now)
        return None

    def enter(self, name: str) -> None:
        """A leg to `name` is dialled."""
        self._running[name] += 1

    def leave(self, name: str) -> None:
        """That leg has ended, answered or not."""
        self._running[name] -= 1
        if not self._running[name]:
            del self._running[name]
