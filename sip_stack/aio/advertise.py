"""Which address our Via, Contact and media say toward a peer.

What is configured for the peer, else the local address that faces it: what the kernel would send from, asked by
connecting a UDP socket, which sends nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address

from sip_stack.errors import TransportError

MAX_CACHED = 16384
"""Peers whose facing address is remembered."""


def _nothing_configured(peer: str) -> str | None:
    return None


class AdvertisedAddresses:
    """Answers `toward(peer)`. The configuration is asked each time, so that it may change; routes are taken to hold
    for the life of the process."""

    __slots__ = ("_configured", "_facing")

    def __init__(self, configured: Callable[[str], str | None] = _nothing_configured) -> None:
        """`configured`: the IP address that a peer, given as one, is to be told; None for the one that faces it."""
        self._configured = configured
        self._facing: dict[tuple[str, str], str] = {}

    def toward(self, peer: str, bound: str) -> str:
        """The address to tell `peer`; our socket is bound to `bound`. TransportError: there is no route."""
        return self._configured(peer) or self._facing_address(peer, bound)

    def _facing_address(self, peer: str, bound: str) -> str:
        key = (peer, bound)
        found = self._facing.get(key)
        if found is None:
            if len(self._facing) >= MAX_CACHED:
                del self._facing[next(iter(self._facing))]
            found = self._facing[key] = facing_address(peer, bound)
        return found


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
