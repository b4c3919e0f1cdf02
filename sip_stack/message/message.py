"""Requests and responses (RFC 3261 section 7): raw header lines, and typed values parsed when first read.

The header block is text (UTF-8, odd octets as surrogates, so that they print back exactly), the body octets.
Whether a message makes sense is `check.py`'s question; this module only answers what a header says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from sip_stack.errors import LocalError, RemoteError
from sip_stack.message.body import find_body
from sip_stack.message.headers import Headers
from sip_stack.message.params import MAX_VALUES, require_sendable, split_commas, split_tokens
from sip_stack.message.status import reason_phrase
from sip_stack.message.uri import Uri, parse_uri
from sip_stack.message.values import (
    CSeq,
    MediaType,
    NameAddr,
    Via,
    parse_address,
    parse_addresses,
    parse_cseq,
    parse_media_type,
)

SIP_VERSION = "SIP/2.0"

AddressKey = Literal["contact", "route", "record-route"]
HeaderItems = Headers | Iterable[tuple[str, str]] | None


class Message:
    """What requests and responses share.

    The typed properties raise RemoteError(400) when their header is malformed, or missing where RFC 3261
    section 8.1.1 requires it. They are read once: whoever changes such a header later makes a new message of it.
    """

    __slots__ = (
        "_addresses",
        "_call_id",
        "_content_type",
        "_cseq",
        "_from",
        "_max_forwards",
        "_to",
        "_via",
        "body",
        "headers",
    )

    def __init__(self, headers: HeaderItems, body: bytes) -> None:
        self.headers = headers if isinstance(headers, Headers) else Headers(headers or ())
        self.body = body
        self._via: Via | None = None
        self._call_id: str | None = None
        self._cseq: CSeq | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._content_type: MediaType | None = None
        self._max_forwards: int | None = None
        self._addresses: dict[AddressKey, tuple[NameAddr, ...]] = {}

    def read(self) -> None:
        """Read at once what every sound message has, and its receiver asks for again and again."""
        lines = self.headers.first_lines()
        try:
            self._via = _first_via(lines["via"])
            self._call_id = _call_id(lines["call-id"])
            self._cseq = parse_cseq(lines["cseq"])
            self._from = parse_address(lines["from"])
            self._to = parse_address(lines["to"])
        except (KeyError, RemoteError):
            pass  # It raises when it is asked for.

    @property
    def start_line(self) -> str:
        """The first line, without CRLF."""
        raise NotImplementedError

    @property
    def via(self) -> Via:
        """The topmost Via."""
        if self._via is None:
            self._via = _first_via(self.headers.required("Via"))
        return self._via

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        if self._call_id is None:
            self._call_id = _call_id(self.headers.required("Call-ID"))
        return self._call_id

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        if self._cseq is None:
            self._cseq = parse_cseq(self.headers.required("CSeq"))
        return self._cseq

    @property
    def from_(self) -> NameAddr:
        """The From."""
        if self._from is None:
            self._from = parse_address(self.headers.required("From"))
        return self._from

    @property
    def to(self) -> NameAddr:
        """The To."""
        if self._to is None:
            self._to = parse_address(self.headers.required("To"))
        return self._to

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, 0..255; None without one."""
        if self._max_forwards is None:
            text = self.headers.get("Max-Forwards")
            if text is not None:
                self._max_forwards = _max_forwards(text)
        return self._max_forwards

    @property
    def content_type(self) -> MediaType | None:
        """Content-Type; None without one."""
        if self._content_type is None:
            text = self.headers.get("Content-Type")
            if text is not None:
                self._content_type = parse_media_type(text)
        return self._content_type

    @property
    def vias(self) -> list[Via]:
        """All Via values, topmost first."""
        return [via for line in self.headers.get_all("Via") for via in Via.parse_many(line)]

    @property
    def branch(self) -> str:
        """The topmost Via's branch, which with the CSeq method names the transaction; "" without one."""
        return self.via.branch

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contact values; the one of `Contact: *` has the uri "*"."""
        return list(self.addresses("contact"))

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact, the remote target of a dialog; None without one or for `*`."""
        contacts = self.addresses("contact")
        return contacts[0] if contacts and contacts[0].uri != "*" else None

    @property
    def routes(self) -> list[NameAddr]:
        """All Route values, in order."""
        return list(self.addresses("route"))

    @property
    def record_routes(self) -> list[NameAddr]:
        """All Record-Route values, in order."""
        return list(self.addresses("record-route"))

    def addresses(self, key: AddressKey) -> tuple[NameAddr, ...]:
        """All values of Contact, Route or Record-Route, in order."""
        addresses = self._addresses.get(key)
        if addresses is None:
            addresses = ()
            for line in self.headers.get_all(key):
                addresses += parse_addresses(line)
            if len(addresses) > MAX_VALUES:
                raise RemoteError(400, f"Too many values of {key.title()}")
            self._addresses[key] = addresses
        return addresses

    @property
    def require(self) -> list[str]:
        """The option tags of Require."""
        return self._tokens("Require")

    @property
    def supported(self) -> list[str]:
        """The option tags of Supported."""
        return self._tokens("Supported")

    @property
    def allow(self) -> list[str]:
        """The methods of Allow."""
        return self._tokens("Allow")

    def _tokens(self, name: str) -> list[str]:
        return split_tokens(lines) if (lines := self.headers.get_all(name)) else []

    def body_of_type(self, media_type: str) -> bytes | None:
        """The body of that type, for example "application/sdp", also when it is a part of a multipart body.

        None when there is none; RemoteError(400) when Content-Type or the multipart body is malformed.
        """
        content_type = self.content_type
        if content_type is None or not self.body:
            return None
        return find_body(content_type, self.body, media_type.lower())

    def encode(self) -> bytes:
        """The octets to send; Content-Length says the length of `body`, whatever the headers said."""
        head = f"{self.start_line}{self.headers.text(len(self.body))}\r\n\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body


