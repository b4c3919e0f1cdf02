"""How one destination of a handoff came to nothing."""

from __future__ import annotations

from b2bua.call.cause import Outcome


class HandoffFailed(Exception):
    """The destination did not take the caller; `outcome` says why. Its fallback may, unless `try_fallback` is False."""

    def __init__(self, outcome: Outcome, *, try_fallback: bool = True) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome
        self.try_fallback = try_fallback
