"""Octets to messages: start line, header lines, body by Content-Length (RFC 3261 sections 7, 18.3).

This is the structure only, so that a request with bad contents can still be answered; `check.py` judges
contents. It reads datagrams; framing of streams is the transport's work.
"""

from __future__ import annotations

import re

from sip_stack.errors import RemoteError
from sip_stack.message.headers import MAX_HEADERS, Headers
from sip_stack.message.message import Message, Request, Response
from sip_stack.message.params import BLANK, has_bare_nul, is_token

MAX_MESSAGE = 65535
"""Octets in one message."""

_CONTENT_LENGTH = ("content-length",)
_FOLD = re.compile(r"\r\n[ \t]+")
_VERSION = re.compile(r"SIP/[0-9]{1,9}\.[0-9]{1,9}", re.IGNORECASE)


class MalformedMessage(RemoteError):
    """A datagram that is no message.

    `request` is what could be read of a request, its sound header lines, so that it can be answered with
    `status_hint`; None when there is nothing to answer to.
    """

    def __init__(self, status_hint: int, reason: str, request: Request | None = None) -> None:
        super().__init__(status_hint, reason)
        self.request = request


def parse_message(data: bytes) -> Request | Response:
    """Read one datagram. Octets behind the body are dropped, CRLFs before the start line skipped.

    Raises MalformedMessage, a RemoteError, and nothing else.
    """
    if len(data) > MAX_MESSAGE:
        raise MalformedMessage(513, "Message Too Large")
    if data[:2] == b"\r\n":
        data = data.lstrip(b"\r\n")
    head, blank_line, body = data.partition(b"\r\n\r\n")
    if not blank_line:
        raise MalformedMessage(400, "No end of headers")
    start_line, *lines = _lines(head)
    read = _response if start_line[:4] == "SIP/" else _request
    try:
        headers = Headers.parse(lines)
    except RemoteError as error:
        message = read(start_line, _sound_headers(lines))
        raise MalformedMessage(error.status_hint, error.reason, _answerable(message)) from None
    message = read(start_line, headers)
    _set_body(message, body)
    message.read()
    return message


def _lines(head: bytes) -> list[str]:
    text = head.decode("utf-8", "surrogateescape")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    # A lone CR or LF would be a line break for the next element.
    if text.count("\r") >= len(lines) or text.count("\n") >= len(lines):
        raise MalformedMessage(400, "Stray CR or LF")
    if "\0" in text and has_bare_nul(text):
        raise MalformedMessage(400, "Stray NUL")
    return lines


def _sound_headers(lines: list[str]) -> Headers:
    sound = []
    for line in lines[:MAX_HEADERS]:
        name, colon, _ = line.partition(":")
        if colon and is_token(name.rstrip(BLANK)):
            sound.append(line)
    return Headers.parse(sound)


def _request(line: str, headers: Headers) -> Request:
    method, _, rest = line.rstrip(" ").partition(" ")
    uri, _, version = rest.rpartition(" ")
    if not uri or (version != "SIP/2.0" and _VERSION.fullmatch(version) is None) or "\0" in line:
        raise MalformedMessage(400, "Malformed Request-Line")
    return Request(method, uri, headers, version=version)


def _response(line: str, headers: Headers) -> Response:
    version, _, rest = line.partition(" ")
    status, _, reason = rest.partition(" ")
    if version != "SIP/2.0":
        raise MalformedMessage(505, "Version Not Supported")
    if not (len(status) == 3 and status.isascii() and status.isdigit() and "100" <= status <= "699"):
        raise MalformedMessage(400, "Malformed Status-Line")
    if "\0" in reason:
        raise MalformedMessage(400, "Malformed Status-Line")
    return Response(int(status), reason, headers)


def _set_body(message: Message, body: bytes) -> None:
    headers = message.headers
    if headers.get("Content-Length") == str(len(body)) and headers.repeated(_CONTENT_LENGTH) is None:
        message.body = body  # As of nearly every message.
        return
    length = _content_length(message)
    if length is None or length == len(body):
        message.body = body
    elif length < len(body):
        message.body = body[:length]
    else:
        raise MalformedMessage(400, "Content-Length beyond the datagram", _answerable(message))


def _content_length(message: Message) -> int | None:
    values = message.headers.get_all("Content-Length")
    if not values:
        return None
    text = values[0]
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise MalformedMessage(400, "Malformed Content-Length", _answerable(message))
    if len(values) > 1 and any(value != text for value in values):
        raise MalformedMessage(400, "Several values of Content-Length", _answerable(message))
    return int(text)


def _answerable(message: Message) -> Request | None:
    return message if isinstance(message, Request) else None
