"""Waiting until the assistant has finished its sentence, so that an announced handoff is heard whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from b2bua.call.events import Quiet

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.events import CallEvent
    from b2bua.config import Destination
    from b2bua.handoff.handoff import HandoffRequest

QUIET_MS = 400
"""How long the assistant must have been silent for its sentence to be over."""

ANNOUNCED = 5.0
"""Longest wait in seconds when a sentence was announced and nothing else is configured."""


def longest_wait(request: HandoffRequest, destination: Destination) -> float:
    """How many seconds the assistant gets: what was asked for, else configured, else 5 s for an announced sentence."""
    for configured in (request.wait_for_silence, destination.wait_for_silence):
        if configured is not None:
            return configured
    return ANNOUNCED if request.utterance else 0.0


async def wait_for_silence(
    call: Call, seconds: float, look: Callable[[CallEvent], None] = lambda event: None
) -> None:
    """Return when the assistant has been silent for `QUIET_MS`, has left, or after `seconds`.

    `look` sees every event meanwhile, and may raise.
    """
    peer = call.peer
    if seconds <= 0 or peer is None:
        return
    deadline = call.services.now() + seconds
    peer.media.watch_silence(QUIET_MS)
    try:
        while call.peer is peer:
            event = await call.next_event(deadline)
            look(event)
            if isinstance(event, Quiet) and event.leg is peer:
                return
    except TimeoutError:
        call.log.info("assistant_still_talking", waited_s=seconds)
    finally:
        peer.media.watch_silence(None)