class Request(Message):
    """A request. `uri` is the Request-URI as text, `request_uri` the parsed one."""

    __slots__ = ("method", "uri", "version")

    def __init__(
        self,
        method: str,
        uri: str,
        headers: HeaderItems = None,
        body: bytes = b"",
        *,
        version: str = SIP_VERSION,
    ) -> None:
        require_sendable(f"{method} {uri}", "a Request-Line")
        super().__init__(headers, body)
        self.method = method
        self.uri = uri
        self.version = version
        """As received; a request of another version than SIP/2.0 exists only to be answered 505."""

    @property
    def start_line(self) -> str:
        """The Request-Line, without CRLF."""
        return f"{self.method} {self.uri} {self.version}"

    @property
    def request_uri(self) -> Uri:
        """The Request-URI, parsed; RemoteError(400) when malformed."""
        return parse_uri(self.uri)

    def stamp_source(self, host: str, port: int) -> None:
        """Write where the request came from into the topmost Via (RFC 3261 section 18.2.1, RFC 3581)."""
        via = self.via
        stamped = via.with_source(host, port)
        if stamped is via:
            return
        _, *rest = split_commas(self.headers.required("Via"))
        self.headers.replace_first("Via", ", ".join([str(stamped), *rest]))
        self._via = stamped

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


class Response(Message):
    """A response; without `reason` the registered phrase is used."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str | None = None, headers: HeaderItems = None, body: bytes = b""
    ) -> None:
        if not 100 <= status <= 699:
            raise LocalError(f"not a SIP status: {status}")
        if reason is None:
            reason = reason_phrase(status)
        else:
            require_sendable(reason, "a reason phrase")
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    @property
    def start_line(self) -> str:
        """The Status-Line, without CRLF."""
        return f"{SIP_VERSION} {self.status} {self.reason}"

    @property
    def retry_after(self) -> float | None:
        """Seconds of its Retry-After (RFC 3261 section 20.33); None without a readable one."""
        text = (self.headers.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
        return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


def _call_id(text: str) -> str:
    if not text or " " in text or "\t" in text:
        raise RemoteError(400, "Malformed Call-ID")
    return text


def _max_forwards(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and (hops := int(text)) <= 255):
        raise RemoteError(400, "Malformed Max-Forwards")
    return hops


def _first_via(line: str) -> Via:
    return Via.parse(split_commas(line)[0] if "," in line else line)
