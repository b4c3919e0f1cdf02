"""The structured header values: Via, name-addr (From, To, Contact, Route...), CSeq, media type.

RFC 3261 sections 20 and 25.1. Each is an immutable value (those of every message are tuples with names, which cost half
of a frozen dataclass to make) with `parse` and `str()`. Malformed input raises
RemoteError(400). Printing normalises white space; a message keeps the received text until the header is set.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from sip_stack.errors import RemoteError
from sip_stack.message.methods import METHODS
from sip_stack.message.params import (
    BLANK,
    NO_PARAMS,
    Params,
    is_token,
    quote,
    quoted_end,
    split_commas,
    unquote,
)
from sip_stack.message.uri import Uri, format_host_port, parse_host_port, parse_port, parse_uri
from sip_stack.remembered import Remembered

MAGIC_COOKIE = "z9hG4bK"
"""What the branch of an RFC 3261 element starts with (section 8.1.1.7)."""

_NOT_IN_A_BARE_URI = re.compile(r'[?, \t<>"]')
_BLANKS = re.compile(r"[ \t]+")


def is_method(text: str) -> bool:
    """True when `text` is a possible method name: a token."""
    return text in METHODS or is_token(text)


class Via(NamedTuple):
    """One Via value (RFC 3261 section 20.42)."""

    protocol: str
    """"SIP/2.0"."""
    transport: str
    """In upper case: "UDP", "TCP", "TLS"..."""
    host: str
    """The sent-by host, IPv6 without brackets."""
    port: int | None = None
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> Via:
        """Parse one value, without commas."""
        sent, semicolon, params = text.partition(";")
        return cls(*_parse_sent(sent), Params.parse(semicolon + params))

    @classmethod
    def parse_many(cls, text: str) -> list[Via]:
        """Parse one header line, which may hold several values."""
        return [cls.parse(element) for element in split_commas(text)]

    @property
    def branch(self) -> str:
        """The transaction's identifier; "" when there is none (RFC 2543 peers)."""
        # Asked for a dozen times in a call: `Params.get` takes two more functions.
        for name, value in self.params:
            if name == "branch" or name.lower() == "branch":
                return unquote(value or "")
        return ""

    @property
    def received(self) -> str | None:
        """The source address that the receiver stamped: a checked literal, no brackets; None when absent."""
        text = self.params.get("received")
        if text is None:
            return None
        address = text.strip("[]")
        try:
            ip_address(address)
        except ValueError:
            raise RemoteError(400, "Malformed Via received") from None
        return address

    @property
    def rport(self) -> int | None:
        """The source port that the receiver stamped (RFC 3581); None when absent or still empty."""
        text = self.params.get("rport")
        return parse_port(text) if text else None

    @property
    def wants_rport(self) -> bool:
        """True when the sender asks for symmetric response routing (RFC 3581 section 3)."""
        return self.params.has("rport")

    @property
    def sent_by(self) -> str:
        """`host[:port]` as it is written."""
        return format_host_port(self.host, self.port)

    def with_source(self, host: str, port: int) -> Via:
        """The Via stamped with where the request came from (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
        params = self.params
        names = [name.lower() for name, _ in params]
        if "rport" in names:
            params = params.with_param("rport", str(port)).with_param("received", host)
        elif host != self.host or "received" in names:
            # A `received` from the sender itself would be a lie about the path back: overwritten.
            params = params.with_param("received", host)
        if params == self.params:
            return self
        return Via(self.protocol, self.transport, self.host, self.port, params)

    def __str__(self) -> str:
        return f"{self.protocol}/{self.transport} {self.sent_by}{self.params}"


def _sent(text: str) -> tuple[str, str, str, int | None]:
    """The protocol, transport, host and port of a Via: what is before its parameters."""
    pieces = text.split("/", 2)
    if len(pieces) != 3:
        raise RemoteError(400, "Malformed Via")
    name, version = pieces[0].strip(BLANK), pieces[1].strip(BLANK)
    if not is_token(name) or not is_token(version):
        raise RemoteError(400, "Malformed Via")
    transport, sent_by = _split_transport(pieces[2])
    return f"{name}/{version}", transport, *parse_host_port(sent_by.strip(BLANK))


def _split_transport(text: str) -> tuple[str, str]:
    pieces = _BLANKS.split(text.lstrip(BLANK), maxsplit=1)
    if len(pieces) != 2 or not is_token(pieces[0]):
        raise RemoteError(400, "Malformed Via")
    return pieces[0].upper(), pieces[1]


class NameAddr(NamedTuple):
    """A From, To, Contact, Route, Record-Route, Refer-To... value (RFC 3261 section 20.10)."""

    display: str
    """The display name without quotes; "" when there is none."""
    uri: str
    """The URI as received, without angle brackets; "*" for the Contact of that name."""
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Parse one value. The URI itself is only checked by `parsed_uri`."""
        return parse_address(text)

    @classmethod
    def _parse(cls, text: str) -> NameAddr:
        text = text.strip(BLANK)
        start = text.find("<")
        if text[:1] == '"':
            end = quoted_end(text)
            display = unquote(text[:end])
            text = text[end:].lstrip(BLANK)
            if text[:1] != "<":
                raise RemoteError(400, "Malformed address")
        elif start < 0 or ";" in text[:start]:
            return cls._parse_bare(text)
        else:
            display = text[:start].rstrip(BLANK)
            if '"' in display or "," in display or ">" in display:
                raise RemoteError(400, "Malformed display name")
            text = text[start:]
        close = text.find(">")
        uri = text[1:close]
        if close < 2 or " " in uri or "\t" in uri:
            raise RemoteError(400, "Malformed address")
        return cls(display, uri, Params.parse(text[close + 1 :]))

    @classmethod
    def _parse_bare(cls, text: str) -> NameAddr:
        # Without brackets every `;` starts a header parameter, and `?` or `,` may not appear (section 20.10).
        uri, semicolon, params = text.partition(";")
        uri = uri.rstrip(BLANK)
        if not uri or _NOT_IN_A_BARE_URI.search(uri):
            raise RemoteError(400, "Malformed address")
        return cls("", uri, Params.parse(semicolon + params))

    @classmethod
    def parse_many(cls, text: str) -> list[NameAddr]:
        """Parse one header line, which may hold several values."""
        return list(parse_addresses(text))

    @property
    def tag(self) -> str | None:
        """The dialog tag exactly as received; None when absent or empty."""
        for name, value in self.params:
            if name == "tag" or name.lower() == "tag":
                return value or None
        return None

    @property
    def parsed_uri(self) -> Uri:
        """The URI, parsed; RemoteError(400) when it is malformed."""
        return parse_uri(self.uri)

    def with_tag(self, tag: str) -> NameAddr:
        """A copy with this tag."""
        return NameAddr(self.display, self.uri, self.params.with_param("tag", tag))

    def __str__(self) -> str:
        if self.uri == "*" and not self.display and not self.params:
            return "*"
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{self.params}"


