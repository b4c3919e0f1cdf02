"""The registrations: one task for each trunk and registrar, from the first REGISTER to the one that takes it back."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from b2bua.registration.bindings import State
from b2bua.registration.plan import Plan, plans_of
from b2bua.registration.upkeep import Upkeep

if TYPE_CHECKING:
    from b2bua.call.services import Services
    from b2bua.config import Configuration
    from sip_stack.transport import Flow

FAREWELL = 2.0
"""Seconds that taking back a registration may take, once it is configured no more."""


class Registrant:
    """Registers what the configuration in force wants registered."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._secret = secrets.token_bytes(32)
        self._running: dict[Plan, tuple[Upkeep, asyncio.Task[None]]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        services.stack.on_lost = self._lost

    def follow(self, configuration: Configuration) -> None:
        """Begin with what is new in a configuration, take back what is not in it, leave the rest alone."""
        wanted = dict.fromkeys(plans_of(configuration, self._secret))
        for plan in [plan for plan in self._running if plan not in wanted]:
            upkeep, task = self._running.pop(plan)
            # The same Contact anew: the REGISTER that follows takes its place, and a farewell might come after it.
            stays = any(_same_binding(plan, other) for other in wanted)
            leaving = asyncio.create_task(
                self._leave(upkeep, task, stays=stays), name=f"unregister {plan.trunk}"
            )
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        for plan in wanted:
            if plan not in self._running:
                upkeep = Upkeep(self._services, plan)
                task = asyncio.create_task(upkeep.run(), name=f"register {plan.trunk}")
                self._running[plan] = upkeep, task

    def _lost(self, flow: Flow) -> None:
        for upkeep, _ in self._running.values():
            upkeep.lost(flow)

    async def close(self, patience: float) -> None:
        """Take all back; gives up after `patience` seconds."""
        running = list(self._running.values())
        self._running.clear()
        farewells = [asyncio.create_task(self._leave(upkeep, task, stays=False)) for upkeep, task in running]
        farewells += self._leaving
        if farewells:
            _, late = await asyncio.wait(farewells, timeout=patience)
            for each in late:
                each.cancel()
            await asyncio.gather(*farewells, return_exceptions=True)

    async def _leave(self, upkeep: Upkeep, task: asyncio.Task[None], *, stays: bool) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            if not stays and upkeep.binding.state is State.REGISTERED:
                await upkeep.unregister(FAREWELL)
        finally:
            upkeep.forget()


def _same_binding(one: Plan, other: Plan) -> bool:
    return (one.registrar, one.address_of_record, one.contact_user) == (
        other.registrar,
        other.address_of_record,
        other.contact_user,
    )
