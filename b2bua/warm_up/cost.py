"""What a call costs as calls go by, and whether it still gets less."""

from __future__ import annotations

from collections.abc import Sequence

GAIN = 0.03
"""Share of the cost by which it must have fallen to be falling still."""


class Costs:
    """CPU seconds per call, batch by batch."""

    def __init__(self, least: int) -> None:
        """Calls are taken to get cheaper until there were `least` of them, whatever they cost."""
        self._least = least
        self._costs: list[float] = []
        self.calls = 0
        """How many were counted."""

    def add(self, calls: int, seconds: float) -> None:
        """Take what each of so many calls has cost on average."""
        self._costs.append(seconds)
        self.calls += calls

    @property
    def first(self) -> float:
        """Of the first batch."""
        return self._costs[0]

    @property
    def last(self) -> float:
        """Of the last quarter of all calls."""
        return _undisturbed(self._costs[len(self._costs) * 3 // 4 :])

    @property
    def are_falling(self) -> bool:
        """False when the last quarter of all calls costs what the quarter before did. A share of all and not a number:
        compilers take what runs often first, so that what is left to gain comes ever more slowly."""
        count = len(self._costs)
        if count < 4 or self.calls < self._least:
            return True
        return self.last < (1 - GAIN) * _undisturbed(self._costs[count // 2 : count * 3 // 4])


def _undisturbed(costs: Sequence[float]) -> float:
    """Their lower quartile: other work of the machine only ever adds, and the least may be luck."""
    return sorted(costs)[len(costs) // 4]
