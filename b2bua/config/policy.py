"""`policy:` which URIs may be dialled when they come from outside: REFER, the API, headers or a redirect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

from b2bua.config.glob import matches
from b2bua.config.section import Section, refusal, text_schema
from sip_stack.errors import RemoteError
from sip_stack.message import SipUri, TelUri, parse_uri

_PATTERN = re.compile(r"(?P<scheme>sips?):(?P<user>[^@\s;]+)@(?P<host>[A-Za-z0-9*._-]+|\[[0-9A-Fa-f:.]+\])")
_TEL_PATTERN = re.compile(r"tel:(?P<number>[+0-9*#]+)")
_DEFAULT_PORTS = (None, 5060, 5061)
ALLOWED = "a pattern such as sip:*@cc.example.com or tel:+1*"


@dataclass(frozen=True, slots=True)
class UriPattern:
    """`sip:USER@HOST` or `tel:NUMBER` with `*`. Judged part by part.

    Never against the whole text, in which an attacker's URI could hold the allowed host as a parameter.
    """

    scheme: str
    user: str
    host: str = ""
    """Lower case; may begin with `*.`; IPv6 without brackets."""

    def allows(self, uri: SipUri | TelUri) -> bool:
        """True when the URI matches. `sip:` also allows `sips:`, never the reverse."""
        if isinstance(uri, TelUri):
            return self.scheme == "tel" and matches(self.user, uri.digits)
        return (
            uri.scheme.startswith(self.scheme)
            and matches(self.user, uri.username)
            and matches(self.host, uri.host.lower())
            and uri.port in _DEFAULT_PORTS
            # maddr sends the request elsewhere, whatever the host says (RFC 3261 section 16.6 step 7).
            and not uri.has_param("maddr")
        )


def parse_uri_pattern(value: object) -> UriPattern:
    """A pattern of `policy.allow`. Raises a refusal for what is none."""
    text = value if isinstance(value, str) else ""
    if match := _TEL_PATTERN.fullmatch(text):
        return UriPattern("tel", match["number"])
    match = _PATTERN.fullmatch(text)
    if match is None:
        suggestion = f"sip:{text}" if _PATTERN.fullmatch(f"sip:{text}") else None
        raise refusal("not a pattern of URIs", allowed=ALLOWED, suggestion=suggestion)
    host = match["host"].lower()
    if "*" in host.removeprefix("*."):
        raise refusal("a host with * inside", allowed="a host, or *.example.com for the names below it")
    return UriPattern(match["scheme"], match["user"], host.strip("[]"))


_SCHEMA = text_schema(r"^(sips?:.+@.+|tel:.+)$", "tel:+1*")


class Policy(Section):
    """Which URIs may be dialled besides those of named destinations."""

    allow: tuple[Annotated[UriPattern, BeforeValidator(parse_uri_pattern), _SCHEMA], ...] = ()
    """Patterns; none means named destinations only."""

    def allows(self, uri: str) -> bool:
        """True when one pattern allows the URI; False also for what is no sip, sips or tel URI."""
        try:
            parsed = parse_uri(uri)
        except RemoteError:
            return False
        return isinstance(parsed, SipUri | TelUri) and any(pattern.allows(parsed) for pattern in self.allow)
