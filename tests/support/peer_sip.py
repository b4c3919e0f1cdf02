"""Just enough SIP as text for scripted peers: read a message, write one. Shares nothing with `sip_stack`.

A peer that used our own parser would share our own mistakes.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

Header = tuple[str, str]

MIRRORED = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
"""Directions, and each as the other side sees it."""

_branches = itertools.count(1)


@dataclass(frozen=True, slots=True)
class SipText:
    """One message: start line, header lines in order, body."""

    start_line: str
    headers: tuple[Header, ...]
    body: str

    @property
    def method(self) -> str:
        """The method of a request; of a response, the one it answers."""
        return self.header("CSeq").split()[1] if self.status else self.start_line.split()[0]

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.start_line.split()[1]

    @property
    def status(self) -> int:
        """The status of a response, 0 for a request."""
        return int(self.start_line.split()[1]) if self.start_line.startswith("SIP/2.0 ") else 0

    @property
    def branch(self) -> str:
        """The branch of the topmost Via: the transaction."""
        return self.header("Via").partition(";branch=")[2].split(";")[0].split(",")[0]

    @property
    def contact_uri(self) -> str:
        """The URI of its Contact."""
        return self.header("Contact").partition("<")[2].partition(">")[0]

    def header(self, name: str) -> str:
        """The first value of a header, "" when it is missing."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """The values of all lines of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def direction(self) -> str:
        """What its SDP says of whom may speak."""
        found = [line.strip()[2:] for line in self.body.splitlines() if line.strip()[2:] in MIRRORED]
        return found[0] if found else "sendrecv"

    def media_address(self) -> tuple[str, int]:
        """Where its SDP wants audio."""
        lines = [line.strip() for line in self.body.splitlines()]
        host = next(line.split()[2] for line in lines if line.startswith("c="))
        port = next(line.split()[1] for line in lines if line.startswith("m=audio"))
        return host, int(port)


def read(data: bytes) -> SipText | None:
    """The message in a datagram, None for what is none (keep-alives)."""
    head, _, body = data.decode(errors="surrogateescape").partition("\r\n\r\n")
    start_line, *lines = head.split("\r\n")
    if "SIP/2.0" not in start_line:
        return None
    headers = tuple(
        (name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
    )
    return SipText(start_line, headers, body)


def write(start_line: str, headers: Iterable[Header], body: str = "") -> bytes:
    """The datagram of a message; Content-Length is added."""
    lines = [start_line, *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body.encode())}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode(errors="surrogateescape")


def response(
    request: SipText,
    status: int,
    reason: str,
    headers: Iterable[Header] = (),
    body: str = "",
    tag: str = "peer",
) -> bytes:
    """A response to `request` (RFC 3261 section 8.2.6); above 100 its To gets `tag` when it has none."""
    copied = [(name, value) for name, value in request.headers if name.lower() in ("via", "record-route")]
    to = request.header("To")
    if status > 100 and ";tag=" not in to:
        to = f"{to};tag={tag}"
    copied += [("From", request.header("From")), ("To", to)]
    copied += [("Call-ID", request.header("Call-ID")), ("CSeq", request.header("CSeq"))]
    return write(f"SIP/2.0 {status} {reason}", [*copied, *headers], body)


def sdp(host: str, port: int, *, direction: str = "sendrecv", version: int = 1) -> str:
    """A session description with one PCMU stream; a later one of a session has a higher `version`."""
    lines = ["v=0", f"o=- 1 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP 0", "a=rtpmap:0 PCMU/8000"]
    return "\r\n".join([*lines, *([] if direction == "sendrecv" else [f"a={direction}"]), ""])


def new_branch() -> str:
    """A branch that no other transaction has."""
    return f"z9hG4bK-test-{next(_branches)}-{uuid.uuid4().hex[:8]}"
