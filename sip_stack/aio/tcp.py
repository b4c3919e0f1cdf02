"""SIP over TCP: one listening socket, the connections it accepted and those made from its address.

RFC 3261 section 18: one connection to a peer serves everything to and from it; it is made when there is something
to send and none is there. A flow that we made connects again when its connection is gone; one that was accepted
does not: behind its port nobody listens, so whoever needs the peer goes by its Via or Contact. `tls.py` builds on this.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import TypeVar

from sip_stack.aio.advertise import AdvertisedAddresses
from sip_stack.aio.class_of_service import mark
from sip_stack.aio.connections import READ_SIZE, Connection, Connections
from sip_stack.aio.network import MAX_FLOWS, Listen, Receiver, address_of, cannot_listen
from sip_stack.errors import TransportError
from sip_stack.transport import Address, Flow, Target, TlsPeer

T = TypeVar("T", bound="TcpTransport")

BACKLOG = 1024
"""Connections that the kernel keeps for us to accept."""
LOOK_INTERVAL = 1.0
"""Seconds between two looks for connections that take too long."""


Key = tuple[Address, TlsPeer | None]
"""What finds a connection: where it leads, and for one of ours over TLS to whom."""


class TcpTransport:
    """One listening TCP socket. Made by `open_tcp`."""

    transport = "tcp"

    def __init__(
        self,
        sock: socket.socket,
        receiver: Receiver,
        advertised: AdvertisedAddresses,
        connections: Connections,
        dscp: int,
    ) -> None:
        """Takes over the bound socket; `listen` follows. Call with a running loop."""
        self._socket = sock
        self._receiver = receiver
        self._advertised = advertised
        self._shared = connections
        self._dscp = dscp
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._server: asyncio.Server | None = None
        self._flows: dict[Key, Flow] = {}
        """Flows that connect when something is to be sent."""
        self._connections: dict[Key, Connection] = {}
        self._attempts: dict[Connection, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        host, port = sock.getsockname()[:2]
        self.local: Address = (host, port)

    async def listen(self) -> None:
        """Start to accept connections."""
        self._server = await self._loop.create_server(lambda: _Door(self), sock=self._socket, backlog=BACKLOG)

    def flow_to(self, target: Target) -> Flow:
        """The flow to an address literal: the connection that is there, or one to be made. Raises
        TransportError."""
        key = address_of(target), self._peer_of(target)
        connection = self._connections.get(key)
        if connection is not None:
            return connection.flow
        flow = self._flows.get(key)
        if flow is None:
            if len(self._flows) >= MAX_FLOWS:
                del self._flows[next(iter(self._flows))]
            flow = self._flows[key] = self._new_flow(key, 0)
        return flow

    def is_connected(self, flow: Flow) -> bool:
        """True while the flow's own connection is there, or about to be."""
        connection = self._connections.get(_key(flow))
        return connection is not None and connection.flow.connection == flow.connection

    def send(self, data: bytes, flow: Flow) -> None:
        """Send, connecting first when the flow is one of ours. Raises TransportError."""
        connection = self._connections.get(_key(flow))
        if connection is None or connection.flow.connection != flow.connection:
            if flow.connection:
                raise TransportError(f"the connection from {flow.remote[0]} is gone")
            if connection is None:
                connection = self._connect(flow)
        connection.send(data)

    def forget_flows(self) -> None:
        """Flows made from now on get what is advertised now."""
        self._flows.clear()

    def close(self) -> None:
        """Close the listener and every connection; what waits to be sent is lost."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        self._socket.close()
        for connection in list(self._connections.values()):
            connection.end("shutdown", "closed")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._flows.clear()

    def look(self) -> None:
        """End the connections that take too long."""
        now = self._loop.time()
        for connection in list(self._connections.values()):
            connection.look(now)

    def accept(self, transport: asyncio.Transport) -> None:
        """A peer has connected: take the connection in, or close it when there are too many."""
        peer = transport.get_extra_info("peername")
        number = 0 if peer is None or self._closed else self._admit(peer[0])
        if not number:
            transport.abort()
            return
        remote: Address = (peer[0], peer[1])
        try:
            flow = self._new_flow((remote, None), number)
        except TransportError:
            self._shared.leave(peer[0])
            transport.abort()
            return
        connection = self._keep(flow)
        transport.set_protocol(connection)
        connection.connection_made(transport)

    # What is different with TLS

    def _admit(self, source: str) -> int:
        """The number of a connection from `source`, 0 when it is not taken in."""
        return self._shared.admit(source)

    def _peer_of(self, target: Target) -> TlsPeer | None:
        return None

    def _new_flow(self, key: Key, number: int) -> Flow:
        remote, peer = key
        host = self._advertised.toward(remote[0], self.local[0])
        return Flow(self.transport, self.local, remote, (host, self.local[1]), number, peer=peer)

    def _new_connection(self, flow: Flow) -> Connection:
        return Connection(flow, self._receiver, self._shared, self._buffer, self._on_end)

    # Within

    def _keep(self, flow: Flow) -> Connection:
        connection = self._connections[_key(flow)] = self._new_connection(flow)
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_INTERVAL, self._on_timer)
        return connection

    def _connect(self, flow: Flow) -> Connection:
        if len(self._attempts) >= self._shared.limits.total:
            raise TransportError("too many connections are being made")
        connection = self._keep(flow)
        task = self._loop.create_task(self._attempt(connection), name=f"connect to {flow.remote[0]}")
        self._attempts[connection] = task
        task.add_done_callback(lambda _: self._attempts.pop(connection, None))
        return connection

    async def _attempt(self, connection: Connection) -> None:
        limits, counters = self._shared.limits, self._shared.counters
        host = connection.flow.remote[0]
        try:
            async with asyncio.timeout(limits.connect_timeout):
                sock = await self._open_connection(connection.flow.remote)
                await self._loop.create_connection(lambda: connection, sock=sock)
            counters.connected += 1
        except TimeoutError:
            counters.connect_failures += 1
            connection.end("refused", f"no connection to {host} within {limits.connect_timeout:g} s")
        except (OSError, OverflowError, ValueError) as error:
            counters.connect_failures += 1
            connection.end("refused", f"no connection to {host}: {error}")

    async def _open_connection(self, remote: Address) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in remote[0] else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            mark(sock, self._dscp)
            if not ip_address(self.local[0]).is_unspecified:
                # From the address that we listen on: peers know us by it.
                sock.bind((self.local[0], 0))
            await self._loop.sock_connect(sock, remote)
        except BaseException:
            sock.close()
            raise
        return sock

    def _on_end(self, connection: Connection, reason: str) -> None:
        flow = connection.flow
        del self._connections[_key(flow)]
        if flow.connection:
            self._shared.leave(flow.remote[0])
        attempt = self._attempts.get(connection)
        if attempt is not None:
            attempt.cancel()
        self._receiver.lost(flow, reason, connection.loss_reason)

    def _on_timer(self) -> None:
        self._timer = None
        self.look()
        if self._connections:
            self._timer = self._loop.call_later(LOOK_INTERVAL, self._on_timer)


def _key(flow: Flow) -> Key:
    return flow.remote, flow.peer


class _Door(asyncio.Protocol):
    """Stands in until the peer's address is known; then `Connection` takes over."""

    def __init__(self, owner: TcpTransport) -> None:
        self._owner = owner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._owner.accept(transport)


async def open_tcp(
    where: Listen, receiver: Receiver, advertised: AdvertisedAddresses, connections: Connections
) -> TcpTransport:
    """Bind a TCP socket and listen. Raises TransportError."""
    return await open_stream(
        where, lambda sock: TcpTransport(sock, receiver, advertised, connections, where.dscp)
    )


async def open_stream(where: Listen, make: Callable[[socket.socket], T]) -> T:
    """Bind a TCP socket and have the transport that `make` makes of it listen. Raises TransportError."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # Connections that are accepted inherit it.
        mark(sock, where.dscp)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((where.host, where.port))
        transport = make(sock)
        await transport.listen()
    except (OSError, OverflowError) as error:
        sock.close()
        raise cannot_listen(where, error) from error
    except BaseException:
        sock.close()
        raise
    return transport
