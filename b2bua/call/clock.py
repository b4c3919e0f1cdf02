"""Time as a call's record tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class CallClock:
    """Turns loop time into wall-clock stamps.

    The wall clock is read once, when the call starts: a step of the system clock in mid-call cannot make an answer
    precede its ringing or a duration negative.
    """

    __slots__ = ("_started_at", "_started_wall")

    def __init__(self, now: float) -> None:
        self._started_at = now
        self._started_wall = datetime.now(UTC).replace(tzinfo=None)

    def stamp(self, moment: float | None) -> str | None:
        """Loop time (seconds) as `2026-01-01T00:00:00.000Z`; None stays None."""
        if moment is None:
            return None
        wall = self._started_wall + timedelta(seconds=moment - self._started_at)
        return wall.isoformat(timespec="milliseconds") + "Z"
