"""The HTTP API on a real socket with the control double behind it, and what a raw client needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from b2bua.config import Listener
from b2bua.http_api import ApiServer
from tests.support.config_files import ConfigFiles
from tests.support.control_double import ControlDouble, as_control

KEY = "a-key-of-some-length"


@dataclass
class Running:
    """A server that runs, and where."""

    server: ApiServer
    control: ControlDouble
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.host, self.port)


@asynccontextmanager
async def running(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[Running]:
    """A server on a port of the system's choice; behind it, no task is left."""
    control = ControlDouble(ConfigFiles(folder).load())
    api = ApiServer(Listener("http", host, 0), [SecretStr(KEY)], as_control(control))
    try:
        bound, port = await api.start()
        yield Running(api, control, bound, port)
    finally:
        await api.close()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left


def play(story: Coroutine[None, None, None]) -> None:
    """Run a story; whatever it waits for comes within seconds or never."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await story

    asyncio.run(bounded())


async def answer_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return int(head.split()[1]), await reader.readexactly(int(length.partition(b":")[2]))


async def at_end(reader: asyncio.StreamReader) -> bool:
    """Waits until the server has closed the connection, by FIN or RST, without a further word."""
    try:
        return await reader.read(1) == b""
    except ConnectionResetError:
        return True
