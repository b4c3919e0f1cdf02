"""TLS for stacks and bare sockets on loopback: contexts of both sides, and a session by hand."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sip_stack.aio.network import Listen
from sip_stack.aio.tls_contexts import TlsContexts, TlsSettings
from sip_stack.aio.tls_session import TlsSession
from sip_stack.transport import TlsTerms
from tests.support.certificates import Authority, Pair

NAME = "b2bua.example.com"
TLS = Listen("tls", "127.0.0.1", 0)


def contexts(
    ca: Authority, pair: Pair, *terms: TlsTerms, name: str = "", asks_clients: bool = False
) -> TlsContexts:
    """Those of a stack that trusts `ca` and shows `pair`."""
    settings = TlsSettings(pair.certificate, pair.key, (ca.file,), name=name, asks_clients=asks_clients)
    return TlsContexts(settings, terms)


def client_context(ca: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    """A bare client's; it shows `pair`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca.file)
    context.check_hostname = False
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def server_context(pair: Pair, ca: Authority | None = None) -> ssl.SSLContext:
    """A bare server's; with `ca` clients must show a certificate of that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if ca is not None:
        context.load_verify_locations(ca.file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class SlowTls:
    """A TLS client whose octets go out as the test says."""

    def __init__(
        self, session: TlsSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.session = session
        self.reader, self.writer = reader, writer

    async def shake_hands(self) -> None:
        """One octet at a time."""
        self.session.receive()
        while not self.session.is_established:
            await self.trickle()
            self.session.receive(await self.reader.read(65536))
        await self.trickle()

    async def trickle(self) -> None:
        """Send what the session has, one octet at a time."""
        for octet in self.session.outgoing():
            self.writer.write(bytes([octet]))
            await asyncio.sleep(0)

    async def text(self, count: int) -> bytes:
        """What the peer says, until that many octets are there."""
        said = b""
        while len(said) < count:
            data = await self.reader.read(65536)
            assert data, "the connection was closed"
            said += self.session.receive(data)
        return said


@asynccontextmanager
async def slow_tls(port: int, ca: Authority) -> AsyncIterator[SlowTls]:
    """A connection to a stack, nothing said yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield SlowTls(TlsSession(client_context(ca), server=False, name=NAME), reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
