"""How the event loop does, for the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.telemetry.tally import Histogram

if TYPE_CHECKING:
    from b2bua.admission import Load

LAG_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
"""Seconds; at half a second every SIP message is sent again."""


class LoopMeter:
    """Keeps what `LoopLoad` measures."""

    def __init__(self) -> None:
        self.lag = Histogram(LAG_BOUNDS)
        """Seconds that timers were late."""
        self.busy = 0.0
        """Share of one core that the loop's thread used lately."""

    def measured(self, load: Load) -> None:
        """Take one measurement."""
        self.lag.observe(load.lag)
        self.busy = load.busy
