"""One connection of a client, bounded: uvicorn's HTTP/1.1 protocol with limits where it has none.

uvicorn bounds neither how long a client may take to send a request or to read an answer, nor how many connections
there are before their requests are complete; and what it refuses by itself it refuses in plain text.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from b2bua.http_api.errors import error_answer

MAX_CONNECTIONS = 100
"""At once. One more takes the place of a client that has not shown a key; where all have, it is answered 503."""
MAX_HEAD = 16 * 1024
"""Octets of a request line with its headers."""
IDLE_SECONDS = 5
"""How long a connection is kept for the next request."""
REQUEST_SECONDS = 10.0
"""From the connection, or the answer before, to the last octet of a request; and for the client to read an answer."""
ANSWER_SECONDS = 30.0
"""From the connection, or the answer before, to the end of the next answer."""


_STREAM = "b2bua.stream"
_ADMITTED = "b2bua.admitted"


class BoundedConnection(H11Protocol):
    """Knows since when it waits for its client."""

    waiting_since: float
    made_at: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or turn it away when there are too many."""
        assert isinstance(transport, asyncio.Transport), "a TCP connection"
        self.made_at = self.waiting_since = self.loop.time()
        if len(self.connections) >= MAX_CONNECTIONS and not self._take_place():
            self.transport = transport
            transport.write(_plain_answer(503, "too_many_connections", "try again in a moment"))
            transport.close()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was sent away."""
        super().connection_lost(exc)
        # A client that resets its connection leaves uvicorn's timer and the connection naming each other.
        self._unset_keepalive_if_required()
        # asyncio's transport keeps methods of its own: a circle, while the collector rests (`b2bua/garbage.py`).
        vars(self.transport).pop("_read_ready_cb", None)
        vars(self.transport).pop("_write_ready", None)  # where the client reset it: Python 3.12 and newer

    def on_response_complete(self) -> None:
        """The client's turn again."""
        self.waiting_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or has a head without end. uvicorn's `msg` says no more than that."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(
                _plain_answer(400, "invalid_http", "not an HTTP/1.1 request, or too long a head")
            )
            self.transport.close()
        else:
            # The answer has begun: another one in the middle of it would be read as its body.
            self.transport.abort()

    def end_if_overdue(self, now: float) -> None:
        """Drop the connection when its client has been too slow."""
        if self._streams() and not self.flow.write_paused:
            # An answer without end: all that its client has to do is read.
            self.waiting_since = now
        answering = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        if now - self.waiting_since > (ANSWER_SECONDS if answering else REQUEST_SECONDS):
            self.transport.abort()

    def _take_place(self) -> bool:
        """Make room for a new connection. Whoever only connects could keep out all who have a key otherwise; these
        show it within a round trip, and then nobody takes their place."""
        strangers = [
            each
            for each in self.connections
            if isinstance(each, BoundedConnection) and not each._is_admitted()
        ]
        if not strangers:
            return False
        oldest = min(strangers, key=lambda each: each.made_at)
        self.connections.discard(oldest)
        oldest.transport.abort()
        return True

    def _is_admitted(self) -> bool:
        # There is no scope before the first request.
        return bool(self.scope) and bool(self.scope.get("state", {}).get(_ADMITTED, False))

    def _streams(self) -> bool:
        return (
            self.cycle is not None
            and not self.cycle.response_complete
            and self.scope.get("state", {}).get(_STREAM, False)
        )


def note_stream(scope: Scope) -> None:
    """The answer to this request has no end: its time is not limited while its client reads."""
    scope.setdefault("state", {})[_STREAM] = True


def note_admitted(scope: Scope) -> None:
    """Whoever sent this request may: nobody takes the place of their connection."""
    scope.setdefault("state", {})[_ADMITTED] = True


def _plain_answer(status: int, code: str, message: str) -> bytes:
    """A whole HTTP answer, for a connection that has no request to answer."""
    answer = error_answer(status, code, message, headers={"Connection": "close"})
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(answer.body)
