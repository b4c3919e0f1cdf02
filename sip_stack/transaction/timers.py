"""One timer queue for the whole stack: FIFO lanes for the constant durations, a heap for the rest.

Nearly every SIP timer lasts 64*T1, T1, T2 or T4: entries of one duration come due in the order they were
started, so a lane of each is a plain queue and starting a timer costs an append. Only the doubled intervals
of retransmission need the heap. Stopping a timer forgets its owner; the empty entry is skipped when its turn
comes.

It keeps no clock: `now` is given, in seconds of any monotonic clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Generic, TypeVar

Owner = TypeVar("Owner")


class Timer(Generic[Owner]):
    """One running timer; `owner` is None once it was stopped or has fired."""

    __slots__ = ("due", "kind", "order", "owner")

    def __init__(self, due: float, order: int, owner: Owner, kind: str) -> None:
        self.due = due
        self.order = order
        self.owner: Owner | None = owner
        self.kind = kind

    def stop(self) -> None:
        """Forget the timer: it will not fire, and it no longer keeps its owner alive."""
        self.owner = None

    def __lt__(self, other: Timer[Owner]) -> bool:
        return (self.due, self.order) < (other.due, other.order)


class TimerQueue(Generic[Owner]):
    """Timers in order of due time, and of start for equal due times."""

    __slots__ = ("_earliest", "_heap", "_lanes", "_queues", "_started")

    def __init__(self, durations: Iterable[float] = ()) -> None:
        """`durations`: the seconds that get a lane of their own."""
        self._lanes: dict[float, deque[Timer[Owner]]] = {duration: deque() for duration in durations}
        self._queues = tuple(self._lanes.values())
        self._heap: list[Timer[Owner]] = []
        self._started = 0
        self._earliest: Timer[Owner] | None = None
        """The first of all, as long as it is live; else it has to be looked for."""

    def start(self, now: float, duration: float, owner: Owner, kind: str) -> Timer[Owner]:
        """Start a timer that fires `duration` seconds after `now`; `now` never goes back."""
        self._started += 1
        timer = Timer(now + duration, self._started, owner, kind)
        lane = self._lanes.get(duration)
        if lane is None:
            heappush(self._heap, timer)
        else:
            lane.append(timer)
        earliest = self._earliest
        if earliest is not None and timer.due < earliest.due:
            self._earliest = timer
        return timer

    def next_due(self) -> float | None:
        """When the next live timer fires; None when there is none."""
        earliest = self._earliest
        if earliest is None or earliest.owner is None:
            earliest = self._earliest = self._look()
        return None if earliest is None else earliest.due

    def pop_due(self, now: float) -> tuple[Owner, str] | None:
        """The owner and kind of the earliest timer that is due, which is then over; None when none is due."""
        due = self.next_due()
        first = self._earliest
        if due is None or due > now or first is None or first.owner is None:
            return None
        owner = first.owner
        first.owner = None
        return owner, first.kind

    def __len__(self) -> int:
        """Entries held, stopped ones not yet skipped included."""
        return len(self._heap) + sum(map(len, self._queues))

    def _look(self) -> Timer[Owner] | None:
        heap = self._heap
        while heap and heap[0].owner is None:
            heappop(heap)
        first = heap[0] if heap else None
        for lane in self._queues:
            while lane and lane[0].owner is None:
                lane.popleft()
            if lane and (first is None or lane[0] < first):
                first = lane[0]
        return first
