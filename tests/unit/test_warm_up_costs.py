"""When calls get no cheaper any more."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from b2bua.warm_up.cost import Costs

BATCH = 200
LEAST = 4_000


def calls_until_no_longer_falling(costs: Iterable[float]) -> int:
    """How many calls were counted by then."""
    counted = Costs(LEAST)
    for cost in costs:
        counted.add(BATCH, cost)
        if not counted.are_falling:
            return counted.calls
    raise AssertionError("they fall to the end")


def test_what_never_falls_is_watched_for_a_while() -> None:
    assert calls_until_no_longer_falling(0.0015 for _ in count()) == LEAST


def test_what_falls_is_watched_until_it_has_been_flat_for_as_long() -> None:
    fall = [0.006 - 0.0001 * step for step in range(50)]
    end_of_fall = len(fall) * BATCH
    assert end_of_fall < calls_until_no_longer_falling([*fall, *[fall[-1]] * 100]) <= 2 * end_of_fall + BATCH


def test_a_fall_that_gets_slower_is_a_fall() -> None:
    counted = Costs(LEAST)
    for step in range(1, 400):
        counted.add(BATCH, 0.006 / step**0.5)
        assert counted.are_falling


def test_what_comes_between_neither_ends_it_nor_keeps_it_going() -> None:
    costs = [0.0015, 0.009, 0.0016, 0.0015] * 100
    lucky = [0.0005 if step == 7 else cost for step, cost in enumerate(costs)]
    assert calls_until_no_longer_falling(costs) <= LEAST + 2 * BATCH
    assert calls_until_no_longer_falling(lucky) <= LEAST + 2 * BATCH


def test_the_last_is_what_undisturbed_calls_have_cost() -> None:
    counted = Costs(LEAST)
    for cost in (0.006, 0.004, 0.003, 0.003, 0.003, 0.003, 0.002, 0.009):
        counted.add(BATCH, cost)
    assert (counted.first, counted.last, counted.calls) == (0.006, 0.002, 8 * BATCH)
