"""The inbox of a call: in order, bounded, and no wait without a deadline."""

from __future__ import annotations

import asyncio

import pytest

from b2bua.call.inbox import CAPACITY, Inbox


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


def test_a_flood_is_cut_off_and_counted() -> None:
    async def story() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(loop)
        for number in range(CAPACITY + 5):
            inbox.put(number)
        return inbox.dropped, await inbox.get(loop.time())

    assert asyncio.run(story()) == (5, 0)
