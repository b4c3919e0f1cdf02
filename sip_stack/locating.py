"""Where a request for a URI goes, as pure functions: URI to next hop, addresses to targets (RFC 3263).

Looking names up is `sip_stack.aio.resolver`'s. Transport and port come from the URI or are the scheme's
defaults: NAPTR and SRV records (sections 4.1, 4.2), which a name without a port could have, are not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from sip_stack.errors import TransportError
from sip_stack.message import SipUri, Uri, parse_uri
from sip_stack.transport import Target

DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
"""The port of each transport that we speak (RFC 3261 section 19.1.2)."""

_MAX_NAME = 253
_MAX_LITERAL = 64
_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


class ResolutionError(TransportError):
    """No address to send to: the name has none, nobody told us in time, or the URI names no host."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """What a URI says about where to send (RFC 3263 section 4: TARGET), before any look-up."""

    host: str
    """A host name or an address literal without brackets: `maddr` when the URI has it."""
    port: int | None
    """As said in the URI."""
    transport: str | None
    """"udp", "tcp" or "tls", as said in the URI; "tls" for every sips URI."""

    @property
    def is_numeric(self) -> bool:
        """True when the host is an address, so that nothing needs to be looked up."""
        return address_version(self.host) is not None


def next_hop(uri: str | Uri) -> NextHop:
    """Read a sip or sips URI.

    Raises ResolutionError for another scheme, a transport that we do not speak and a host that is no host
    name, RemoteError(400) for text that is no URI.
    """
    parsed = parse_uri(uri) if isinstance(uri, str) else uri
    if not isinstance(parsed, SipUri):
        raise ResolutionError(f"a {parsed.scheme} URI names no host")
    host = (parsed.param("maddr") or parsed.host).strip("[]")
    if address_version(host) is None and (len(host) > _MAX_NAME or _NAME.fullmatch(host) is None):
        raise ResolutionError(f"{host[:64]!r} is no host name")
    transport = (parsed.param("transport") or "").lower() or None
    if transport is not None and transport not in DEFAULT_PORTS:
        raise ResolutionError(f"transport {transport[:16]!r} is not supported")
    if parsed.scheme == "sips":
        if transport == "udp":
            raise ResolutionError("a sips URI cannot go over udp")
        # RFC 3261 section 26.2.2: `transport=tcp` of a sips URI means TLS over TCP.
        transport = "tls"
    return NextHop(host, parsed.port, transport)


def targets(hop: NextHop, addresses: Iterable[str]) -> list[Target]:
    """The places to try for a next hop whose host has these addresses, in their order."""
    transport = hop.transport or "udp"
    port = hop.port or DEFAULT_PORTS[transport]
    return [Target(transport, address, port, hop.host) for address in addresses]


def address_version(host: str) -> int | None:
    """4 or 6 for an address literal without brackets, None for a name."""
    return _literal_version(host) if len(host) <= _MAX_LITERAL else None


# A call asks for its few addresses again and again; the bound on their length bounds the cache.
@lru_cache(maxsize=4096)
def _literal_version(host: str) -> int | None:
    try:
        return ip_address(host).version
    except ValueError:
        return None
