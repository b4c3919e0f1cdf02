"""The log behind `/v1/events`: kept once, followed at any pace, never larger than it is."""

from __future__ import annotations

import asyncio
import json

import pytest

from b2bua.call.clock import CallClock
from b2bua.feed import CallAnswered, CallStarted, Feed
from b2bua.http_api import event_log
from b2bua.http_api.event_log import EventLog, LogClosed, Passed, Reader

CLOCK = CallClock(0.0)


def start(feed: Feed, *call_ids: str) -> None:
    for call_id in call_ids:
        feed.publish(CallStarted(call_id, CLOCK, 1.0, "acme-sbc", "sip:alice@sbc", "support"))


def calls(text: bytes) -> list[str]:
    """The calls that a text tells of."""
    lines = text.decode().splitlines()
    return [json.loads(line.removeprefix("data: "))["call_id"] for line in lines if line.startswith("data: ")]


def last_id(text: bytes) -> str:
    return [line for line in text.decode().splitlines() if line.startswith("id: ")][-1].removeprefix("id: ")


def logged(capacity: int = 8) -> tuple[Feed, EventLog]:
    feed, log = Feed(), EventLog(capacity)
    log.keep(feed)
    return feed, log


def test_a_reader_gets_what_happens_from_now_on_once_and_in_order() -> None:
    async def story() -> None:
        feed, log = logged()
        start(feed, "before")
        reader = log.follow(None, None)
        assert (reader.read(), reader.missed) == (b"", 0)
        start(feed, "a", "b")
        assert calls(reader.read()) == ["a", "b"]
        start(feed, "c")
        assert calls(reader.read()) == ["c"]
        assert reader.read() == b""

    asyncio.run(story())


def test_an_event_is_written_as_the_standard_says() -> None:
    async def story() -> None:
        feed, log = logged()
        reader = log.follow(None, None)
        feed.publish(CallStarted("c", CLOCK, 1.0, "sbc", "sip:a\nb\udce4@x", "support"))
        text = reader.read()
        first, second, third, *end = text.decode().split("\n")
        assert (first, second, end) == (f"id: {log.run}-1", "event: call.started", ["", ""])
        assert json.loads(third.removeprefix("data: "))["caller"] == "sip:a\nb?@x"

    asyncio.run(story())


def test_who_names_the_last_event_goes_on_behind_it() -> None:
    async def story() -> None:
        feed, log = logged()
        first = log.follow(None, None)
        start(feed, "a", "b", "c")
        place = last_id(first.read())
        start(feed, "d", "e")
        again = log.follow(place, None)
        assert (calls(again.read()), again.missed) == (["d", "e"], 0)

    asyncio.run(story())


def test_who_comes_too_late_is_told_how_much_is_gone() -> None:
    async def story() -> None:
        feed, log = logged(capacity=4)
        start(feed, *"abcdefg")
        reader = log.follow(f"{log.run}-1", None)
        assert reader.missed == 2
        assert calls(reader.read()) == ["d", "e", "f", "g"]

    asyncio.run(story())


@pytest.mark.parametrize(
    "place", ["another-1", "1", "-", "{run}-99", "{run}-x", "{run}-²", "{run}-" + "9" * 40]
)
def test_a_place_that_is_none_begins_at_the_oldest_event(place: str) -> None:
    async def story() -> None:
        feed, log = logged()
        start(feed, "a", "b")
        reader = log.follow(place.format(run=log.run), None)
        assert (calls(reader.read()), reader.missed) == (["a", "b"], None)

    asyncio.run(story())


def test_a_reader_of_one_call_hears_of_no_other_and_keeps_its_place() -> None:
    async def story() -> None:
        feed, log = logged()
        reader = log.follow(None, "a")
        start(feed, "b", "a", "b")
        feed.publish(CallAnswered("a", CLOCK, 2.0, "assistant", ""))
        assert calls(reader.read()) == ["a", "a"]
        start(feed, "b", "b")
        assert reader.read() == b""
        assert reader.place == f"{log.run}-6", "what is not for it is not missed either"

    asyncio.run(story())


def test_a_reader_that_the_ring_passed_is_told() -> None:
    async def story() -> None:
        feed, log = logged(capacity=4)
        slow, quick = log.follow(None, None), log.follow(None, None)
        start(feed, "a", "b", "c")
        assert calls(quick.read()) == ["a", "b", "c"]
        start(feed, "d", "e")
        with pytest.raises(Passed):
            slow.read()
        assert calls(quick.read()) == ["d", "e"]

    asyncio.run(story())


def test_what_is_taken_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MAX_CHUNK", 1)

    async def story() -> None:
        feed, log = logged()
        reader = log.follow(None, None)
        start(feed, "a", "b")
        assert [calls(reader.read()) for _ in range(3)] == [["a"], ["b"], []]

    asyncio.run(story())


def test_waiting_ends_with_an_event_a_deadline_or_the_end() -> None:
    async def woken(reader: Reader) -> bool:
        try:
            await reader.wait(asyncio.get_running_loop().time() + 60)
        except TimeoutError:
            return False
        return True

    async def story() -> None:
        feed, log = logged()
        reader, loop = log.follow(None, None), asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            await reader.wait(loop.time())
        loop.call_soon(start, feed, "a")
        assert await woken(reader)
        assert calls(reader.read()) == ["a"]
        loop.call_soon(log.close)
        assert await woken(reader)
        with pytest.raises(LogClosed):
            reader.read()
        assert log.readers == 0
        start(feed, "b")

    asyncio.run(story())
