"""The API on a socket: uvicorn's HTTP protocol in our own loop.

Of uvicorn only the protocol is used, behind asyncio's own server. Its server object would bring signal handlers, a
wake-up every 100 ms, logging and an exit of the process when something fails.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from email.utils import formatdate

import uvicorn
from pydantic import SecretStr
from uvicorn.server import ServerState

from b2bua.config import Listener
from b2bua.control import Control
from b2bua.http_api.app import build_app
from b2bua.http_api.auth import Keys
from b2bua.http_api.connection import IDLE_SECONDS, MAX_HEAD, BoundedConnection
from b2bua.http_api.event_log import EventLog
from b2bua.telemetry.logs import get_logger

BACKLOG = 64
"""Connections taken in one turn of the loop; SIP has its turn in between."""
SWEEP_SECONDS = 1.0
"""Between looks at clients that are too slow."""
CLOSE_SECONDS = 2.0
"""How long requests may take to finish when the server closes."""


class ApiStartError(Exception):
    """The API cannot listen where it should."""


class ApiServer:
    """Serves the API from `start` to `close`."""

    def __init__(self, listener: Listener, keys: Iterable[SecretStr], control: Control) -> None:
        """`listener`: `api.listen`. `keys`: `api.keys`; none on an address that others can reach lets nobody in."""
        self._listener = listener
        self._keys = Keys(keys, loopback=listener.is_loopback)
        self._control = control
        self._events = EventLog()
        self._config = _uvicorn_config(control, self._keys, self._events)
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(self) -> tuple[str, int]:
        """Listen; returns the bound address and port. Raises `ApiStartError`."""
        loop = asyncio.get_running_loop()
        where = self._listener
        try:
            self._server = await loop.create_server(self._connection, where.host, where.port, backlog=BACKLOG)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ApiStartError(f"api.listen {where}: {why}") from error
        self._look_after_connections()
        self._events.keep(self._control.feed)
        host, port = self._server.sockets[0].getsockname()[:2]
        get_logger().info("api_listening", host=host, port=port)
        return host, port

    def replace_keys(self, keys: Iterable[SecretStr]) -> None:
        """Take the keys of a reloaded configuration; requests with others are refused from now on."""
        self._keys.replace(keys)

    async def close(self) -> None:
        """Stop listening, let requests finish for `CLOSE_SECONDS`, close every connection."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self._events.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._state.connections):
            if not connection.transport.is_closing():
                connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(list(self._state.tasks), timeout=CLOSE_SECONDS)
        await self._drop_what_is_left()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await server.wait_closed()

    async def _drop_what_is_left(self) -> None:
        for connection in list(self._state.connections):
            connection.transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # An aborted transport closes its socket in the loop's next turn.
        await asyncio.sleep(0)

    def _connection(self) -> asyncio.Protocol:
        return BoundedConnection(self._config, self._state, app_state={})

    def _look_after_connections(self) -> None:
        """Every `SWEEP_SECONDS`: the Date header, and clients that are too slow."""
        loop = asyncio.get_running_loop()
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        for connection in list(self._state.connections):
            assert isinstance(connection, BoundedConnection), "made in _connection"
            connection.end_if_overdue(loop.time())
        self._sweep = loop.call_later(SWEEP_SECONDS, self._look_after_connections)


def _uvicorn_config(control: Control, keys: Keys, events: EventLog) -> uvicorn.Config:
    """uvicorn's settings, with everything off that reads the environment, logs, or trusts headers of proxies."""
    config = uvicorn.Config(
        build_app(control, keys, events),
        interface="asgi3",
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        workers=1,
        forwarded_allow_ips="",
        timeout_keep_alive=IDLE_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    config.load()
    return config
