"""Waiting for what the far end says before it is let go, but not for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.events import ByeAnswered, Ended, NotifyAnswered

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.events import LegEvent
    from b2bua.call.leg import Leg

PATIENCE = 2.0
"""Seconds for the assistant's answer to a BYE or to the last NOTIFY."""


async def until_gone(call: Call, leg: Leg) -> None:
    """The far end has answered our BYE, or `PATIENCE` is over. Raises what `Call.next_event` raises."""
    await _until(call, ByeAnswered, leg, call.services.now() + PATIENCE)


async def until_told(call: Call, leg: Leg) -> None:
    """The far end has answered every NOTIFY, or `PATIENCE` is over. Raises what `Call.next_event` raises.

    A referrer that gets our BYE before the last NOTIFY answers the NOTIFY with 481, and never learns how it ended.
    """
    deadline = call.services.now() + PATIENCE
    while leg.notifys_open and not leg.over and call.services.now() < deadline:
        await _until(call, NotifyAnswered, leg, deadline)


async def _until(call: Call, kind: type[LegEvent], leg: Leg, deadline: float) -> None:
    while True:
        try:
            event = await call.next_event(deadline)
        except TimeoutError:
            return
        if isinstance(event, (kind, Ended)) and event.leg is leg:
            return
