"""What the API tells of the far ends: whether trunks and destinations can be reached, and where we are registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.clock import CallClock
from b2bua.encryption import needs_tls
from b2bua.reachability import State
from media.rtpengine import RtpengineEngine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from b2bua.call.record import JsonObject
    from b2bua.call.services import Services
    from b2bua.config import Configuration, Destination, Trunk
    from b2bua.registration.bindings import Binding


def trunks(configuration: Configuration, services: Services) -> list[JsonObject]:
    """Every trunk, in the order of the file."""
    return [_trunk(trunk, services) for trunk in configuration.trunks.values()]


def of_destination(destination: Destination, services: Services) -> str | None:
    """Whether it can be reached, as far as pings say: `up` when one of its URIs is; None when none is pinged."""
    tls = needs_tls(destination.encryption)
    return _best(services.reachability.state(uri, tls=tls) for uri in destination.route)


def rtpengine(services: Services) -> JsonObject | None:
    """How many rtpengine daemons there are, and how many of them are up; None where this process carries the audio."""
    if not isinstance(services.engine, RtpengineEngine):
        return None
    nodes = services.engine.nodes
    return {"nodes": len(nodes), "up": sum(node.is_up for node in nodes)}


def _trunk(trunk: Trunk, services: Services) -> JsonObject:
    outbound = trunk.outbound
    clock = CallClock(services.now())
    return {
        "name": trunk.name,
        "reachability": None
        if outbound is None
        else _best([services.reachability.state(outbound.uri, tls=False)]),
        "registrations": [_registration(each, clock) for each in services.bindings.of_trunk(trunk.name)],
    }


def _best(states: Iterable[State | None]) -> str | None:
    known = {state for state in states if state is not None}
    return next((state.value for state in (State.UP, State.UNKNOWN, State.DOWN) if state in known), None)


def _registration(binding: Binding, clock: CallClock) -> JsonObject:
    return {
        "registrar": binding.registrar,
        "address_of_record": binding.address_of_record,
        "state": binding.state.value,
        "expires": clock.stamp(binding.expires_at),
        "next": clock.stamp(binding.next_at),
        "failures": binding.failures,
        "sip_status": binding.status,
        "sip_reason": binding.reason,
    }
