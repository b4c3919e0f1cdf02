"""One TCP connection that carries SIP, and the bounds that all of them share.

RFC 3261 sections 18.2 and 18.3, RFC 5626 section 3.5.1. A connection is an asyncio protocol; `tls.py` puts TLS between
it and its transport. It ends for a stream that cannot be framed, for a message that does not get complete in time, for
silence when nobody needs it any more, and for a peer that does not read what we send; each is counted.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Literal

from sip_stack.aio.network import Receiver
from sip_stack.errors import LossReason, TransportError
from sip_stack.message.framing import PING, FramingError, StreamFramer
from sip_stack.transport import Flow

PONG = b"\r\n"
READ_SIZE = 65536
"""Octets taken per wake-up and connection, so that timers and other peers get their turn under load."""
UNREAD_SECONDS = 30
"""How long the kernel waits for the peer to take what we sent before the connection counts as dead."""

Cause = Literal["closed", "framing", "slow", "idle", "overflow", "refused", "handshake", "shutdown"]
"""Why a connection ended; "closed": the peer or the network did it."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of the connections of one stack; durations are seconds."""

    total: int = 10_000
    """Accepted connections at once."""
    per_source: int = 4_000
    """Accepted connections at once from one IP address. Some peers open one for each call."""
    queued: int = 1_048_576
    """Octets that wait for a peer to take them."""
    connect_timeout: float = 3.0
    """For a connection of ours to be established."""
    handshake_timeout: float = 5.0
    """For TLS, from the TCP connection on."""
    handshakes_per_source: int = 64
    """TLS handshakes under way at once that one IP address began."""
    message_timeout: float = 10.0
    """From the first octet of a message to its last, and from accepting a connection to its first message."""
    idle_timeout: float = 300.0
    """Without any octet either way, on a connection that no call or request needs."""


class ConnectionCounters:
    """What the connections of one stack saw since its start."""

    __slots__ = (
        "accepted",
        "connect_failures",
        "connected",
        "ended",
        "handshake_failures",
        "handshakes",
        "pings",
        "rejected",
    )

    def __init__(self) -> None:
        self.accepted = 0
        """Connections taken in."""
        self.rejected = 0
        """Connections closed at once because there were too many, in all or from their source."""
        self.connected = 0
        """Connections of ours that were established."""
        self.connect_failures = 0
        """Connections of ours that were refused or took too long."""
        self.handshakes = 0
        """TLS handshakes completed, of either side's making."""
        self.handshake_failures = 0
        """TLS handshakes that failed, took too long, or showed the wrong peer."""
        self.ended: Counter[Cause] = Counter()
        """Established connections that are over, by cause."""
        self.pings = 0
        """Keep-alives answered."""


class Connections:
    """What all connections of a stack share: bounds, counters, numbers."""

    __slots__ = ("_numbers", "_per_source", "counters", "handshakes", "limits")

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.counters = ConnectionCounters()
        self._per_source: Counter[str] = Counter()
        self.handshakes: Counter[str] = Counter()
        """TLS handshakes under way, by the IP address that began them."""
        self._numbers = count(1)

    @property
    def accepted_now(self) -> int:
        """Accepted connections that are open."""
        return self._per_source.total()

    def admit(self, source: str) -> int:
        """The number of a new connection from `source`; 0 when there are too many. `leave` takes it back."""
        per_source = self._per_source
        if per_source[source] >= self.limits.per_source or per_source.total() >= self.limits.total:
            self.counters.rejected += 1
            return 0
        per_source[source] += 1
        self.counters.accepted += 1
        return next(self._numbers)

    def leave(self, source: str) -> None:
        """An admitted connection is over."""
        _count_down(self._per_source, source)

    def leave_handshake(self, source: str) -> None:
        """A handshake that was counted in `handshakes` is over."""
        _count_down(self.handshakes, source)


