"""A call of our own beside a caller's."""

from __future__ import annotations

from typing import NamedTuple

from b2bua.call.call import Call
from b2bua.call_order import CallOrder
from b2bua.handoff.handoff import HandoffRequest
from sip_stack.dialog import ClientSession
from sip_stack.events import Answered
from tests.support.b2bua_world import DESK, SBC, Phone, World
from tests.support.handoff_cast import ASSISTANT, answer_at_once

ORDER = CallOrder(HandoffRequest(destination="front-desk"), from_user="4711")


class Two(NamedTuple):
    """Two calls that are up: a caller's with the assistant, and one of our own with the desk."""

    alice: Phone
    session: ClientSession
    hers: Call
    desk: Phone
    placed: Call


async def two_calls(world: World) -> Two:
    """Both of them, answered."""
    await world.phone(ASSISTANT, answer_at_once)
    desk, alice = await world.phone(DESK, answer_at_once), await world.phone(SBC)
    session = alice.call("support")
    await alice.until(Answered)
    (hers,) = world.registry.calls.values()
    placed = world.registry.place(ORDER)
    await world.until(lambda: placed.answered)
    return Two(alice, session, hers, desk, placed)
