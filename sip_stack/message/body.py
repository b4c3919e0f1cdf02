"""Finding one body among the parts of a multipart body (RFC 5621, RFC 2046 section 5.1).

Transfer encodings other than 8bit and binary are not decoded: SIP is 8-bit clean and does not use them.
"""

from __future__ import annotations

from sip_stack.errors import RemoteError
from sip_stack.message.values import MediaType

MAX_PARTS = 32
"""Parts looked at in one body."""
MAX_DEPTH = 4
"""Multiparts inside multiparts looked into."""


def find_body(content_type: MediaType, body: bytes, wanted: str, depth: int = 0) -> bytes | None:
    """The first body of media type `wanted` ("application/sdp"): `body` itself or a part of it; else None.

    Raises RemoteError(400) when a multipart body is malformed.
    """
    if content_type.name == wanted:
        return body
    if content_type.type != "multipart" or depth == MAX_DEPTH:
        return None
    for part_type, content in _parts(content_type, body):
        found = find_body(part_type, content, wanted, depth + 1)
        if found is not None:
            return found
    return None


def _parts(content_type: MediaType, body: bytes) -> list[tuple[MediaType, bytes]]:
    boundary = content_type.params.get("boundary")
    if not boundary or len(boundary) > 70:
        raise RemoteError(400, "Malformed multipart boundary")
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    # What precedes the first delimiter is a preamble; the delimiter may open the body without its CRLF.
    pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)[1:]
    parts: list[tuple[MediaType, bytes]] = []
    for piece in pieces:
        if piece.startswith(b"--"):
            break
        padding, newline, part = piece.partition(b"\r\n")
        if padding.strip(b" \t") or not newline or len(parts) == MAX_PARTS:
            raise RemoteError(400, "Malformed multipart body")
        parts.append(_part(part))
    if not parts:
        raise RemoteError(400, "Malformed multipart body")
    # Without a closing delimiter the last part reaches to the end: taken, some peers forget it.
    return parts


def _part(part: bytes) -> tuple[MediaType, bytes]:
    content_type = "text/plain"
    if part.startswith(b"\r\n"):
        return MediaType.parse(content_type), part[2:]
    head, _, content = part.partition(b"\r\n\r\n")
    unfolded = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    for line in unfolded.decode("utf-8", "surrogateescape").split("\r\n"):
        name, _, value = line.partition(":")
        if name.rstrip(" \t").lower() in ("content-type", "c"):
            content_type = value.strip(" \t")
    return MediaType.parse(content_type), content
