"""The ng protocol over a WebSocket (RFC 6455): rtpengine's `listen-http`, where each message is one of binary frames.

The protocol itself is wsproto's, which does no I/O; here it meets asyncio.
"""

from __future__ import annotations

import asyncio

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from media.engine import Address

LONGEST_MESSAGE = 4 << 20
"""Octets of one message; beyond it the daemon makes no sense."""
_SUBPROTOCOL = "ng.rtpengine.com"
_TARGET = "/ng"


class WebSocket(asyncio.Protocol):
    """Carries the messages of a protocol that takes datagrams, which sees it as its transport."""

    def __init__(self, upper: asyncio.DatagramProtocol, host: str) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when messages may be sent; fails with `ConnectionError` where no ng protocol is spoken."""
        self._upper = upper
        self._host = host
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._received = b""

    @classmethod
    async def open(cls, upper: asyncio.DatagramProtocol, where: Address) -> None:
        """Makes `upper` its connection. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        host = f"[{where[0]}]" if ":" in where[0] else where[0]
        transport, made = await loop.create_connection(lambda: cls(upper, f"{host}:{where[1]}"), *where)
        try:
            await made.opened
        except BaseException:
            transport.abort()
            raise

    # -- for the protocol above ----------------------------------------------------------------------------------------

    def sendto(self, data: bytes) -> None:
        """Sends a message."""
        self._send(BytesMessage(data))

    def close(self) -> None:
        """Ends it."""
        self._send(CloseConnection(1000))
        if self._transport is not None:
            self._transport.close()

    # -- asyncio's side ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: asks for the subprotocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send(Request(host=self._host, target=_TARGET, subprotocols=[_SUBPROTOCOL]))

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                self._take(event)
        except RemoteProtocolError as error:
            self._give_up(str(error))

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio: the end."""
        self._transport = None
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("no ng protocol there: the connection was closed"))
        elif self.opened.exception() is None:
            self._upper.connection_lost(error)

    def _take(self, event: Event) -> None:
        match event:
            case AcceptConnection(subprotocol=subprotocol):
                if subprotocol == _SUBPROTOCOL:
                    self._upper.connection_made(self)  # type: ignore[arg-type] # of a transport it has what is used
                    self.opened.set_result(None)
                else:
                    self._give_up("it does not agree to the subprotocol")
            case RejectConnection(status_code=status):
                self._give_up(f"{status}")
            case BytesMessage(data=data, message_finished=finished):
                self._received += data
                if finished:
                    message, self._received = self._received, b""
                    self._upper.datagram_received(message, ("", 0))
                elif len(self._received) > LONGEST_MESSAGE:
                    self._give_up("a message without end")
            case Ping():
                self._send(event.response())
            case CloseConnection():
                self._send(event.response())
                if self._transport is not None:
                    self._transport.close()

    def _send(self, event: Event) -> None:
        if self._transport is None:
            return
        try:
            self._transport.write(self._protocol.send(event))
        except LocalProtocolError:
            # It is being closed by the other side, and `connection_lost` tells so.
            self._transport.close()

    def _give_up(self, why: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(f"no ng protocol there: {why}"))
        if self._transport is not None:
            self._transport.abort()
