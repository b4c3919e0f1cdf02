"""The part of offer/answer that needs no codec: our identity, the m-line slots, where media may be sent.

RFC 3264 (offer/answer), RFC 3605 (a=rtcp), RFC 5761 section 5.1.1 (rtcp-mux not accepted). Everything is a
value or a pure function but `LocalDescription`, which remembers what was said last.

It chooses no stream and no codec: see `b2bua/sdp_bridge.py`.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from sip_stack.errors import RemoteError
from sip_stack.sdp.model import Connection, Direction, Media, Origin, Session

Address = tuple[str, int]
"""An IP address literal without brackets, and a UDP port."""

# Warning codes (RFC 3261 section 20.43).
WARN_ADDRESS, WARN_TRANSPORT, WARN_MEDIA, WARN_FORMAT, WARN_MULTICAST, WARN_OTHER = (
    301,
    302,
    304,
    305,
    330,
    399,
)

_LONGEST_LITERAL = 64


def not_acceptable(warning: int, text: str) -> RemoteError:
    """The 488 for a description we understand and cannot take part in. `text` is ours, never the peer's."""
    return RemoteError(488, text, [("Warning", f'{warning} b2bua "{text}"')])


class LocalDescription:
    """What we say on one leg: our o= identity, and the last description made under it.

    The session id is the leg's for life; the version rises by one when, and only when, the text changes
    (RFC 3264 section 8), so that repeating a description is a refresh and not a change.
    """

    def __init__(self, address: Address, session_id: int) -> None:
        self.host, self.port = address
        self._address_type = "IP6" if ":" in self.host else "IP4"
        self._session_id = str(session_id)
        self._version = 0
        self._media: tuple[Media, ...] = ()
        self.body = b""
        """The description in force, empty before the first."""

    def describe(self, media: tuple[Media, ...]) -> bytes:
        """The description with these media sections: the same octets as before when they are the same."""
        if media != self._media or not self.body:
            self._version += 1
            self._media = media
            origin = Origin("-", self._session_id, str(self._version), self._address_type, self.host)
            self.body = Session(origin, Connection(self._address_type, self.host), media).encode()
        return self.body


def refuse(media: Media) -> Media:
    """The answer to a media section we do not carry: its own line with port 0 (RFC 3264 section 6)."""
    return Media(media.kind, 0, media.protocol, media.formats)


def mirror(direction: Direction, *, reachable: bool) -> Direction:
    """Our direction in the answer to theirs (RFC 3264 section 6.1).

    Not `reachable` is c=0.0.0.0: there is nowhere to send to, whatever the attribute says.
    """
    return Direction.of(sends=direction.receives and reachable, receives=direction.sends)


def check_slots(before: Session, now: Session, carried: int) -> None:
    """Raises 488 unless a re-offer keeps its m-lines in place and adds none (RFC 3264 section 8).

    `carried` is the slot of the stream in use; what happens to the refused ones does not matter, they stay
    refused.
    """
    if len(now.media) < len(before.media):
        raise not_acceptable(WARN_MEDIA, "A media section is missing")
    if any(media.port for media in now.media[len(before.media) :]):
        raise not_acceptable(WARN_MEDIA, "Adding media is not supported")
    if now.media[carried].kind.lower() != before.media[carried].kind.lower():
        raise not_acceptable(WARN_MEDIA, "The stream cannot be replaced by another kind")


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
