"""URIs: sip, sips, tel and the others (RFC 3261 section 19.1, RFC 3966), and percent-escaping.

Values keep the escaped text as received, so that printing gives it back; the look-up methods unescape.
It does not resolve anything (`sip_stack.locating`) and does not compare by section 19.1.4.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote as _percent_encode
from urllib.parse import unquote as _percent_decode

from sip_stack.errors import RemoteError
from sip_stack.message.params import BLANK, NO_PARAMS, Params, limited
from sip_stack.remembered import Remembered

_MARK = "-_.!~*'()"
_SAFE_IN_USER = _MARK + "&=+$,;?/"
_PLAIN_USER = re.compile(rf"[A-Za-z0-9{re.escape(_SAFE_IN_USER)}]*")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._\-]*[A-Za-z0-9_.])?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*")
_TELEPHONE = re.compile(r"\+?[0-9A-Fa-f*#().\-]+")
_VISUAL_SEPARATORS = str.maketrans("", "", "-.()")
_NOT_IN_A_URI = re.compile(r'[\x00-\x20"<>\x7f]')


def escape_user(text: str) -> str:
    """Percent-escape the user part of a SIP URI (RFC 3261 `user`)."""
    if _PLAIN_USER.fullmatch(text):  # Most are, and the other takes five times as long.
        return text
    return _percent_encode(text, safe=_SAFE_IN_USER, errors="surrogateescape")


def escape_param(text: str) -> str:
    """Percent-escape the name or value of a URI parameter (RFC 3261 `paramchar`)."""
    return _percent_encode(text, safe=_MARK + "[]/:&+$", errors="surrogateescape")


def escape_header(text: str) -> str:
    """Percent-escape the name or value of a URI header, `?hname=hvalue` (RFC 3261 `hvalue`)."""
    return _percent_encode(text, safe=_MARK + "[]/?:+$", errors="surrogateescape")


def unescape(text: str) -> str:
    """Undo percent-escaping. A `%` that escapes nothing stays; octets that are no UTF-8 become surrogates."""
    return _percent_decode(text, errors="surrogateescape") if "%" in text else text


def parse_port(text: str) -> int:
    """A port 1..65535, else RemoteError(400): one out of range makes `sendto` raise OverflowError later."""
    if not (text.isascii() and text.isdigit() and len(text) <= 8 and 1 <= (port := int(text)) <= 65535):
        raise RemoteError(400, "Malformed port")
    return port


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Split `host`, `host:port` or `[IPv6]:port`; the host comes without brackets.

    Raises RemoteError(400) when either is malformed.
    """
    if text[:1] == "[":
        host, bracket, rest = text[1:].partition("]")
        rest = rest.strip(BLANK)
        if not bracket or not _is_ipv6(host) or rest[:1] not in ("", ":"):
            raise RemoteError(400, "Malformed IPv6 reference")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = text.partition(":")
        host = host.rstrip(BLANK)
        if _HOST.fullmatch(host) is None:
            raise RemoteError(400, "Malformed host")
    return host, parse_port(port.lstrip(BLANK)) if colon else None


def format_host_port(host: str, port: int | None) -> str:
    """`host:port` with brackets around an IPv6 address; no port when it is None."""
    if ":" in host:
        host = f"[{host}]"
    return host if port is None else f"{host}:{port}"


