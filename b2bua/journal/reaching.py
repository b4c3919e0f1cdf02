"""How a far end of an earlier process is reached again, by what is configured now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from sip_stack.transport import DEFAULT_TERMS, Target

if TYPE_CHECKING:
    from b2bua.call.services import Services
    from b2bua.config import Configuration, Dialled
    from b2bua.journal.entry import JournalEntry, LegEntry
    from sip_stack.auth import Credentials

PATIENCE = 5.0
"""Seconds that a name may take to be looked up."""


class Reaching:
    """Answers for one leg at a time."""

    def __init__(self, services: Services, configuration: Callable[[], Configuration]) -> None:
        self._services = services
        self._configuration = configuration

    @property
    def configuration(self) -> Configuration:
        """What is configured now."""
        return self._configuration()

    def place(self, entry: JournalEntry, role: str, name: str) -> Dialled | None:
        """Where somebody was dialled; None for who called us, and for a place that is not configured any more."""
        configuration = self.configuration
        if role != "assistant":
            return configuration.destinations.get(name)
        route = configuration.route_for(str(entry.record["trunk"]), str(entry.record["called"]))
        return None if route is None else configuration.assistant_for(route)

    def credentials(self, leg: LegEntry, place: Dialled | None) -> Credentials | None:
        """What answers a challenge: the place's own, else its trunk's."""
        trunk = self.configuration.trunks.get(leg.trunk)
        auth = place.auth if place is not None else None
        if auth is None and trunk is not None and trunk.outbound is not None:
            auth = trunk.outbound.auth
        return None if auth is None else auth.credentials

    async def target(self, leg: LegEntry, next_hop: str, place: Dialled | None) -> Target:
        """Where requests go: over UDP to where its packets came from, past any NAT; a connection that is gone is made
        anew to where the dialog leads. Raises `SipError`."""
        if leg.transport == "udp":
            return Target("udp", leg.host, leg.port)
        terms = DEFAULT_TERMS if place is None or place.tls is None else place.tls.terms
        over_tls = leg.transport == "tls"
        target = (await self._services.resolver.resolve(next_hop, tls=over_tls, timeout=PATIENCE))[0]
        return replace(target, name=leg.tls_name or target.name, terms=terms)
