"""Where media may be sent: the c= line, a=rtcp, and what we never send to.

RFC 8866 section 5.7, RFC 3264 section 8.4 (c=0.0.0.0), RFC 3605 (a=rtcp), RFC 5761 section 5.1.1 (rtcp-mux not
accepted). Names are not resolved.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

from sip_stack.errors import RemoteError
from sip_stack.sdp.model import Media, Session
from sip_stack.sdp.not_acceptable import WARN_ADDRESS, WARN_MULTICAST, not_acceptable

Address = tuple[str, int]
"""An IP address literal without brackets, and a UDP port."""

_LONGEST_LITERAL = 64


def media_address(session: Session, media: Media, *, ipv6: bool) -> Address | None:
    """Where the peer wants this stream; None when it wants nothing sent: c=0.0.0.0 or :: (section 8.4).

    `ipv6` is our own address family. Raises `RemoteError`: 400 without a c= line, 488 for an address that
    cannot be sent to from here (other family, multicast, host name).
    """
    connection = session.connection_of(media)
    if connection is None:
        raise RemoteError(400, "SDP without c=")
    literal = _literal(connection.address)
    if literal is None:
        raise not_acceptable(WARN_ADDRESS, "c= is not an IP address")
    if literal.for_many:
        raise not_acceptable(WARN_MULTICAST, "Multicast is not available")
    if literal.unspecified:
        return None
    if literal.ipv6 is not ipv6:
        raise not_acceptable(WARN_ADDRESS, f"IPv{6 if literal.ipv6 else 4} media is not available here")
    return literal.text, media.port


def offered_host(session: Session) -> str | None:
    """The address that an offer wants its first audio stream sent to; None where that is none that can be sent to."""
    media = next((each for each in session.media if each.kind.lower() == "audio" and each.port), None)
    connection = None if media is None else session.connection_of(media)
    literal = None if connection is None else _literal(connection.address)
    return None if literal is None or literal.unspecified or literal.for_many else literal.text


def rtcp_address(media: Media, address: Address) -> Address | None:
    """Where a=rtcp (RFC 3605) wants RTCP for a stream sent to `address`; None for the port above.

    A port equal to the RTP port is what rtcp-mux offers say; we do not multiplex, so the default holds then
    (RFC 5761 section 5.1.1). An address we could not send to is ignored: RTCP is not worth a call.
    """
    found = media.lines.rtcp
    if found is None:
        return None
    connection, port = found
    host = address[0]
    if connection is not None:
        literal = _literal(connection.address)
        if literal is None or literal.unspecified or literal.for_many or literal.ipv6 is not (":" in host):
            return None
        host = literal.text
    return None if (host, port) == address else (host, port)


_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


class _Literal(NamedTuple):
    """What is asked of an address, worked out once: each question to `ipaddress` takes a microsecond."""

    text: str
    ipv6: bool
    unspecified: bool
    for_many: bool
    """Multicast or broadcast."""


def _literal(text: str) -> _Literal | None:
    """The address in a c= line without its /ttl; None for host names and zones, which are not resolved."""
    return _parse_literal(text) if len(text) <= _LONGEST_LITERAL else None


@lru_cache(maxsize=4096)
def _parse_literal(text: str) -> _Literal | None:
    # Cached because the same few gateways come back in every call.
    try:
        address = None if "%" in text else ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        return None
    if address is None:
        return None
    for_many = address.is_multicast or address == _BROADCAST
    return _Literal(str(address), address.version == 6, address.is_unspecified, for_many)
