"""Longest-prefix match over IPv4 and IPv6 networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, TypeVar

from b2bua.config.addresses import Network

V = TypeVar("V")


class PrefixTable(Generic[V]):
    """Values by network. A look-up costs one dictionary access per prefix length in use."""

    def __init__(self, entries: Iterable[tuple[Network, V]]) -> None:
        self._tables: dict[int, dict[int, dict[int, V]]] = {0: {}, 4: {}, 6: {}}
        for network, value in entries:
            shift = network.max_prefixlen - network.prefixlen
            table = self._tables[network.version].setdefault(shift, {})
            table[int(network.network_address) >> shift] = value
        # The smallest shift is the longest prefix: it is asked first.
        self._tables = {version: dict(sorted(tables.items())) for version, tables in self._tables.items()}

    def find(self, address: str) -> V | None:
        """The value of the longest prefix that holds `address`; None when there is none, or for no address.

        An IPv4 address as a dual-stack socket reports it (`::ffff:192.0.2.1`) is the IPv4 address.
        """
        version, number = _parsed(address)
        for shift, table in self._tables[version].items():
            if (value := table.get(number >> shift)) is not None:
                return value
        return None


@lru_cache(maxsize=4096)
def _parsed(address: str) -> tuple[int, int]:
    """Version and number of an address; version 0 for what is none. Cached, since a call asks three times."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return 0, 0
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.version, int(ip)
