"""What is counted of one daemon, for whoever exports it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class NgCounters:
    """Since the start of this process, over all connections to the daemon."""

    answered: int = 0
    """Requests that it did as asked."""
    refused: int = 0
    """Requests that it said no to: out of ports, a call that it does not know."""
    unanswered: int = 0
    """Requests without a reply in time, those included that were under way when the connection ended."""
    seconds: float = 0.0
    """The sum of the time that its replies took, refusals included."""
    lost: int = 0
    """Times that it was down or restarted, and its calls with it."""
