"""What is known of the next hops that are pinged, for whoever is about to dial one of them."""

from __future__ import annotations

from typing import NamedTuple

from b2bua.reachability.health import Health, State
from sip_stack.errors import SipError
from sip_stack.locating import next_hop


class Hop(NamedTuple):
    """A far end as a URI names it, before the DNS is asked. Destinations dialled through one trunk share one."""

    host: str
    port: int | None
    transport: str | None
    tls: bool


def hop_of(uri: str, *, tls: bool) -> Hop | None:
    """The next hop of a URI; None for one that names no host."""
    try:
        hop = next_hop(uri)
    except SipError:
        return None
    return Hop(hop.host.lower(), hop.port, hop.transport, tls or hop.transport == "tls")


class Reachability:
    """The health of each next hop that is pinged."""

    def __init__(self) -> None:
        self._known: dict[Hop, Health] = {}

    def watch(self, hop: Hop) -> Health:
        """The health of a hop, remembered from now on."""
        return self._known.setdefault(hop, Health())

    def forget(self, hop: Hop) -> None:
        """It is pinged no longer: nothing is known of it."""
        self._known.pop(hop, None)

    def state(self, uri: str, *, tls: bool) -> State | None:
        """What is believed of the next hop of a URI; None when it is not pinged."""
        if not self._known:
            return None
        hop = hop_of(uri, tls=tls)
        health = self._known.get(hop) if hop is not None else None
        return health.state if health is not None else None

    def alive(self, route: tuple[str, ...], *, tls: bool) -> tuple[str, ...]:
        """The URIs of a route without those that it is in vain to dial."""
        if not self._known:
            return route
        return tuple(uri for uri in route if not self.is_down(uri, tls=tls))

    def is_down(self, uri: str, *, tls: bool) -> bool:
        """True when pings say that dialling this URI is in vain."""
        return self.state(uri, tls=tls) is State.DOWN
