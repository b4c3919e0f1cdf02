"""Where media may be sent: the c= line, a=rtcp, and what we never send to.

RFC 8866 section 5.7, RFC 3264 section 8.4 (c=0.0.0.0), RFC 3605 (a=rtcp), RFC 5761 section 5.1.1 (rtcp-mux not
accepted). Names are not resolved.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

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
    address = _literal(connection.address)
    if address is None:
        raise not_acceptable(WARN_ADDRESS, "c= is not an IP address")
    if address.is_multicast or address == _BROADCAST:
        raise not_acceptable(WARN_MULTICAST, "Multicast is not available")
    if address.is_unspecified:
        return None
    if (address.version == 6) is not ipv6:
        raise not_acceptable(WARN_ADDRESS, f"IPv{address.version} media is not available here")
    return str(address), media.port


def rtcp_address(media: Media, address: Address) -> Address | None:
    """Where a=rtcp (RFC 3605) wants RTCP for a stream sent to `address`; None for the port above.

    A port equal to the RTP port is what rtcp-mux offers say; we do not multiplex, so the default holds then
    (RFC 5761 section 5.1.1). An address we could not send to is ignored: RTCP is not worth a call.
    """
    found = media.rtcp()
    if found is None:
        return None
    connection, port = found
    host = address[0]
    if connection is not None:
        literal = _literal(connection.address)
        if literal is None or literal.is_unspecified or literal.is_multicast or literal == _BROADCAST:
            return None
        if (literal.version == 6) != (":" in host):
            return None
        host = str(literal)
    return None if (host, port) == address else (host, port)


_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


def _literal(text: str) -> _IPAddress | None:
    """The address in a c= line without its /ttl; None for host names and zones, which are not resolved."""
    return _parse_literal(text) if len(text) <= _LONGEST_LITERAL else None


@lru_cache(maxsize=4096)
def _parse_literal(text: str) -> _IPAddress | None:
    # Cached because the same few gateways come back in every call and ipaddress is slow (2 µs and more).
    try:
        return None if "%" in text else ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        return None
