"""The ng protocol over a WebSocket: messages in pieces, pings, an end, and servers that speak something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
)

from media.rtpengine import websocket
from media.rtpengine.bencode import encode
from media.rtpengine.connection import NgConnection, NgError, Reply
from media.rtpengine.settings import NgAddress
from tests.support.ports import LOOPBACK, free_port

SUBPROTOCOL = "ng.rtpengine.com"


class Daemon:
    """The other end, one event at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._events: list[Event] = []

    async def next(self) -> Event:
        while not self._events:
            self._protocol.receive_data(await self._reader.read(65536) or None)
            self._events += self._protocol.events()
        return self._events.pop(0)

    def say(self, event: Event) -> None:
        self._writer.write(self._protocol.send(event))

    async def accept(self) -> None:
        request = await self.next()
        assert isinstance(request, Request)
        assert (request.target, request.subprotocols) == ("/ng", [SUBPROTOCOL])
        self.say(AcceptConnection(subprotocol=SUBPROTOCOL))

    async def asked(self) -> bytes:
        """The cookie of the next request."""
        whole, finished = b"", False
        while not finished:
            message = await self.next()
            assert isinstance(message, BytesMessage)
            whole, finished = whole + message.data, message.message_finished
        return whole.partition(b" ")[0]

    def reply(self, cookie: bytes, *, pieces: int = 1) -> None:
        data = cookie + b" " + encode({"result": "ok", "sdp": "v=0 and so on"})
        size = -(-len(data) // pieces)
        for at in range(0, len(data), size):
            self.say(BytesMessage(data[at : at + size], message_finished=at + size >= len(data)))


def nobody(reply: Reply | None = None) -> None:
    """Not asked for here."""


Served = Callable[[Daemon], Awaitable[None]]


@asynccontextmanager
async def serving(served: Served) -> AsyncIterator[NgAddress]:
    """Where a daemon does this, and then listens until the other side ends it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await served(Daemon(reader, writer))
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, free_port())
    async with server:
        yield NgAddress("ws", *server.sockets[0].getsockname()[:2])


def test_messages_come_in_pieces_between_pings() -> None:
    answered: list[Event] = []

    async def daemon(here: Daemon) -> None:
        await here.accept()
        here.reply(await here.asked(), pieces=5)
        here.say(Ping(payload=b"there?"))
        answered.append(await here.next())
        here.reply(await here.asked())

    async def run() -> None:
        async with serving(daemon) as where:
            connection = await NgConnection.open(where, nobody, nobody)
            assert connection.is_reliable
            for _ in range(2):
                assert (await connection.ask("offer", {"blob": bytes(100_000)}))["sdp"] == b"v=0 and so on"
            connection.close()

    asyncio.run(run())
    assert answered == [Pong(payload=b"there?")]


def test_one_request_waits_for_the_other() -> None:
    """rtpengine 10.5.3 answers requests of one WebSocket from several threads, and the replies run into each other."""
    between: list[Event] = []

    async def daemon(here: Daemon) -> None:
        await here.accept()
        for _ in range(3):
            cookie = await here.asked()
            here.say(Ping(payload=b"and then?"))
            between.append(await here.next())
            here.reply(cookie)

    async def run() -> None:
        async with serving(daemon) as where:
            connection = await NgConnection.open(where, nobody, nobody)
            replies = await asyncio.gather(*(connection.ask("offer") for _ in range(3)))
            assert [reply["sdp"] for reply in replies] == [b"v=0 and so on"] * 3
            connection.close()

    asyncio.run(run())
    assert between == [Pong(payload=b"and then?")] * 3


async def closes(here: Daemon) -> None:
    here.say(CloseConnection(1001))


async def talks_without_end(here: Daemon) -> None:
    for _ in range(9):
        here.say(BytesMessage(bytes(100), message_finished=False))


async def talks_nonsense(here: Daemon) -> None:
    here._writer.write(b"\xff\xff\xff nonsense")


@pytest.mark.parametrize("ends", [closes, talks_without_end, talks_nonsense])
def test_an_end_or_nonsense_is_told_once_and_fails_what_waits(
    ends: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "LONGEST_MESSAGE", 500)

    async def daemon(here: Daemon) -> None:
        await here.accept()
        await here.asked()
        await ends(here)

    async def run() -> None:
        lost = asyncio.Queue[None]()
        async with serving(daemon) as where:
            connection = await NgConnection.open(where, nobody, lambda: lost.put_nowait(None))
            with pytest.raises(NgError):
                await connection.ask("ping")
            await lost.get()
            assert not connection.is_open
            connection.close()
        assert lost.empty()

    asyncio.run(run())


async def refuses(here: Daemon) -> None:
    await here.next()
    here.say(RejectConnection(status_code=404))


async def agrees_to_nothing(here: Daemon) -> None:
    await here.next()
    here.say(AcceptConnection())


async def hangs_up(here: Daemon) -> None:
    await here.next()
    here._writer.close()


async def is_no_web_server(here: Daemon) -> None:
    here._writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@pytest.mark.parametrize(
    ("speaks", "said"),
    [
        (refuses, "404"),
        (agrees_to_nothing, "does not agree"),
        (hangs_up, "was closed"),
        (is_no_web_server, "no ng protocol there"),
    ],
)
def test_where_no_ng_protocol_is_spoken_is_said(speaks: Served, said: str) -> None:
    async def run() -> None:
        async with serving(speaks) as where:
            with pytest.raises(NgError, match=said):
                await NgConnection.open(where, nobody, nobody)

    asyncio.run(run())
