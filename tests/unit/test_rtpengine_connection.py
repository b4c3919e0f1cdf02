"""The connection to a daemon: what is lost is sent again, what comes in pieces is put together, what ends is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from media.rtpengine.bencode import decode, encode
from media.rtpengine.connection import DEADLINE, NgConnection, NgError, NobodyThere, OnReply, Reply
from media.rtpengine.settings import NgAddress
from tests.support.ports import LOOPBACK, free_port
from tests.support.virtual_loop import run_virtual


class DeafDaemon(asyncio.DatagramProtocol):
    """Takes the second of each request only, and says each reply twice."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        assert self._transport is not None
        self.heard.append(data)
        if self.heard.count(data) == 2:
            cookie, _, body = data.partition(b" ")
            message = decode(body)
            assert isinstance(message, dict)
            assert isinstance(message["command"], bytes)
            reply = cookie + b" " + encode({"result": "ok", "asked": message["command"]})
            for answer in (b"\xff nonsense", reply, reply):
                self._transport.sendto(answer, address)


def nobody(reply: Reply | None = None) -> None:
    """Not asked for here."""


def test_a_datagram_that_is_lost_is_sent_again() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        transport, daemon = await loop.create_datagram_endpoint(DeafDaemon, local_addr=(LOOPBACK, 0))
        where = NgAddress("udp", LOOPBACK, transport.get_extra_info("sockname")[1])
        connection = await NgConnection.open(where, nobody, nobody)
        replies = await asyncio.gather(connection.ask("ping"), connection.ask("query", {"call-id": "x"}))
        assert [reply["asked"] for reply in replies] == [b"ping", b"query"]
        assert len(daemon.heard) == 4
        connection.close()
        with pytest.raises(NgError):
            await connection.ask("ping")
        transport.close()
        await asyncio.sleep(0)  # asyncio closes sockets in its next turn

    asyncio.run(run())


class Wire(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        """Nothing to end."""


def test_requests_of_one_turn_go_out_together_and_before_the_end() -> None:
    async def run() -> None:
        wire = Wire()
        connection = NgConnection(nobody, nobody)
        connection.connection_made(wire)
        for call in "abc":
            connection.request("query", {"call-id": call}, nobody)
        await asyncio.sleep(0)
        (together,) = wire.written
        assert together.count(b"7:command5:query") == 3
        connection.request("delete", {"call-id": "a"}, nobody)
        connection.close()
        assert b"delete" in wire.written[-1]

    run_virtual(run())


def test_each_request_has_its_own_deadline() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        failed: list[tuple[str, object]] = []

        def fails(name: str) -> OnReply:
            return lambda reply: failed.append((name, loop.time() - begun)) if reply is None else None

        wire, begun = Wire(), loop.time()
        connection = NgConnection(nobody, nobody)
        connection.connection_made(wire)
        for name in ("first", "second", "third"):
            connection.request("ping", {}, fails(name))
            await asyncio.sleep(0.5)
        cookie = wire.written[1].partition(b" ")[0]
        connection.data_received(cookie + b" " + encode({"result": "pong"}))
        await asyncio.sleep(10)
        assert failed == [("first", pytest.approx(DEADLINE)), ("third", pytest.approx(DEADLINE + 1.0))]
        connection.request("ping", {}, fails("later"))
        await asyncio.sleep(10)
        assert failed[2:] == [("later", pytest.approx(11.5 + DEADLINE))]

    run_virtual(run())


Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def connected(
    served: Served, on_notice: Callable[[Reply], None] = nobody, on_lost: Callable[[], None] = nobody
) -> AsyncIterator[NgConnection]:
    """A connection to a daemon that does this, and then listens until the other side ends it."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await served(reader, writer)
            await reader.read()
        finally:
            writer.close()
            over.set()

    server = await asyncio.start_server(serve, LOOPBACK, free_port())
    async with server:
        where = NgAddress("tcp", LOOPBACK, server.sockets[0].getsockname()[1])
        connection = await NgConnection.open(where, on_notice, on_lost)
        yield connection
        connection.close()
        await over.wait()


def test_a_stream_is_cut_into_messages() -> None:
    """A reply in pieces of one octet, with a notice before it."""

    async def daemon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cookie, _, _ = (await reader.read(1000)).partition(b" ")
        notice = b"abc " + encode({"notify": "onDTMF", "data": {"event": 5}})
        for octet in notice + cookie + b" " + encode({"result": "ok", "sdp": "v=0 and so on"}):
            writer.write(bytes([octet]))
            await writer.drain()

    async def run() -> None:
        notices: list[Reply] = []
        async with connected(daemon, notices.append) as connection:
            assert (await connection.ask("offer", {"blob": bytes(100_000)}))["sdp"] == b"v=0 and so on"
        assert [notice["notify"] for notice in notices] == [b"onDTMF"]

    asyncio.run(run())


@pytest.mark.parametrize("last_words", [b"", b"x i--1e", b"x d6:result2:okXX"])
def test_an_end_or_nonsense_is_told_once_and_fails_what_waits(last_words: bytes) -> None:
    async def daemon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(last_words)
        if not last_words:
            writer.close()

    async def run() -> None:
        lost = asyncio.Queue[None]()
        async with connected(daemon, on_lost=lambda: lost.put_nowait(None)) as connection:
            with pytest.raises(NgError):
                await connection.ask("ping")
            await lost.get()
            assert not connection.is_open
        assert lost.empty()

    asyncio.run(run())


def test_where_nobody_listens_is_known_at_once() -> None:
    async def run() -> None:
        with pytest.raises(NobodyThere):
            await NgConnection.open(NgAddress("tcp", LOOPBACK, free_port()), nobody, nobody)

    asyncio.run(run())


def test_a_refusal_has_its_reason() -> None:
    async def daemon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cookie, _, _ = (await reader.read(1000)).partition(b" ")
        writer.write(cookie + b" " + encode({"result": "error", "error-reason": "Unknown call-id"}))

    async def run() -> None:
        async with connected(daemon) as connection:
            with pytest.raises(NgError, match="Unknown call-id"):
                await connection.ask("query", {"call-id": "x"})

    asyncio.run(run())
