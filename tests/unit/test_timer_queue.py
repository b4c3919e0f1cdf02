"""The timer queue: order, lanes and heap together, stopping."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip_stack.transaction.timers import TimerQueue

LANES = (32.0, 0.5, 5.0, 4.0)


def drain(queue: TimerQueue[str], now: float) -> list[tuple[str, str]]:
    fired = []
    while (due := queue.pop_due(now)) is not None:
        fired.append(due)
    return fired


def test_lanes_and_heap_fire_in_order_of_due_time() -> None:
    queue: TimerQueue[str] = TimerQueue(LANES)
    queue.start(0.0, 32.0, "B", "lane")
    queue.start(0.0, 0.5, "A", "lane")
    queue.start(0.0, 3.0, "doubled", "heap")
    assert queue.next_due() == 0.5

    assert drain(queue, 3.0) == [("A", "lane"), ("doubled", "heap")]
    assert queue.next_due() == 32.0
    assert drain(queue, 31.999) == []
    assert drain(queue, 32.0) == [("B", "lane")]
    assert queue.next_due() is None
    assert len(queue) == 0


def test_equal_due_times_fire_in_the_order_they_were_started() -> None:
    queue: TimerQueue[str] = TimerQueue(LANES)
    queue.start(0.0, 1.0, "heap first", "")
    queue.start(0.5, 0.5, "then lane", "")
    queue.start(0.25, 0.75, "then heap", "")
    assert [owner for owner, _ in drain(queue, 1.0)] == ["heap first", "then lane", "then heap"]


def test_a_stopped_timer_is_skipped_wherever_it_waits() -> None:
    queue: TimerQueue[str] = TimerQueue(LANES)
    in_lane = queue.start(0.0, 0.5, "lane", "")
    behind = queue.start(0.1, 0.5, "behind", "")
    in_heap = queue.start(0.0, 0.3, "heap", "")
    in_lane.stop()
    in_heap.stop()
    assert queue.next_due() == pytest.approx(0.6)
    behind.stop()
    assert queue.next_due() is None
    assert drain(queue, 10.0) == []


def test_a_stopped_timer_keeps_nothing_alive() -> None:
    """64*T1 is long: what is stopped must not hold its call's memory until then."""

    class Owner:
        pass

    queue: TimerQueue[Owner] = TimerQueue(LANES)
    owner = Owner()
    there = weakref.ref(owner)
    timer = queue.start(0.0, 32.0, owner, "")
    timer.stop()
    del owner
    gc.collect()
    assert there() is None


def test_a_timer_may_start_the_next_while_the_queue_is_drained() -> None:
    queue: TimerQueue[str] = TimerQueue(LANES)
    queue.start(0.0, 0.5, "A", "")
    fired = []
    while (due := queue.pop_due(4.0)) is not None:
        fired.append(due[0])
        if len(fired) < 3:
            queue.start(1.0, 1.0 * len(fired), "again", "")
    assert fired == ["A", "again", "again"]


@given(
    st.lists(
        st.tuples(
            st.floats(0, 10, allow_nan=False),
            st.one_of(st.sampled_from(LANES), st.floats(0, 40, allow_nan=False)),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_it_is_a_sorted_list_that_forgets(starts: list[tuple[float, float, bool]]) -> None:
    queue: TimerQueue[int] = TimerQueue(LANES)
    expected = []
    now = 0.0
    for number, (step, duration, stop) in enumerate(starts):
        now += step
        timer = queue.start(now, duration, number, "")
        if stop:
            timer.stop()
        else:
            expected.append((now + duration, number))
    expected.sort()
    assert queue.next_due() == (expected[0][0] if expected else None)
    fired = []
    while (due := queue.pop_due(1e9)) is not None:
        fired.append(due[0])
    assert fired == [number for _, number in expected]
