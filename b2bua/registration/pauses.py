"""How long to wait before the next REGISTER."""

from __future__ import annotations

from collections.abc import Callable

Draw = Callable[[float, float], float]
"""A random number between two, as `random.uniform`."""

FIRST_PAUSE = 30.0
LONGEST_PAUSE = 1_800.0
"""Seconds after the first failure, and at most; doubled in between, of which half or more is waited (RFC 5626 section
4.5)."""

REFUSED_PAUSE = 300.0
"""The first one after a refusal that repeating does not mend: wrong credentials, an unknown user. Accounts that are
tried too often get locked."""

REFUSALS = frozenset({401, 403, 404, 405, 407, 410, 604, 606})

RECONNECT_PAUSE = 2.0
"""Seconds at most after a connection is lost, through which the registrar would have called us."""


def before_refresh(granted: float, draw: Draw) -> float:
    """Seconds until a binding of `granted` seconds is refreshed: with time left for another try, and not in step with
    what was registered at the same moment."""
    return granted * draw(0.7, 0.85)


def after_failure(failures: int, status: int | None, retry_after: float | None, draw: Draw) -> float:
    """Seconds until the next try, `failures` (1 or more) being those in a row. What the registrar asks for counts when
    it is longer."""
    first = REFUSED_PAUSE if status in REFUSALS else FIRST_PAUSE
    longest = min(first * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE)
    return min(max(longest * draw(0.5, 1.0), retry_after or 0.0), LONGEST_PAUSE)
