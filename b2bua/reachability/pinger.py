"""The pings: one task for each next hop that the configuration wants pinged.

An OPTIONS outside any dialog (RFC 3261 section 11) to each of the hop's targets in turn until one responds. Whatever
responds is there, be it 404, 405 or 401; only 503 says that it takes no calls.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from b2bua.encryption import needs_tls
from b2bua.inquiry import Inquiry
from b2bua.preloaded_route import way_through
from b2bua.reachability.health import State
from b2bua.reachability.reachability import Hop, hop_of
from b2bua.telemetry.logs import get_logger
from sip_stack.errors import SipError
from sip_stack.message import NameAddr, SipUri, format_host_port

if TYPE_CHECKING:
    from b2bua.call.services import Services
    from b2bua.config import Configuration
    from sip_stack.transport import Target, TlsTerms

SERVICE_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Task:
    """What to ping, and how."""

    uri: str
    """Without a user: it is the machine that is asked, not a person."""
    proxies: tuple[str, ...]
    """What it passes on its way, as calls do."""
    tls: bool
    terms: TlsTerms | None
    interval: float
    """Seconds."""
    patience: float
    """Seconds that one target has to respond."""


class Pinger:
    """Pings what the configuration in force wants pinged."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._log = get_logger()
        self._running: dict[Hop, tuple[Task, asyncio.Task[None]]] = {}

    def follow(self, configuration: Configuration) -> None:
        """Begin with what is new in a configuration, stop with what is not in it, leave the rest alone."""
        wanted = dict(_wanted(configuration))
        for hop in [hop for hop, (task, _) in self._running.items() if wanted.get(hop) != task]:
            self._running.pop(hop)[1].cancel()
            if hop not in wanted:
                self._services.reachability.forget(hop)
        for hop, task in wanted.items():
            if hop not in self._running:
                name = f"ping {hop.host}"
                self._running[hop] = task, asyncio.create_task(self._keep_pinging(hop, task), name=name)

    async def close(self) -> None:
        """Stop them all."""
        running = [running for _, running in self._running.values()]
        self._running.clear()
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _keep_pinging(self, hop: Hop, task: Task) -> None:
        health = self._services.reachability.watch(hop)
        while True:
            try:
                alive = await self._is_alive(task)
            except Exception:
                # A defect of ours says nothing of the far end, and must not end the watch over it.
                self._log.exception("ping_failed", host=hop.host)
                alive = health.state is not State.DOWN
            if health.note(alive=alive):
                tell = self._log.info if alive else self._log.warning
                tell("reachable" if alive else "unreachable", uri=task.uri, transport=hop.transport)
            # Not in step with those of other nodes, nor with each other after a restart.
            await asyncio.sleep(health.pause(task.interval) * random.uniform(0.9, 1.1))

    async def _is_alive(self, task: Task) -> bool:
        next_hop = way_through(task.uri, task.proxies).next_hop
        try:
            targets = await self._services.resolver.resolve(next_hop, tls=task.tls, timeout=task.patience)
        except SipError:
            return False
        for target in targets:
            if await self._responds(task, target):
                return True
            self._services.avoided.avoid(target, self._services.now(), task.interval)
        return False

    async def _responds(self, task: Task, target: Target) -> bool:
        stack = self._services.stack
        ping = Inquiry()
        try:
            flow = stack.flow_to(target if task.terms is None else replace(target, terms=task.terms))
            us = f"sip:b2bua@{format_host_port(flow.advertised[0], None)}"
            stack.endpoint.request(
                self._services.now(),
                flow=flow,
                method="OPTIONS",
                uri=task.uri,
                from_=NameAddr("", us),
                to=NameAddr("", task.uri),
                headers=[*way_through(task.uri, task.proxies).headers, ("Accept", "application/sdp")],
                owner=ping,
            )
        except SipError:
            return False
        stack.flush()
        response = await ping.response(task.patience)
        return response is not None and response.status != SERVICE_UNAVAILABLE


def _wanted(configuration: Configuration) -> Iterator[tuple[Hop, Task]]:
    """What to ping: the trunks' and destinations' next hops with a `ping`, each once, at its shortest interval."""
    found: dict[Hop, Task] = {}
    timers = configuration.timers
    for uri, proxies, tls, terms, interval, patience in (
        *(
            (outbound.uri, outbound.proxies, False, outbound.tls, outbound.ping, timers.connect_timeout)
            for trunk in configuration.trunks.values()
            if (outbound := trunk.outbound) is not None
        ),
        *(
            (
                uri,
                place.proxies,
                needs_tls(place.encryption),
                place.tls,
                place.ping,
                place.over(timers).connect_timeout,
            )
            for place in configuration.destinations.values()
            if place.dials
            for uri in place.route
        ),
    ):
        hop = hop_of(uri, tls=tls)
        if not interval or hop is None:
            continue
        if hop not in found or interval < found[hop].interval:
            whom = _without_user(uri)
            found[hop] = Task(
                whom, proxies, hop.tls, terms.terms if terms else None, interval, min(patience, interval)
            )
    yield from found.items()


def _without_user(uri: str) -> str:
    return str(replace(SipUri.parse(uri), user=None, headers=()))
