"""Calls with Replaces (RFC 3891): a phone that asks for the place of another, and the call as it was before."""

from __future__ import annotations

import asyncio

from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.events import Ended, Rejected
from tests.support.attended_transfer import replaces
from tests.support.b2bua_world import (
    DESK,
    Phone,
    World,
)
from tests.support.handoff_cast import Cast, answer_at_once, talking
from tests.support.media_leg_double import LegDouble

SECOND = "192.0.2.78"
"""Another phone of the same trunk."""
Session = ClientSession | ServerSession


def dialog(session: Session, more: str = "") -> str:
    """A dialog as its far end, which is us, has to see it."""
    return replaces(session) + more


def take(phone: Phone, *values: str, **more: object) -> ClientSession:
    """Call with Replaces."""
    headers = [("Replaces", value) for value in values]
    return phone.call("anybody", headers=(*headers, ("Require", "replaces")), **more)  # type: ignore[arg-type]


async def refused(phone: Phone) -> int:
    return (await phone.until(Rejected)).response.status


def newest(cast: Cast, role: str) -> LegDouble:
    return cast.call.leg(role)


async def with_the_desk(world: World) -> tuple[Cast, Phone, LegDouble]:
    """The caller was handed over to the desk."""
    desk = await world.phone(DESK, answer_at_once)
    cast = await talking(world)
    handoff = world.hand_off(destination="front-desk")
    await cast.until_awaited()
    cast.agent().hear()
    await cast.until_over(handoff)
    await asyncio.sleep(1)
    return cast, desk, cast.agent()


async def nothing_changed(cast: Cast) -> None:
    await asyncio.sleep(1)
    assert cast.caller.peer is cast.assistant
    assert cast.assistant.peer is cast.caller
    assert len([leg for leg in cast.call.legs if not leg.closed]) == 2
    cast.hang_up()
    await cast.bot.until(Ended)
