"""A place in the stream of events that outlives its connections. No I/O here: both clients read by it.

The format is the HTML standard's (section 9.2, server-sent events), as far as a B2BUA sends it.
"""

from __future__ import annotations

import random
from urllib.parse import urlencode

from b2bua.client.errors import ClientError, ServerError, Unreachable
from b2bua.client.events import Event, read_event
from b2bua.client.requests import Request

PATIENCE = 60.0
"""Seconds without a connection after which a client gives up."""
LONGEST_PAUSE = 30.0
MAX_LINE = 2**20
"""Octets; a B2BUA's events are a few hundred."""


class Following:
    """What is read, from where to go on, and how long to wait before that."""

    def __init__(self, call_id: str | None, last_id: str | None, patience: float, now: float) -> None:
        """Times are seconds of any steady clock."""
        self._call_id = call_id
        self._last_id = last_id
        self._patience = patience
        self._seen = now
        self._pause = 2.0
        """Until the server says how long."""
        self._tries = 0
        self._text = b""
        self._event_id: str | None = None
        self._data: list[str] = []

    @property
    def request(self) -> Request[None]:
        """What is asked for next."""
        query = f"?{urlencode({'call_id': self._call_id})}" if self._call_id else ""
        place = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        headers = {"Accept": "text/event-stream", **place}
        return Request("GET", f"/v1/events{query}", lambda _, __: None, headers=headers)

    def received(self, octets: bytes, now: float) -> list[Event]:
        """The events that are complete with these octets. Raises `ServerError` for what no B2BUA sends."""
        *lines, self._text = (self._text + octets).split(b"\n")
        if len(self._text) > MAX_LINE:
            raise _unexpected()
        if b"" in lines:
            self._seen, self._tries = now, 0  # whoever says nothing that makes sense is not there
        return [event for line in lines if (event := self._line(line)) is not None]

    def lost(self, now: float, why: ClientError | None = None) -> float:
        """The connection is gone, or there was none: seconds to wait before the next. Raises in the end."""
        if isinstance(why, ServerError) and why.status < 500:
            raise why
        self._text, self._event_id, self._data = b"", None, []
        longest = min(self._pause * 2.0**self._tries, LONGEST_PAUSE)
        self._tries += 1
        if now + longest - self._seen > self._patience:
            raise why or Unreachable(f"no stream of events for {self._patience:g} s")
        # Not all at once: the others have lost theirs in the same moment.
        return longest * random.uniform(0.5, 1.0)

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._block()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._event_id = value
        elif name == "data":
            self._data.append(value)
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < 7:
            self._pause = max(int(value) / 1000, 0.05)
        return None

    def _block(self) -> Event | None:
        """An empty line: what stood before it is complete. An id alone moves the place."""
        if self._event_id is not None:
            self._last_id = self._event_id
        data, self._event_id, self._data = "\n".join(self._data), None, []
        if not data:
            return None
        try:
            return read_event(self._last_id or "", data)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _unexpected() from None


def _unexpected() -> ServerError:
    return ServerError(200, "unexpected_answer", "a stream that no B2BUA sends")