def _count_down(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


class Connection(asyncio.BufferedProtocol):
    """One connection, from before it is established until it is over. Its owner hears the end once, in `on_end`.

    What is sent before the connection is established waits for it.
    """

    __slots__ = (
        "_buffer",
        "_framer",
        "_heard_at",
        "_is_ready",
        "_loop",
        "_message_since",
        "_on_end",
        "_receiver",
        "_shared",
        "_transport",
        "_waiting",
        "_waiting_size",
        "flow",
        "is_over",
        "loss_reason",
    )

    def __init__(
        self,
        flow: Flow,
        receiver: Receiver,
        shared: Connections,
        buffer: memoryview,
        on_end: Callable[[Connection, str], None],
    ) -> None:
        """`buffer` is where the kernel writes to; connections of one loop may share it."""
        self.flow = flow
        self._receiver = receiver
        self._shared = shared
        self._buffer = buffer
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._is_ready = False
        self._framer = StreamFramer()
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._heard_at = self._loop.time()
        # An accepted connection owes us a first message; one that we made owes nothing.
        self._message_since = self._heard_at if flow.connection else None
        self.is_over = False
        """Nothing more will be sent or received."""
        self.loss_reason: LossReason = "transport"
        """What it means for the requests that wait."""

    def send(self, data: bytes) -> None:
        """Send now, or when the connection is there. Raises TransportError when it is over or too much waits."""
        transport = self._transport
        if self.is_over or (transport is not None and transport.is_closing()):
            raise TransportError("the connection is closed")
        queued = self._waiting_size + (0 if transport is None else transport.get_write_buffer_size())
        if queued + len(data) > self._shared.limits.queued:
            self.end("overflow", "the peer does not read")
            raise TransportError("the peer does not read")
        if not self._is_ready:
            self._waiting.append(data)
            self._waiting_size += len(data)
        else:
            self._heard_at = self._loop.time()
            self._write(data)

    def end(self, cause: Cause, reason: str, *, after_sending: bool = False) -> None:
        """Close the connection; with `after_sending` what waits is sent before."""
        if self.is_over:
            return
        self.is_over = True
        self._waiting.clear()
        if self._transport is not None:
            self._shared.counters.ended[cause] += 1
            self._close(self._transport, after_sending)
        self._on_end(self, reason)

    def look(self, now: float) -> None:
        """Called every second or so: end what takes too long."""
        limits = self._shared.limits
        if self._message_since is not None:
            if now - self._message_since > limits.message_timeout:
                self.end("slow", "a message did not get complete")
        elif now - self._heard_at > limits.idle_timeout and not self._receiver.needs(self.flow):
            self.end("idle", "idle", after_sending=True)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Established."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.is_over:
            transport.abort()
            return
        _notice_dead_peers(transport.get_extra_info("socket"))
        self._heard_at = self._loop.time()
        self._begin()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to receive to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Octets were received."""
        if not self.is_over:
            self._heard_at = self._loop.time()
            self._receive(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> None:
        """The peer will send no more; what we have for it goes out before the connection closes."""
        self.end("closed", "closed by the peer", after_sending=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer closed it, or the network did."""
        self.end("closed", str(exc) if exc is not None else "closed by the peer")
        if self._transport is not None:
            leave_no_circle(self._transport)
        self._transport = None

    # What TLS puts itself into

    def _begin(self) -> None:
        """The transport is there."""
        self._ready()

    def _ready(self) -> None:
        """Messages may pass: send those that wait."""
        self._is_ready = True
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        if waiting:
            self._write(b"".join(waiting))

    def _write(self, data: bytes) -> None:
        """Send octets of SIP over the transport that is there."""
        assert self._transport is not None
        self._transport.write(data)

    def _receive(self, data: bytes) -> None:
        """Take what the transport received."""
        self._take_octets(data)

    def _close(self, transport: asyncio.Transport, after_sending: bool) -> None:
        if after_sending:
            transport.close()
        else:
            transport.abort()

    # Messages

    def _take_octets(self, data: bytes) -> None:
        """Take octets of SIP: whole messages go to the receiver."""
        fault: FramingError | None = None
        whole = False
        try:
            for item in self._framer.feed(data):
                whole = True
                self._take(item)
        except FramingError as error:
            # Its traceback would name the frame that names it: a circle, of a stranger's making.
            fault = error.with_traceback(None)
            if error.head:
                self._receiver.received(error.head, self.flow, error)
        if not self._framer.is_inside_message:
            # A connection that was only accepted still owes its first message.
            self._message_since = None if whole else self._message_since
        elif whole or self._message_since is None:
            self._message_since = self._heard_at
        self._receiver.flush()
        if fault is not None:
            self.end("framing", fault.reason, after_sending=True)

    def _take(self, item: bytes) -> None:
        if item is not PING:
            self._receiver.received(item, self.flow)
            return
        self._shared.counters.pings += 1
        with suppress(TransportError):
            self.send(PONG)


def leave_no_circle(transport: asyncio.BaseTransport) -> None:
    """Let a transport of asyncio that lost its connection be freed at once: it keeps methods of its own.

    Strangers open connections as often as they like, and the collector of circles rests while calls are up.
    """
    vars(transport).pop("_read_ready_cb", None)
    # Python 3.12 and 3.13 forget this one where `close` is called, and not where the peer resets the connection.
    vars(transport).pop("_write_ready", None)


def _notice_dead_peers(sock: socket.socket) -> None:
    """Let the kernel end a connection whose peer vanished; calls may keep it open for hours."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 60),
        (socket.TCP_KEEPINTVL, 15),
        (socket.TCP_KEEPCNT, 4),
        (socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000),
    ):
        # A connection that is broken already is told to us in a moment.
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
