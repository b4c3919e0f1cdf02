"""`GET /v1/events` on real sockets: as it happens, resumed, kept alive, and never held up by who does not read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from b2bua.call.clock import CallClock
from b2bua.feed import CallStarted, Feed
from b2bua.http_api import connection, event_log, events, server
from tests.support.http_api_server import KEY, Running, answer_of, at_end, play, running

CLOCK = CallClock(0.0)


def start(feed: Feed, call_id: str, called: str = "support") -> None:
    feed.publish(CallStarted(call_id, CLOCK, 1.0, "acme-sbc", "sip:alice@sbc", called))


class Stream:
    """A client that reads one field after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.head = b""
        self._text = b""

    async def begin(self) -> None:
        """Past the head and what stands before the first event."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        await self.block()

    async def block(self) -> dict[str, str]:
        """The next block of fields; comments are under an empty name."""
        while b"\n\n" not in self._text:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            self._text += (await self.reader.readexactly(size + 2))[:size]
            if size == 0:
                raise EOFError
        block, _, self._text = self._text.partition(b"\n\n")
        pairs = [line.partition(": ") for line in block.decode().split("\n")]
        return {name if separator else "": value for name, separator, value in pairs}

    async def call(self) -> str:
        """The call that the next event tells of."""
        return str(json.loads((await self.block())["data"])["call_id"])


@asynccontextmanager
async def following(api: Running, query: str = "", last_id: str = "") -> AsyncIterator[Stream]:
    reader, writer = await api.connect()
    resume = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
    head = f"GET /v1/events{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n{resume}\r\n"
    writer.write(head.encode())
    stream = Stream(reader, writer)
    await stream.begin()
    try:
        yield stream
    finally:
        writer.close()


def test_events_arrive_as_they_happen(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api, following(api) as stream:
            assert b"content-type: text/event-stream" in stream.head.lower()
            assert b"content-length" not in stream.head.lower()
            start(api.control.feed, "call-1")
            block = await stream.block()
            assert block["event"] == "call.started"
            assert json.loads(block["data"]) == {
                "event": "call.started",
                "at": CLOCK.stamp(1.0),
                "call_id": "call-1",
                "trunk": "acme-sbc",
                "caller": "sip:alice@sbc",
                "called": "support",
            }

    play(story())


def test_a_client_that_comes_again_gets_what_it_missed(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api:
            feed = api.control.feed
            async with following(api) as stream:
                start(feed, "a")
                last = (await stream.block())["id"]
            start(feed, "b")
            start(feed, "c")
            async with following(api, last_id=last) as again:
                assert [await again.call() for _ in range(2)] == ["b", "c"]

    play(story())


def test_a_gap_is_told_before_what_is_left(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api:
            start(api.control.feed, "a")
            async with following(api, last_id="of-an-earlier-run") as stream:
                block = await stream.block()
                assert (block["event"], json.loads(block["data"])["missed"]) == ("gap", None)
                assert await stream.call() == "a"

    play(story())


def test_one_call_can_be_followed(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api, following(api, "?call_id=a") as stream:
            for call_id in ("b", "a", "b", "a"):
                start(api.control.feed, call_id)
            assert [await stream.call() for _ in range(2)] == ["a", "a"]

    play(story())


def test_silence_is_broken_by_a_comment_that_moves_the_place_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.1)

    async def story() -> None:
        async with running(tmp_path) as api, following(api, "?call_id=a") as stream:
            before = await stream.block()
            start(api.control.feed, "b")
            while (block := await stream.block())["id"] == before["id"]:
                pass
            assert "event" not in block

    play(story())


def test_a_stream_outlives_the_time_limit_of_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(connection, "REQUEST_SECONDS", 0.1)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(events, "HEARTBEAT", 0.05)

    async def story() -> None:
        async with running(tmp_path) as api, following(api) as stream:
            for _ in range(10):
                await stream.block()
            start(api.control.feed, "a")
            while (block := await stream.block()).get("event") is None:
                pass
            assert block["event"] == "call.started"

    play(story())


def test_a_client_that_does_not_read_is_dropped_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(events, "GATHER", 0.0)

    async def story() -> None:
        async with running(tmp_path) as api:
            slow = socket.socket()
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(slow, (api.host, api.port))
            head = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
            await loop.sock_sendall(slow, head.encode())
            async with following(api) as quick:
                connections = api.server._state.connections
                number = 0
                while (
                    len(connections) == 2
                ):  # what the slow one does not take fills the kernel's buffers first
                    number += 1
                    start(api.control.feed, f"call-{number}", "x" * 50_000)
                    assert await quick.call() == f"call-{number}"
            slow.close()

    play(story())


def test_a_client_that_the_ring_passes_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "GATHER", 0.2)

    async def story() -> None:
        async with running(tmp_path) as api, following(api) as stream:
            start(api.control.feed, "a")
            assert await stream.call() == "a"
            for number in range(event_log.CAPACITY + 1):
                start(api.control.feed, f"call-{number}")
            with pytest.raises(EOFError):
                await stream.block()

    play(story())


def test_streams_are_few_and_a_place_is_free_again_when_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_STREAMS", 1)
    get = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()

    async def story() -> None:
        async with running(tmp_path) as api:
            reader, writer = await api.connect()
            async with following(api):
                writer.write(get)
                status, body = await answer_of(reader)
                assert (status, json.loads(body)["error"]["code"]) == (503, "too_many_streams")
            status = 503
            while status == 503:  # until the server has seen that the first client went
                writer.write(get)
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head.split()[1])
                if status == 503:
                    await reader.readuntil(b"}}")
            assert status == 200
            writer.close()

    play(story())


def test_no_key_no_events(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api:
            reader, writer = await api.connect()
            writer.write(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await answer_of(reader))[0] == 401
            writer.close()

    play(story())


def test_the_end_of_the_server_ends_its_streams_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path) as api, following(api) as stream:
            async with asyncio.timeout(server.CLOSE_SECONDS):
                await api.server.close()
            with pytest.raises(EOFError):
                await stream.block()
            assert await at_end(stream.reader)

    play(story())
