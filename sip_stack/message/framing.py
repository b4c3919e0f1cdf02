"""A stream of octets to messages: where one ends and the next begins (RFC 3261 sections 7.5, 18.3, RFC 5626
section 3.5.1).

Only the end of the headers and Content-Length are looked at; `parser.py` reads the messages. On a stream a
message without Content-Length has no end, so it is an error here, as is a length that cannot be understood: the
rest of the stream is then unreadable and the connection must go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sip_stack.errors import RemoteError
from sip_stack.message.parser import MAX_MESSAGE

MAX_HEAD = 32768
"""Octets of start line and headers; beyond, nobody is writing SIP."""

PING = b"\r\n\r\n"
"""A keep-alive between two messages, to be answered by one CRLF."""

_END_OF_HEAD = b"\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_FOLD = re.compile(rb"\r\n[ \t]+")


class FramingError(RemoteError):
    """What follows on the stream cannot be told apart any more.

    `head` is the start line and headers of the message at fault, to be answered with `status_hint`; empty when
    there is no whole one.
    """

    def __init__(self, status_hint: int, reason: str, head: bytes = b"") -> None:
        super().__init__(status_hint, reason)
        self.head = head


class StreamFramer:
    """Cuts one stream into messages. After a `FramingError` it is of no more use."""

    __slots__ = ("_buffer", "_needed", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._needed = 0

    @property
    def is_inside_message(self) -> bool:
        """True when part of a message is here and the rest is awaited."""
        return len(self._buffer) >= len(PING) or not PING.startswith(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take what was received; yields each message that is whole now, and `PING` for each keep-alive.

        Raises FramingError, after the messages before the fault.
        """
        self._buffer += data
        while (item := self._next()) is not None:
            yield item

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if not self._needed:
            if buffer[:1] == b"\r" and (ping := self._skip_line_breaks()):
                return ping
            self._needed = self._measure()
        if not self._needed or len(buffer) < self._needed:
            return None
        message = bytes(buffer[: self._needed])
        del buffer[: self._needed]
        self._needed = self._searched = 0
        return message

    def _skip_line_breaks(self) -> bytes | None:
        """Section 7.5: CRLFs before a start line mean nothing, but two of them on their own are a ping."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):
            if buffer.startswith(PING):
                del buffer[: len(PING)]
                return PING
            if len(buffer) < len(PING) and PING.startswith(buffer):
                break  # it may become a ping
            del buffer[:2]
        return None

    def _measure(self) -> int:
        """Octets of the message that the buffer begins with; 0 while its headers have no end."""
        buffer = self._buffer
        end = buffer.find(_END_OF_HEAD, max(self._searched - 3, 0))
        if end < 0 and len(buffer) <= MAX_HEAD:
            self._searched = len(buffer)
            return 0
        if not 0 <= end <= MAX_HEAD:
            raise FramingError(513, "Message Too Large")
        head = bytes(buffer[: end + 4])
        size = end + 4 + _content_length(head)
        if size > MAX_MESSAGE:
            raise FramingError(513, "Message Too Large", head)
        return size


def _content_length(head: bytes) -> int:
    values = {value.strip(b" \t") for value in _CONTENT_LENGTH.findall(_FOLD.sub(b" ", head))}
    if not values:
        raise FramingError(400, "Missing Content-Length", head)
    value = values.pop()
    if values:
        raise FramingError(400, "Several values of Content-Length", head)
    # Nothing near so many digits is accepted: int() of thousands of them takes its time.
    if not value.isdigit() or len(value) > 20:
        raise FramingError(400, "Malformed Content-Length", head)
    return int(value)
