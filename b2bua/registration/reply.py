"""What a registrar's response says: for how long it has us, where it saw us, what it wants us to do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sip_stack.errors import RemoteError
from sip_stack.message import NameAddr, SipUri, parse_uri, split_commas

if TYPE_CHECKING:
    from sip_stack.message import Response
    from sip_stack.transport import Flow

LONGEST = 86_400.0
"""Seconds that we let a registrar have us for, whatever it says."""

MAX_ROUTE = 8
"""URIs of a Service-Route that are believed."""

INTERVAL_TOO_BRIEF = 423


def granted(response: Response, contact: str, asked: float) -> float:
    """For how many seconds it has us (RFC 3261 section 10.2.4): our Contact's `expires`, else Expires, else what we
    asked. 0 when it does not."""
    try:
        contacts = response.contacts
    except RemoteError:
        contacts = []
    # Other nodes of ours, and ourselves as of before a NAT's change, may stand beside it.
    ours = [each for each in contacts if _place(each.uri) == _place(contact)]
    found = [seconds for each in ours if (seconds := _seconds(each.params.get("expires"))) is not None]
    if found:
        return min(max(found), LONGEST)
    general = _seconds(response.headers.get("Expires"))
    return min(asked if general is None else general, LONGEST)


def least(response: Response) -> float | None:
    """What a 423 wants at least (RFC 3261 section 10.2.8); None for any other response, and for what is no time."""
    if response.status != INTERVAL_TOO_BRIEF:
        return None
    seconds = _seconds(response.headers.get("Min-Expires"))
    return seconds if seconds is not None and seconds <= LONGEST else None


def service_route(response: Response) -> tuple[str, ...]:
    """The Service-Route (RFC 3608), in order; () when there is none, when it is malformed, and for strict routers."""
    values = [
        each for line in response.headers.get_all("Service-Route") for each in split_commas(line) if each
    ]
    return tuple(values) if len(values) <= MAX_ROUTE and all(map(_is_loose_router, values)) else ()


def _is_loose_router(value: str) -> bool:
    try:
        uri = NameAddr.parse(value).parsed_uri
    except RemoteError:
        return False
    return isinstance(uri, SipUri) and uri.has_param("lr")


def seen_contact(response: Response, contact: str, flow: Flow) -> str:
    """Our Contact with the address that the far end saw us at (RFC 3581), where a NAT stands between.

    Over a connection the port says nothing unless the address differs: it is the connection's, not the listener's.
    """
    try:
        via = response.via
        host, port = via.received, via.rport
    except RemoteError:
        return contact
    uri = parse_uri(contact)
    if port is None or not isinstance(uri, SipUri) or flow.name:
        return contact
    host = host or via.host
    own_host, own_port = flow.advertised
    if host == own_host and (flow.reliable or port == own_port):
        return contact
    return str(replace(uri, host=host, port=port))


def _place(uri: str) -> tuple[str, str, int] | None:
    """What tells Contacts of ours apart; registrars rewrite the rest."""
    try:
        parsed = parse_uri(uri)
    except RemoteError:
        return None
    return (parsed.username, parsed.host.lower(), parsed.port or 5060) if isinstance(parsed, SipUri) else None


def _seconds(text: str | None) -> float | None:
    text = "" if text is None else text.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None
