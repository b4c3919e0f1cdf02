"""REFER and the NOTIFYs that follow it, as values: what they ask, how they are written and read.

RFC 3515 (REFER), RFC 4488 (`Refer-Sub: false`), RFC 7647 (any 2xx accepts), RFC 3420 (message/sipfrag),
RFC 6665 (Subscription-State). Nothing here sends or waits; who may refer whom is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sip_stack.errors import RemoteError
from sip_stack.message import NameAddr, Request, SipUri, TelUri, reason_phrase, unescape

SIPFRAG = "message/sipfrag;version=2.0"
MAX_HEADERS = 32
"""Headers taken from one Refer-To."""

SUBSCRIPTION = 60
"""Seconds that a referrer is told to wait for the next NOTIFY (RFC 6665 section 4.1.3)."""

_STATUS_LINE = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9][0-9])(?:[ \t]|\r|\n|\Z)")


@dataclass(frozen=True, slots=True)
class ReferTo:
    """Whom a REFER points at."""

    uri: str
    """Without its `?headers`."""
    user: str
    """The user part, unescaped; the number of a tel URI."""
    host: str
    """Lower case; empty for a tel URI."""
    method: str
    """What the referred request is to be; INVITE unless the URI says otherwise."""
    headers: tuple[tuple[str, str], ...]
    """The `?name=value` headers, unescaped, `Replaces` not among them."""
    replaces: str | None
    """The dialog to be replaced (RFC 3891): an attended transfer."""


def read_refer_to(request: Request) -> ReferTo:
    """The one Refer-To of a REFER. RemoteError(400) when there is none, more than one, or a malformed one."""
    values = request.headers.get_all("Refer-To")
    if len(values) != 1:
        raise RemoteError(400, "A REFER has exactly one Refer-To")
    value = values[0].strip()
    if "?" in value and "<" not in value:
        # A URI with headers needs its brackets (RFC 3261 section 20.10); PJSIP sends it without all the same.
        value = f"<{value}>"
    uri = NameAddr.parse(value).parsed_uri
    if isinstance(uri, TelUri):
        return ReferTo(str(uri), uri.number, "", "INVITE", (), None)
    if not isinstance(uri, SipUri):
        raise RemoteError(416, "Refer-To is neither a SIP nor a tel URI")
    pairs = [(unescape(name), unescape(value)) for name, value in uri.headers[:MAX_HEADERS]]
    replaces = next((value for name, value in pairs if name.lower() == "replaces"), None)
    headers = tuple((name, value) for name, value in pairs if name.lower() != "replaces")
    bare = uri.with_headers(()).without_params("method")
    return ReferTo(
        str(bare),
        uri.username,
        uri.host.lower(),
        (uri.param("method") or "INVITE").upper(),
        headers,
        replaces,
    )


def refer_to(uri: str, headers: Iterable[tuple[str, str]] = ()) -> str:
    """A Refer-To value with `headers` escaped into the URI. `uri` is a SIP or tel URI that parses.

    A tel URI cannot carry headers; they are left out (RFC 3966 has none).
    """
    parsed = NameAddr("", uri).parsed_uri
    pairs = list(headers)
    return f"<{parsed.with_headers(pairs)}>" if pairs and isinstance(parsed, SipUri) else f"<{uri}>"


def wants_no_subscription(request: Request) -> bool:
    """True when the referrer asks not to be told (`Refer-Sub: false`, RFC 4488)."""
    value = request.headers.get("Refer-Sub")
    return value is not None and value.partition(";")[0].strip().lower() == "false"


def sipfrag(status: int) -> bytes:
    """The body of a NOTIFY: the status line of what came of the referral."""
    return f"SIP/2.0 {status} {reason_phrase(status)}\r\n".encode()


def read_sipfrag(body: bytes | None) -> int | None:
    """The status in a sipfrag; None when it has none.

    Read leniently: some peers end it without CRLF, others send only the code (JsSIP issue 493, FreeSWITCH 3059).
    """
    match = _STATUS_LINE.match(body or b"")
    return int(match[1]) if match else None


def subscription_state(active: bool) -> str:
    """A Subscription-State value: still to come, or over."""
    return f"active;expires={SUBSCRIPTION}" if active else "terminated;reason=noresource"


def is_terminated(request: Request) -> bool:
    """True when a NOTIFY says that no further one will come."""
    value = request.headers.get("Subscription-State") or ""
    return value.partition(";")[0].strip().lower() == "terminated"


def event_package(request: Request) -> tuple[str, str | None] | None:
    """The event package of a NOTIFY in lower case, and its `id`; None without an Event header."""
    value = request.headers.get("Event")
    if value is None:
        return None
    package, *params = (part.strip() for part in value.split(";"))
    identity = next((part[3:].strip() for part in params if part[:3].lower() == "id="), None)
    return package.lower(), identity
