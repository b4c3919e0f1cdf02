"""A step of an acceptance: what it is told, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from b2bua.call.cause import Outcome

if TYPE_CHECKING:
    from b2bua.call.events import LegEvent

Verdict = Outcome | Literal["done"] | None
"""Why the human does not get the caller; `done`: this step is over and the next begins; None: it goes on."""


class Step(Protocol):
    """One thing after the other; each is begun once and ended once, also when the far end is given up."""

    deadline: float
    """Loop time (seconds) at which `expire` is asked."""

    def begin(self) -> None:
        """Start. The far end hears nobody yet but what this step lets it hear."""

    def hear(self, event: LegEvent) -> Verdict:
        """Take an event of the leg, other than its end."""

    def expire(self) -> Verdict:
        """The deadline has come."""

    def end(self) -> None:
        """Stop whatever goes on."""