def _is_ipv6(text: str) -> bool:
    if "%" in text or len(text) > 45:
        return False
    try:
        ipaddress.IPv6Address(text)
    except ipaddress.AddressValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class SipUri:
    """A sip or sips URI (RFC 3261 section 19.1.1)."""

    scheme: str
    """"sip" or "sips"."""
    user: str | None
    """As received, escaped; None without `@`, "" for an empty one."""
    password: str | None
    host: str
    """A name or an address, IPv6 without brackets."""
    port: int | None = None
    params: Params = NO_PARAMS
    headers: tuple[tuple[str, str], ...] = ()
    """The `?name=value` pairs as received, escaped."""

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Parse a sip or sips URI; RemoteError(400) when malformed, RemoteError(416) for another scheme."""
        uri = parse_uri(text)
        if not isinstance(uri, cls):
            raise RemoteError(416, "Unsupported URI Scheme")
        return uri

    @property
    def username(self) -> str:
        """The user part, unescaped; "" when there is none."""
        return unescape(self.user) if self.user else ""

    @property
    def host_port(self) -> str:
        """`host[:port]` as it is written."""
        return format_host_port(self.host, self.port)

    def param(self, name: str) -> str | None:
        """The value of a parameter, unescaped; "" when it has none; None when it is absent."""
        name = name.lower()
        for key, value in self.params:
            if unescape(key).lower() == name:
                return unescape(value) if value else ""
        return None

    def has_param(self, name: str) -> bool:
        """True when the parameter is present, for example `lr`."""
        return self.param(name) is not None

    def header(self, name: str) -> str | None:
        """The value of the first `?name=value` header, unescaped; None when it is absent."""
        name = name.lower()
        for key, value in self.headers:
            if unescape(key).lower() == name:
                return unescape(value)
        return None

    def with_params(self, pairs: Iterable[tuple[str, str | None]]) -> SipUri:
        """A copy with these parameters set; values are escaped here, None makes a flag such as `;lr`."""
        params = self.params
        for name, value in pairs:
            params = params.with_param(escape_param(name), None if value is None else escape_param(value))
        return replace(self, params=params)

    def without_params(self, *names: str) -> SipUri:
        """A copy without these parameters."""
        params = self.params
        for name in names:
            params = params.without(name)
        return replace(self, params=params)

    def with_headers(self, pairs: Iterable[tuple[str, str]]) -> SipUri:
        """A copy with exactly these `?name=value` headers, escaped here (RFC 3261 section 19.1.1)."""
        escaped = tuple((escape_header(name), escape_header(value)) for name, value in pairs)
        return replace(self, headers=escaped)

    def __str__(self) -> str:
        userinfo = ""
        if self.user is not None:
            userinfo = f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"
        headers = "?" + "&".join([f"{name}={value}" for name, value in self.headers]) if self.headers else ""
        return f"{self.scheme}:{userinfo}{self.host_port}{self.params}{headers}"


@dataclass(frozen=True, slots=True)
class TelUri:
    """A telephone number (RFC 3966)."""

    number: str
    """As received, with its visual separators."""
    params: Params = NO_PARAMS

    scheme = "tel"

    @property
    def digits(self) -> str:
        """The number without visual separators; a global one keeps its `+`."""
        return self.number.translate(_VISUAL_SEPARATORS)

    def __str__(self) -> str:
        return f"tel:{self.number}{self.params}"


@dataclass(frozen=True, slots=True)
class OtherUri:
    """A URI whose scheme means nothing to us (RFC 3986); kept whole."""

    scheme: str
    """As received."""
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


Uri = SipUri | TelUri | OtherUri


def _parse(text: str) -> Uri:
    """A URI without angle brackets. Raises RemoteError(400) when it is malformed."""
    scheme, colon, rest = text.partition(":")
    if not colon or not rest or _SCHEME.fullmatch(scheme) is None or _NOT_IN_A_URI.search(rest):
        raise RemoteError(400, "Malformed URI")
    lower = scheme.lower()
    if lower in ("sip", "sips"):
        return _parse_sip(lower, rest)
    if lower == "tel":
        number, semicolon, params = rest.partition(";")
        if _TELEPHONE.fullmatch(number) is None:
            raise RemoteError(400, "Malformed telephone number")
        return TelUri(number, Params.parse(semicolon + params))
    return OtherUri(scheme, rest)


def _parse_sip(scheme: str, rest: str) -> SipUri:
    user: str | None = None
    password: str | None = None
    # The user part may hold `;` and `?` but no bare `@`, so the first one ends it.
    userinfo, at, after = rest.partition("@")
    if at:
        user, colon, secret = userinfo.partition(":")
        password = secret if colon else None
        rest = after
    address, question, headers = rest.partition("?")
    host_port, semicolon, params = address.partition(";")
    host, port = parse_host_port(host_port)
    pairs = _parse_uri_headers(headers) if question else ()
    return SipUri(scheme, user, password, host, port, Params.parse(semicolon + params), pairs)


def _parse_uri_headers(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for piece in limited(text.split("&")):
        name, equals, value = piece.partition("=")
        if not name or not equals:
            raise RemoteError(400, "Malformed URI header")
        pairs.append((name, value))
    return tuple(pairs)


parse_uri = Remembered(_parse).__getitem__
"""Parse a URI without angle brackets. Raises RemoteError(400) when it is malformed."""
