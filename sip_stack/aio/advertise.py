"""Which address our Via, Contact and media say toward a peer.

By the peer's address, longest prefix first, then the default, then the local address that faces the peer:
what the kernel would send from, asked by connecting a UDP socket, which sends nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from sip_stack.errors import TransportError

MAX_CACHED = 16384
"""Peers whose advertised address is remembered."""


class AdvertisedAddresses:
    """Answers `toward(peer)`; answers are cached, since routes and configuration hold for the life of a
    process."""

    __slots__ = ("_by_prefix", "_cache", "_default")

    def __init__(self, default: str | None = None, by_prefix: Mapping[str, str] | None = None) -> None:
        """`by_prefix`: network in CIDR form to address. Raises ValueError for a malformed network."""
        networks: list[tuple[IPv4Network | IPv6Network, str]] = [
            (ip_network(prefix, strict=False), address) for prefix, address in (by_prefix or {}).items()
        ]
        self._by_prefix = sorted(networks, key=lambda entry: entry[0].prefixlen, reverse=True)
        self._default = default
        self._cache: dict[tuple[str, str], str] = {}

    def toward(self, peer: str, bound: str) -> str:
        """The address to tell `peer`; our socket is bound to `bound`. TransportError: there is no route."""
        key = (peer, bound)
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            found = self._cache[key] = self._configured(peer) or facing_address(peer, bound)
        return found

    def _configured(self, peer: str) -> str | None:
        address = ip_address(peer)
        for network, advertised in self._by_prefix:
            if address.version == network.version and address in network:
                return advertised
        return self._default


def facing_address(peer: str, bound: str) -> str:
    """The local address that packets to `peer` leave from; `bound` itself unless that is a wildcard."""
    if not ip_address(bound).is_unspecified:
        return bound
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError as error:
            raise TransportError(f"no route to {peer}: {error.strerror}") from error
        address: str = probe.getsockname()[0]
        return address
