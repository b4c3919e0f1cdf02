"""The inbox of a call: in order, bounded, and no wait without a deadline."""

from __future__ import annotations

import asyncio
import gc

import pytest

from b2bua.call.inbox import CAPACITY, Inbox
from tests.support.virtual_loop import run_virtual


def test_events_are_read_in_the_order_they_happened() -> None:
    async def story() -> list[int]:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(loop)
        for number in range(3):
            inbox.put(number)
        return [await inbox.get(loop.time() + 1) for _ in range(3)]

    assert asyncio.run(story()) == [0, 1, 2]


def test_a_reader_is_woken_by_the_next_event() -> None:
    async def story() -> int:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(loop)
        loop.call_soon(inbox.put, 7)
        return await inbox.get(loop.time() + 60)

    assert asyncio.run(story()) == 7


def test_a_deadline_that_passed_ends_the_wait_and_loses_nothing() -> None:
    async def story() -> int:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(loop)
        with pytest.raises(TimeoutError):
            await inbox.get(loop.time() - 1)
        inbox.put(1)
        return await inbox.get(loop.time() - 1)  # what is there already is read, late or not

    assert asyncio.run(story()) == 1


def test_each_wait_ends_at_its_own_deadline_whatever_the_one_before_had() -> None:
    async def story() -> list[float]:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(loop)
        begun, ends = loop.time(), []
        for seconds in (4.0, 30.0, 10.0, 0.5, 60.0):
            loop.call_later(0.25, inbox.put, 1)
            await inbox.get(loop.time() + seconds)
            with pytest.raises(TimeoutError):
                await inbox.get(loop.time() + seconds)
            ends.append(loop.time() - begun)
        return ends

    assert run_virtual(story()) == [4.25, 34.5, 44.75, 45.5, 105.75]


def test_waits_that_events_end_share_one_timer_and_closing_lets_go_of_it() -> None:
    def running() -> int:
        handles = [each for each in gc.get_objects() if isinstance(each, asyncio.TimerHandle)]
        return sum(not handle.cancelled() for handle in handles)

    async def story() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(loop)
        before = running()
        for seconds in (4.0, 30.0, 3600.0):
            loop.call_soon(inbox.put, 1)
            await inbox.get(loop.time() + seconds)
        waiting = running() - before
        inbox.close()
        return waiting, running() - before

    assert run_virtual(story()) == (1, 0)


def test_a_flood_is_cut_off_and_counted() -> None:
    async def story() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(loop)
        for number in range(CAPACITY + 5):
            inbox.put(number)
        return inbox.dropped, await inbox.get(loop.time())

    assert asyncio.run(story()) == (5, 0)
