"""Counts by label and distributions: plain numbers that cost a call next to nothing, read by whoever exports them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

MAX_SERIES = 500
"""Combinations of labels of one tally. Names come from the configuration, which an operator may edit for years."""
OTHER = "other"
"""What the labels are of everything beyond that."""

Labels = tuple[str, ...]


class Tally:
    """Counts by labels; with too many combinations, the new ones count as `OTHER`."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[Labels, float] = {}

    def add(self, labels: Labels, by: float = 1) -> None:
        """Count once more, or `by` more."""
        counts = self._counts
        if labels not in counts and len(counts) >= MAX_SERIES:
            labels = (OTHER,) * len(labels)
        counts[labels] = counts.get(labels, 0) + by

    def __iter__(self) -> Iterator[tuple[Labels, float]]:
        return iter(self._counts.items())


class Histogram:
    """How values are distributed: how many are at most each bound, how many there are, and their sum."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` rise; what is above the last one is counted too."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0
        """The sum of all values."""

    def observe(self, value: float) -> None:
        """Take a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound, infinity last, and how many values are at most that."""
        seen = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            seen += count
            yield bound, seen


class Histograms:
    """Histograms by labels, with the bounds and the limit on labels in common."""

    __slots__ = ("_bounds", "_by_labels")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._by_labels: dict[Labels, Histogram] = {}

    def observe(self, labels: Labels, value: float) -> None:
        """Take a value."""
        histogram = self._by_labels.get(labels)
        if histogram is None:
            if len(self._by_labels) >= MAX_SERIES:
                labels = (OTHER,) * len(labels)
            histogram = self._by_labels.setdefault(labels, Histogram(self._bounds))
        histogram.observe(value)

    def __iter__(self) -> Iterator[tuple[Labels, Histogram]]:
        return iter(self._by_labels.items())
