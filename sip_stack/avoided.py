"""Targets that failed a moment ago and are tried last for a while (RFC 3263 section 4.3, RFC 3261 section 21.5.4).

A target is one address, port and transport: what fails there says nothing of other ports, of other names at the same
address, nor of other calls that already use it. It is never left out, only put behind those that may do better.
"""

from __future__ import annotations

from collections.abc import Iterable

from sip_stack.transport import Target

AVOIDED = 30.0
"""Seconds that a target is avoided which did not say for how long."""

LONGEST = 300.0
"""Seconds at most, whatever its Retry-After says: it may be a mistake, and asking costs one INVITE."""

_Place = tuple[str, str, int]


class AvoidedTargets:
    """Which targets to try last. Times are seconds of whatever clock the caller uses."""

    def __init__(self, limit: int = 1024) -> None:
        """`limit` targets are remembered at most; the one that was avoided longest ago is forgotten first."""
        self._until: dict[_Place, float] = {}
        self._limit = limit

    def avoid(self, target: Target, now: float, seconds: float | None = None) -> None:
        """Put a target behind the others for so long (`AVOIDED` when it did not say)."""
        place = _place(target)
        self._until.pop(place, None)
        self._until[place] = now + min(AVOIDED if seconds is None else seconds, LONGEST)
        while len(self._until) > self._limit:
            del self._until[next(iter(self._until))]

    def forgive(self, target: Target) -> None:
        """It works: as if nothing had been."""
        if self._until:
            self._until.pop(_place(target), None)

    def last(self, targets: Iterable[Target], now: float) -> list[Target]:
        """The same targets, those that are avoided last, otherwise in their order."""
        if not self._until:
            return list(targets)
        return sorted(targets, key=lambda target: self._until.get(_place(target), now) > now)


def _place(target: Target) -> _Place:
    return target.transport, target.host, target.port
