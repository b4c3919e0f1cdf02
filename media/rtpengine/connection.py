"""A connection to one daemon: requests with their replies, over UDP with retransmission, over TCP or a WebSocket.

The ng protocol: a cookie, a space, a bencoded dictionary; the reply carries the same cookie. rtpengine remembers the
replies it gave for a while, so that a request that is sent again is not carried out again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count, takewhile
from typing import Any, TypeAlias

from media.rtpengine.bencode import BencodeError, Incomplete, Value, Writable, decode, decode_at, encode
from media.rtpengine.counters import NgCounters
from media.rtpengine.settings import NgAddress

_log = logging.getLogger(__name__)

Reply: TypeAlias = "dict[str, Value]"
OnReply: TypeAlias = "Callable[[Reply | None], None]"
"""Gets the reply, or None when there was none in time or the connection is gone."""

DEADLINE = 2.5
"""Seconds until a request without a reply has failed."""
RETRANSMISSIONS = (0.25, 0.5, 1.0)
"""Seconds over UDP between one sending of a request and the next."""
LONGEST_DATAGRAM = 65_000
LONGEST_MESSAGE = 4 << 20
"""Octets of one message over TCP; beyond it the daemon makes no sense."""


class NgError(Exception):
    """The daemon cannot be reached, or said no."""


class NobodyThere(NgError):
    """Its machine says that nobody listens there: the daemon is gone, and with it all that it carried."""


@dataclass(slots=True)
class _Pending:
    data: bytes
    on_reply: OnReply
    since: float
    timers: list[asyncio.TimerHandle] = field(default_factory=list)

    def stop(self) -> None:
        for timer in self.timers:
            timer.cancel()


class NgConnection(asyncio.Protocol, asyncio.DatagramProtocol):
    """Opened by `open`, and of no more use once it is closed or lost. Callbacks run on the event loop, and never from
    inside `request`."""

    def __init__(
        self,
        on_notice: Callable[[Reply], None],
        on_lost: Callable[[], None],
        counters: NgCounters | None = None,
        transport: str = "tcp",
    ) -> None:
        """`on_notice` hears what the daemon says unasked, `on_lost` that nobody is there any more. `transport` is that
        of an `NgAddress`."""
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._counters = counters or NgCounters()
        self._transport: Any = None
        self._transport_name = transport
        self._refused = False
        self._received = b""
        # Of no connection before: the daemon would answer with what it said then.
        self._cookie = secrets.token_hex(6).encode()
        self._numbers = count()
        self._pending: dict[bytes, _Pending] = {}
        """In the order of the requests."""
        self._overdue: asyncio.TimerHandle | None = None
        """Runs until the oldest of them has waited too long, or one before it would have."""
        self._outgoing: list[bytes] = []
        """Requests of this turn of the loop, over TCP."""
        self._under_way: bytes | None = None
        """The one request that is, over a WebSocket: rtpengine 10.5.3 answers several at a time from several threads,
        and their replies run into each other."""

    @classmethod
    async def open(
        cls,
        where: NgAddress,
        on_notice: Callable[[Reply], None],
        on_lost: Callable[[], None],
        counters: NgCounters | None = None,
    ) -> NgConnection:
        """A connection to the daemon. Raises `NgError`; over UDP only when there is no way to it at all."""
        loop = asyncio.get_running_loop()
        made = cls(on_notice, on_lost, counters, where.transport)
        address = (where.host, where.port)
        try:
            async with asyncio.timeout(DEADLINE):
                if where.transport == "tcp":
                    await loop.create_connection(lambda: made, *address)
                elif where.transport == "ws":
                    # What it is made of is an extra.
                    from media.rtpengine.websocket import WebSocket

                    await WebSocket.open(made, address)
                else:
                    await loop.create_datagram_endpoint(lambda: made, remote_addr=address)
        except ConnectionRefusedError:
            raise NobodyThere("nobody listens there") from None
        except OSError as error:
            raise NgError(str(error) or "does not answer") from error
        return made

    @property
    def is_open(self) -> bool:
        """False once it is closed or lost."""
        return self._transport is not None

    @property
    def is_reliable(self) -> bool:
        """True but over UDP: nothing is lost, and the end of the daemon is seen."""
        return self._transport_name != "udp"

    def request(self, command: str, arguments: Mapping[str, Writable], on_reply: OnReply) -> None:
        """Sends a command. Its reply, or None, comes to `on_reply`."""
        cookie = b"%b_%d" % (self._cookie, next(self._numbers))
        loop = asyncio.get_running_loop()
        if self._transport is None:
            loop.call_soon(on_reply, None)
            return
        data = cookie + b" " + encode({**arguments, "command": command})
        self._refused = False
        pending = self._pending[cookie] = _Pending(data, on_reply, loop.time())
        if self._overdue is None:
            self._overdue = loop.call_later(DEADLINE, self._fail_overdue)
        if not self.is_reliable:
            after = 0.0
            for wait in RETRANSMISSIONS:
                after += wait
                pending.timers.append(loop.call_later(after, self._send, data))
        if self._transport_name != "ws":
            self._send(data)
        elif self._under_way is None:
            self._send_oldest()

    async def ask(self, command: str, arguments: Mapping[str, Writable] | None = None) -> Reply:
        """Sends a command and waits for the reply. Raises `NgError` for none, and for a refusal."""
        answered: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()

        def take(reply: Reply | None) -> None:
            if not answered.done():
                answered.set_result(reply)

        self.request(command, arguments or {}, take)
        reply = await answered
        if reply is None and self._refused:
            raise NobodyThere("nobody listens there")
        return checked(reply)

    def close(self) -> None:
        """Ends it; what waits for a reply gets None."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self._flush(transport)
            transport.close()
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None
        for cookie in list(self._pending):
            self._fail(cookie)

    def _send(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._transport_name != "tcp":
            self._transport.sendto(data)
            return
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush, self._transport)
        self._outgoing.append(data)

    def _flush(self, transport: Any) -> None:
        """Questions about many legs are asked in one turn: a system call for all of them, here and at the daemon."""
        if self._outgoing:
            requests, self._outgoing = b"".join(self._outgoing), []
            transport.write(requests)

    def _send_oldest(self) -> None:
        self._under_way = next(iter(self._pending), None)
        if self._under_way is not None:
            self._send(self._pending[self._under_way].data)

    def _fail_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time() - DEADLINE
        for cookie in list(takewhile(lambda cookie: self._pending[cookie].since <= since, self._pending)):
            self._fail(cookie)
        oldest = next(iter(self._pending.values()), None)
        left = None if oldest is None else oldest.since + DEADLINE
        self._overdue = None if left is None else loop.call_at(left, self._fail_overdue)

    def _fail(self, cookie: bytes) -> None:
        self._answer(cookie, None)

    def _answer(self, cookie: bytes, reply: Reply | None) -> None:
        pending = self._pending.pop(cookie, None)
        if pending is not None:
            pending.stop()
            if cookie == self._under_way:
                self._send_oldest()
            self._count(reply, pending.since)
            pending.on_reply(reply)

    def _count(self, reply: Reply | None, since: float) -> None:
        counters = self._counters
        if reply is None:
            counters.unanswered += 1
            return
        counters.seconds += asyncio.get_running_loop().time() - since
        if refusal(reply) is None:
            counters.answered += 1
        else:
            counters.refused += 1

    def _take(self, cookie: bytes, message: Value) -> None:
        if not isinstance(message, dict):
            _log.warning("rtpengine_nonsense")
        elif "notify" in message:
            self._on_notice(message)
        else:
            self._answer(cookie, message)

    # -- asyncio's side ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """Called by asyncio."""
        self._transport = transport

    def datagram_received(self, data: bytes, address: object) -> None:
        """Called by asyncio, or by the WebSocket: one message."""
        cookie, _, body = data.partition(b" ")
        try:
            self._take(cookie, decode(body))
        except BencodeError:
            _log.warning("rtpengine_nonsense")

    def error_received(self, error: Exception) -> None:
        """Called by asyncio. Nobody listens where the daemon was: what it carried is gone, so nothing is waited for."""
        if isinstance(error, ConnectionRefusedError) and not self._refused:
            self._refused = True
            for cookie in list(self._pending):
                self._fail(cookie)
            self._on_lost()

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: a piece of the stream."""
        received, at = self._received + data if self._received else data, 0
        while (space := received.find(b" ", at)) >= 0:
            try:
                message, end = decode_at(received, space + 1)
            except Incomplete:
                break
            except BencodeError:
                _log.warning("rtpengine_nonsense")
                self._abort()
                return
            cookie, at = received[at:space], end
            self._take(cookie, message)
        self._received = received[at:]
        if len(self._received) > LONGEST_MESSAGE:
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio: the end."""
        was_open = self._transport is not None
        self.close()
        if was_open:
            self._on_lost()


def refusal(reply: Reply) -> str | None:
    """Why the daemon refused; None when it did not."""
    if reply.get("result") in (b"ok", b"pong"):
        return None
    reason = reply.get("error-reason", b"no reason given")
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def checked(reply: Reply | None) -> Reply:
    """The reply. Raises `NgError` unless the daemon has done as asked."""
    if reply is None:
        raise NgError("does not answer")
    refused = refusal(reply)
    if refused is not None:
        raise NgError(refused)
    return reply
