"""Letting somebody hear a newcomer in place of whom they hear, without a gap: from the newcomer's first audio on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.events import Ended, Switched

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg

HEARD_WITHIN_MS = 500
"""How long after the answer the old source is heard while the newcomer is silent."""

PATIENCE = 2.0
"""Seconds to wait for the engine's word on the switch, which it gives after `HEARD_WITHIN_MS` at the latest."""


async def switch(call: Call, stays: Leg, comes: Leg) -> bool:
    """`comes` hears `stays` at once, `stays` hears `comes` from their first audio on; then this returns.

    False when one of them hung up before. Raises what `Call.next_event` raises but `TimeoutError`.
    """
    call.media.hear(comes.media, stays.media)
    call.media.hear_when_heard(stays.media, comes.media, within_ms=HEARD_WITHIN_MS)
    deadline = call.services.now() + PATIENCE
    while True:
        try:
            event = await call.next_event(deadline)
        except TimeoutError:
            return True
        if isinstance(event, Ended) and event.leg in (stays, comes):
            return False
        if isinstance(event, Switched) and event.leg is stays:
            return True
