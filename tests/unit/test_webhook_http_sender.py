"""Requests on real sockets: what arrives, what is refused before it is sent, and receivers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from b2bua.config.callback_url import parse_callback_url
from b2bua.config.webhooks import Webhooks as Settings
from b2bua.webhooks.http_sender import HttpSender
from b2bua.webhooks.sender import ConnectFailed, NoAnswer, Refused
from sip_stack.locating import ResolutionError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Names:
    """A name and its addresses, another list each time: the last stays."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def addresses(self, host: str, *, timeout: float | None = None) -> tuple[str, ...]:  # noqa: ASYNC109
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not found:
            raise ResolutionError(f"{host}: does not exist")
        return found

    async def close(self) -> None:
        pass


Story = Callable[[HttpSender, int], Awaitable[object]]


def play(
    story: Story, *, answer: bytes | None = OK, names: Names | None = None, settings: Settings | None = None
) -> list[bytes]:
    """A story with a receiver on the loopback address; what it received. Without an answer it says nothing."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                received.append(head + await reader.readexactly(size))
                if answer is not None:
                    writer.write(answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def whole() -> None:
        rules = settings or Settings(allow_private=True)
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        sender = HttpSender(names or Names(("127.0.0.1",)), rules.may_reach)
        try:
            async with asyncio.timeout(20):
                await story(sender, server.sockets[0].getsockname()[1])
        finally:
            await sender.close()
            server.close()
            await server.wait_closed()

    asyncio.run(whole())
    return received


async def post(sender: HttpSender, url: str, seconds: float = 5.0) -> int:
    headers = [("Content-Type", "text/plain"), ("Idempotency-Key", "k-1")]
    return await sender.post(
        parse_callback_url(url), headers, b"body", connect_timeout=seconds, read_timeout=seconds
    )


def test_a_request_arrives_as_it_was_meant() -> None:
    async def story(sender: HttpSender, port: int) -> None:
        for _ in range(2):
            assert await post(sender, f"http://app.example.com:{port}/h?t=1#rc=3") == 200

    first, second = play(story)
    assert first == second
    assert first.startswith(b"POST /h?t=1 HTTP/1.1\r\n")
    assert b"host: app.example.com:" in first.lower()
    assert b"Idempotency-Key: k-1\r\n" in first
    assert first.endswith(b"\r\n\r\nbody")


def test_private_addresses_are_not_connected_to_whatever_the_name_said_before() -> None:
    names = Names(("127.0.0.1",))

    async def story(sender: HttpSender, port: int) -> None:
        with pytest.raises(Refused):
            await post(sender, f"http://rebind.example.com:{port}/")
        with pytest.raises(Refused):
            await post(sender, f"http://127.0.0.1:{port}/")

    assert play(story, names=names, settings=Settings()) == []
    assert names.asked == 1, "what is checked is what is connected to: the name is looked up once"


def test_only_the_addresses_that_are_allowed_are_tried() -> None:
    async def story(sender: HttpSender, port: int) -> None:
        assert await post(sender, f"http://app.example.com:{port}/") == 200

    settings = Settings.model_validate({"allow": "127.0.0.1"})
    assert len(play(story, names=Names(("10.255.255.1", "127.0.0.1")), settings=settings)) == 1


def test_redirects_are_not_followed() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"

    async def story(sender: HttpSender, port: int) -> None:
        assert await post(sender, f"http://a.example:{port}/") == 302

    assert len(play(story, answer=redirect)) == 1


@pytest.mark.parametrize(
    "answer", [None, b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_silence_and_garbage_end_in_time(answer: bytes | None) -> None:
    async def story(sender: HttpSender, port: int) -> None:
        with pytest.raises(NoAnswer):
            await post(sender, f"http://a.example:{port}/", 0.3)

    play(story, answer=answer)


def test_nobody_there_and_no_such_name() -> None:
    async def story(sender: HttpSender, port: int) -> None:
        with pytest.raises(ConnectFailed):
            await post(sender, "http://a.example:1/")

    play(story)
    play(story, names=Names(()))


def test_an_endless_answer_is_not_read() -> None:
    async def story(sender: HttpSender, port: int) -> None:
        assert await post(sender, f"http://a.example:{port}/") == 200

    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 60_000
    play(story, answer=endless)
