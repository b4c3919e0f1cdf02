"""The way of a request that begins something: the Route it is sent with, and where that leads first.

RFC 3261 section 8.1.2, RFC 3608 (what a registrar asks for). Requests inside a dialog have the dialog's route set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sip_stack.message import NameAddr

if TYPE_CHECKING:
    from b2bua.config import Dialled
    from b2bua.headers import Header
    from b2bua.registration.bindings import Bindings


class Way(NamedTuple):
    """How a URI is reached."""

    next_hop: str
    """The URI to resolve."""
    headers: tuple[Header, ...] = ()
    """The Route lines."""


def way_through(uri: str, proxies: tuple[str, ...]) -> Way:
    """The way to `uri` past these proxies, SIP URIs in order."""
    if not proxies:
        return Way(uri)
    return Way(proxies[0], tuple(("Route", f"<{proxy}>") for proxy in proxies))


def way_to(place: Dialled, uri: str, bindings: Bindings) -> Way:
    """The way to a URI of `place`: past its proxies, and without a `route_set` past those that its trunk's registrar
    asks for."""
    proxies = place.proxies
    if not place.route_set:
        asked_for = bindings.service_route(place.trunk)
        if asked_for:
            proxies += tuple(NameAddr.parse(value).uri for value in asked_for)
    return way_through(uri, proxies)
