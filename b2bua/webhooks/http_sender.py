"""One POST over a connection to an address that was checked: httpcore, with a look at every address it connects to.

A name is resolved here and its addresses are checked here, and what is connected to is the checked address: a name
that means another address a moment later (DNS rebinding) gains nothing. TLS still checks the name. No proxies, no
redirects, no cookies.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Protocol

import httpcore2 as httpcore

from b2bua.config.callback_url import CallbackUrl
from b2bua.webhooks.sender import ConnectFailed, NoAnswer, Refused
from sip_stack.errors import SipError
from sip_stack.locating import address_version

MAX_CONNECTIONS = 64
KEPT_CONNECTIONS = 32
KEEP_SECONDS = 4.0
"""Shorter than the 5 s after which common servers close: a request that meets the close is lost, or sent twice."""
MAX_ANSWER = 16 * 1024
"""Octets of an answer's body that are read, so that its connection can be used again; nobody looks at them."""

_NETWORK = httpcore.AnyIOBackend()

MayReach = Callable[[str, str], bool]
"""Whether a host may be called at an address of it."""


class Names(Protocol):
    """Finds the addresses of a name; raises `SipError` when there are none."""

    async def addresses(self, host: str, *, timeout: float | None = None) -> tuple[str, ...]:  # noqa: ASYNC109
        """At least one."""
        ...

    async def close(self) -> None:
        """Give up all look-ups."""
        ...


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that may be reached."""

    def __init__(self, names: Names, may_reach: MayReach) -> None:
        self._names = names
        self._may_reach = may_reach

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of `host` that takes one; raises `Refused` when none may be reached."""
        assert timeout is not None, "every request has one"
        async with asyncio.timeout(timeout):
            known = await self._addresses(host, timeout)
            allowed = [address for address in known if self._may_reach(host, address)]
            if not allowed:
                raise Refused("a private address, and webhooks.allow does not name it")
            for address in allowed[:-1]:
                try:
                    return await _NETWORK.connect_tcp(address, port, timeout / len(allowed))
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    continue
            return await _NETWORK.connect_tcp(allowed[-1], port, timeout)

    async def _addresses(self, host: str, timeout: float) -> tuple[str, ...]:  # noqa: ASYNC109
        if address_version(host) is not None:
            return (host,)
        try:
            return await self._names.addresses(host, timeout=timeout)
        except SipError as error:
            raise httpcore.ConnectError(str(error)) from error


class HttpSender:
    """Sends requests over a pool of connections."""

    def __init__(self, names: Names, may_reach: MayReach) -> None:
        """Reads the system's certificates: takes some 20 ms."""
        self._names = names
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=KEPT_CONNECTIONS,
            keepalive_expiry=KEEP_SECONDS,
            network_backend=_CheckedNetwork(names, may_reach),
        )

    async def post(
        self,
        url: CallbackUrl,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        connect_timeout: float,
        read_timeout: float,
    ) -> int:
        """POST; the status of the answer. Raises `ConnectFailed`, `NoAnswer` or `Refused`."""
        limits = {
            "connect": connect_timeout,
            "read": read_timeout,
            "write": read_timeout,
            "pool": connect_timeout,
        }
        where = httpcore.URL(
            scheme="https" if url.secure else "http", host=url.host, port=url.port, target=url.target
        )
        try:
            # The library's limits are for each step: an answer in drops could take for ever.
            async with asyncio.timeout(connect_timeout + read_timeout):
                async with self._pool.stream(
                    "POST", where, headers=headers, content=body, extensions={"timeout": limits}
                ) as answer:
                    await _drain(answer)
                    return int(answer.status)
        except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout) as error:
            raise ConnectFailed(_what(error)) from error
        except (
            TimeoutError,
            httpcore.NetworkError,
            httpcore.TimeoutException,
            httpcore.ProtocolError,
        ) as error:
            raise NoAnswer(_what(error)) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._names.close()
        await self._pool.aclose()


async def _drain(answer: httpcore.Response) -> None:
    size = 0
    async for chunk in answer.aiter_stream():
        size += len(chunk)
        if size > MAX_ANSWER:
            return


def _what(error: Exception) -> str:
    """The kind of failure and nothing of the URL."""
    return type(error).__name__
