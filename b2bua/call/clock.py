"""Time as a call's record tells it."""

from __future__ import annotations

import time
from datetime import datetime

from b2bua.telemetry.second_text import text_of_second

_MILLISECONDS = [f".{number:03d}Z" for number in range(1000)]
"""How a stamp ends: a call has fourteen."""


class CallClock:
    """Turns loop time into wall-clock stamps.

    The wall clock is read once, when the call starts: a step of the system clock in mid-call cannot make an answer
    precede its ringing or a duration negative.
    """

    __slots__ = ("_offset",)

    def __init__(self, now: float) -> None:
        self._offset = time.time() - now

    def milliseconds(self, moment: float) -> int:
        """Loop time (seconds) as milliseconds since 1970."""
        return int((moment + self._offset) * 1000)

    def seconds(self, moment: float) -> float:
        """Loop time (seconds) as seconds since 1970."""
        return moment + self._offset

    def moment(self, stamp: str) -> float:
        """Loop time (seconds) of a stamp that a clock has written, an earlier process's too; it is negative then."""
        # In the middle of its millisecond, so that the same stamp comes of it.
        return datetime.fromisoformat(stamp).timestamp() + 0.0005 - self._offset

    def stamp(self, moment: float | None) -> str | None:
        """Loop time (seconds) as `2026-01-01T00:00:00.000Z`; None stays None."""
        if moment is None:
            return None
        second, millisecond = divmod(int((moment + self._offset) * 1000), 1000)
        return text_of_second(second) + _MILLISECONDS[millisecond]