def _addresses(text: str) -> tuple[NameAddr, ...]:
    return tuple([parse_address(element) for element in split_commas(text)])


class CSeq(NamedTuple):
    """A command sequence (RFC 3261 section 20.16)."""

    number: int
    """0 .. 2**31 - 1."""
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Parse `314159 INVITE`."""
        return parse_cseq(text)

    @classmethod
    def _parse(cls, text: str) -> CSeq:
        number, _, method = text.replace("\t", " ").partition(" ")
        method = method.strip(" ")
        # The length is looked at first: `int` of thousands of digits is slow, then an error.
        if not (number.isascii() and number.isdigit()) or len(number) > 20 or not is_method(method):
            raise RemoteError(400, "Malformed CSeq")
        value = int(number)
        if value >= 2**31:
            raise RemoteError(400, "CSeq number too large")
        return cls(value, method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


class MediaType(NamedTuple):
    """A Content-Type value (RFC 3261 section 20.15)."""

    type: str
    """In lower case, as is `subtype`."""
    subtype: str
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> MediaType:
        """Parse `application/sdp;charset=utf-8`."""
        return parse_media_type(text)

    @classmethod
    def _parse(cls, text: str) -> MediaType:
        name, semicolon, params = text.partition(";")
        kind, _, subtype = name.partition("/")
        kind, subtype = kind.strip(BLANK).lower(), subtype.strip(BLANK).lower()
        if not is_token(kind) or not is_token(subtype):
            raise RemoteError(400, "Malformed Content-Type")
        return cls(kind, subtype, Params.parse(semicolon + params))

    @property
    def name(self) -> str:
        """`type/subtype` without parameters, in lower case."""
        return f"{self.type}/{self.subtype}"

    def __str__(self) -> str:
        return f"{self.name}{self.params}"


_parse_sent = Remembered(_sent).__getitem__  # The same in every message of a peer.
parse_address = Remembered(NameAddr._parse).__getitem__
parse_addresses = Remembered(_addresses).__getitem__
parse_cseq = Remembered(CSeq._parse).__getitem__
parse_media_type = Remembered(MediaType._parse).__getitem__
