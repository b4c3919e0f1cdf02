"""SIP stacks and bare sockets over TCP on loopback, for tests that look at connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

from sip_stack.aio.connections import ConnectionLimits
from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.aio.tls_contexts import TlsContexts
from sip_stack.dialog import ClientSession
from sip_stack.events import Event
from sip_stack.message import NameAddr, Request, Response, format_host_port, parse_message
from sip_stack.message.framing import PING, StreamFramer
from sip_stack.settings import EndpointSettings
from sip_stack.transport import DEFAULT_TERMS, Target, TlsTerms

E = TypeVar("E", bound=Event)

SDP = b"v=0\r\n"


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a story; one that hangs fails."""
    asyncio.run(asyncio.wait_for(main, 20))


async def come_true(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    while True:
        if condition():
            return
        await asyncio.sleep(0)


class Party:
    """A stack on loopback and all it was told."""

    def __init__(self, stack: SipStack, bound: list[Listen]) -> None:
        self.stack = stack
        self.bound = bound
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        self._news = asyncio.Event()
        stack.on_event = self._hear

    def port(self, transport: str = "tcp") -> int:
        """Where it listens."""
        return next(where.port for where in self.bound if where.transport == transport)

    @property
    def now(self) -> float:
        return self.stack.now()

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()
        self.on_event(event)

    async def until(self, kind: type[E], count: int = 1) -> E:
        """The `count`th event of that kind."""
        while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
            self._news.clear()
            await self._news.wait()
        return found[count - 1]

    def call(
        self,
        host: str,
        port: int,
        *,
        transport: str = "tcp",
        body: bytes = SDP,
        user: str = "x",
        name: str = "",
        terms: TlsTerms = DEFAULT_TERMS,
    ) -> ClientSession:
        """Call somebody; `name` and `terms` are for TLS."""
        parameter = "" if transport == "udp" else f";transport={transport}"
        uri = f"sip:{user}@{format_host_port(host, port)}{parameter}"
        session = self.stack.endpoint.invite(
            self.now,
            flow=self.stack.flow_to(Target(transport, host, port, name, terms)),
            uri=uri,
            from_=NameAddr.parse("<sip:us@example.com>"),
            to=NameAddr("", uri),
            body=body,
        )
        self.stack.flush()
        return session

    def do(self, command: Callable[[float], None]) -> None:
        """Give a session a command now."""
        command(self.now)
        self.stack.flush()


@asynccontextmanager
async def party(
    *listens: Listen,
    limits: ConnectionLimits | None = None,
    settings: EndpointSettings | None = None,
    tls: TlsContexts | None = None,
) -> AsyncIterator[Party]:
    """A running stack, by default on one TCP port of 127.0.0.1."""
    stack = SipStack(settings or EndpointSettings(), connection_limits=limits, tls=tls)
    bound = await stack.start(listens or [Listen("tcp", "127.0.0.1", 0)])
    try:
        yield Party(stack, bound)
    finally:
        await stack.close()
    assert stack.internal_errors == 0


class Wire:
    """The other end of one connection, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._framer = StreamFramer()
        self._items: list[bytes] = []
        self.address: tuple[str, int] = writer.get_extra_info("sockname")[:2]

    def send(self, data: bytes) -> None:
        """Write octets."""
        self.writer.write(data)

    async def octets(self, count: int) -> bytes:
        """That many octets, whatever they are."""
        return await self._reader.readexactly(count)

    async def message(self) -> Request | Response:
        """The next message."""
        while not self._items:
            data = await self._reader.read(65536)
            assert data, "the connection was closed"
            self._items += [item for item in self._framer.feed(data) if item is not PING]
        return parse_message(self._items.pop(0))

    async def request(self, method: str) -> Request:
        """The next message, a request of that method."""
        message = await self.message()
        assert isinstance(message, Request), message
        assert message.method == method
        return message

    async def response(self, status: int) -> Response:
        """The next message, a response of that status."""
        message = await self.message()
        assert isinstance(message, Response), message
        assert message.status == status
        return message

    async def end(self) -> bytes:
        """What comes until the connection is closed."""
        try:
            return await self._reader.read()
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        """Close it."""
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def wire(
    port: int, host: str = "127.0.0.1", *, local: str | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Wire]:
    """A connection to a stack; with `tls` by asyncio's own TLS."""
    address = None if local is None else (local, 0)
    name = "" if tls is not None else None
    streams = await asyncio.open_connection(host, port, local_addr=address, ssl=tls, server_hostname=name)
    end = Wire(*streams)
    try:
        yield end
    finally:
        await end.close()


class Listening:
    """A listening socket by hand: what connects to it is taken with `accept`."""

    def __init__(self, host: str = "127.0.0.1", backlog: int = 100) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, 0), family=family, backlog=backlog)
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]

    async def accept(self, tls: ssl.SSLContext | None = None) -> Wire:
        """The next connection; with `tls` as its server, by asyncio's own TLS."""
        loop = asyncio.get_running_loop()
        sock, _ = await loop.sock_accept(self.socket)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=tls)
        return Wire(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    def __enter__(self) -> Listening:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


@contextmanager
def deaf_listener() -> Iterator[int]:
    """The port of a listener that lets nobody in: its queue is full, and the kernel drops who knocks."""
    with ExitStack() as sockets:
        listener = sockets.enter_context(Listening(backlog=0))
        for _ in range(8):
            sock = sockets.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", listener.port))
        yield listener.port


def request_text(
    method: str,
    *,
    port: int,
    branch: str,
    call_id: str = "call-1",
    to_tag: str | None = None,
    cseq: int = 1,
    contact: str | None = None,
    body: bytes = b"",
) -> bytes:
    """A request of a peer on TCP whose Via names `port`."""
    lines = [
        f"{method} sip:us@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/TCP 127.0.0.1:{port};branch=z9hG4bK{branch}",
        "From: <sip:them@127.0.0.1>;tag=them",
        "To: <sip:us@127.0.0.1>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        f"Contact: <{contact or f'sip:them@127.0.0.1:{port};transport=tcp'}>",
        "Max-Forwards: 70",
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def response_text(
    request: Request, status: int, *, to_tag: str = "them", contact: str | None = None
) -> bytes:
    """A response to a request of ours."""
    to = request.headers.get("To") or ""
    lines = [f"SIP/2.0 {status} Whatever", *(f"Via: {value}" for value in request.headers.get_all("Via"))]
    lines += [f"{name}: {request.headers.get(name)}" for name in ("From", "Call-ID", "CSeq")]
    lines.append(f"To: {to}" if "tag=" in to or status == 100 else f"To: {to};tag={to_tag}")
    if contact:
        lines.append(f"Contact: <{contact}>")
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()


NOWHERE = 1
"""A port of loopback where nobody listens."""


def options(branch: str) -> bytes:
    """An OPTIONS request, `branch` also being its Call-ID."""
    return request_text("OPTIONS", port=NOWHERE, branch=branch, call_id=branch)


async def settled() -> None:
    """Let the loop come round until what is on its way through the kernel of this machine has arrived."""
    for _ in range(20):
        await asyncio.sleep(0)
