"""Handoff by BYE: our session ends, the SBC takes the call back and reads in the headers where it belongs.

Once the BYE is sent there is no way back (RFC 3261 section 15.1.1), so everything that can fail is checked before.
docs/handoff.md, "bye".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.call import CallOver
from b2bua.call.events import ByeAnswered
from b2bua.handoff.handoff import HandoffState
from b2bua.handoff.headers import custom_headers
from b2bua.handoff.silence import longest_wait, wait_for_silence

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.config import Destination
    from b2bua.handoff.handoff import Handoff

PATIENCE = 33.0
"""Seconds until a BYE that nobody answers has timed out in the transaction (64*T1), and a little."""


async def by_bye(call: Call, caller: Leg, handoff: Handoff, destination: Destination) -> None:
    """Raises `CallOver` when the BYE is finished, `HandoffFailed` when it must not be sent."""
    headers = custom_headers(call, caller, handoff, destination)
    await wait_for_silence(call, longest_wait(handoff.request, destination))
    handoff.move(HandoffState.DIALING, call.services.now())
    outcome = cause.local("normal_hangup", source="b2bua")
    handoff.irrevocable = True
    call.stop_watching()
    caller.hang_up(outcome, headers)
    call.log.info("bye_sent", destination=destination.name)
    status = await _answer(call, caller)
    handoff.confirmed = status is not None and 200 <= status < 300
    answered = outcome if status is None else cause.with_response(outcome, status)
    handoff.finish(HandoffState.COMPLETED, answered, call.services.now())
    raise CallOver(outcome)


async def _answer(call: Call, caller: Leg) -> int | None:
    """The final response to our BYE; None after silence, or when the call was ended meanwhile: the SBC has the caller
    whatever the API or the media engine say of us."""
    deadline = call.services.now() + PATIENCE
    while True:
        try:
            event = await call.next_event(deadline)
        except (TimeoutError, CallOver):
            return None
        match event:
            case ByeAnswered(leg, status) if leg is caller:
                return status
