"""The story of a call, told phase by phase: dial, join, talk, hand over, hang up.

Each story is a coroutine that returns how the call ended. The caller's leaving, a shutdown and the like are not told
here: they come out of `Call.next_event` as `CallOver` and end any story.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.call import CallOver
from b2bua.call.codecs import match
from b2bua.call.dialing import DialFailed, Dialing, Errand
from b2bua.call.events import Digit
from b2bua.call.joining import dismiss
from b2bua.call.recording import begin_if_asked
from b2bua.call.replacing import take_place
from b2bua.config import Destination
from b2bua.handoff.carry_out import carry_out
from b2bua.handoff.patience import until_told
from b2bua.headers import Variables

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.dialled_leg import DialledLeg
    from b2bua.call.events import Progress
    from b2bua.call.leg import Leg
    from b2bua.call.received_leg import ReceivedLeg
    from b2bua.config import Route


async def of_caller(call: Call, caller: ReceivedLeg, route: Route) -> cause.Outcome:
    """A caller is connected as `route` says, and stays until somebody hangs up."""
    if route.destination is not None:
        peer = await _dial_human(call, caller, call.configuration.destinations[route.destination])
    else:
        peer = await _dial_assistant(call, caller, route)
    call.join(caller, peer)
    caller.answer(peer.said)
    if not match(caller, peer):
        # They were told one codec by a preview, and the answer has another.
        caller.change_codec(peer)
    call.note_answered(peer)
    begin_if_asked(call, route.record)
    return await _talk(call, route)


async def of_placed(
    call: Call,
    destination: Destination,
    errand: Errand,
    seconds: float | None = None,
    *,
    record: bool = False,
) -> cause.Outcome:
    """A call of our own, with nobody on our side until it is joined with another: until somebody hangs up, or for
    `seconds` after the answer."""
    peer = await _dial_with_fallbacks(call, errand, destination)
    call.note_answered(peer)
    begin_if_asked(call, record)
    if seconds is None:
        call.media.hear(peer.media, None)
        return await _talk(call, None)
    deadline = call.services.now() + seconds
    with suppress(TimeoutError):
        while call.peer is not None:
            await call.next_event(deadline)
        return call.peer_outcome
    return cause.local("normal_hangup", source="b2bua")


async def of_restored(call: Call, route: Route | None) -> cause.Outcome:
    """A call that was answered in an earlier process: from where it was, for what is left of its time."""
    peer = call.peer
    if call.caller is None and peer is None:  # Its leg is in another call, which is the first that it hears.
        await call.next_event(call.services.now())
    if peer is None:  # The caller is alone: they get as much time as anybody with whom is found for them.
        return await _talk(call, route, call.services.now())
    assert peer.record.answered is not None, "they talk"
    return await _talk(call, route, peer.record.answered + peer.timers.time_limit)


async def _talk(call: Call, route: Route | None, deadline: float | None = None) -> cause.Outcome:
    """From the answer to the hang-up, handoffs in between. Another caller may have come into the place of the first.
    `deadline`: of the time with whom they talk to first, where that did not begin now."""
    peer = call.peer
    if deadline is None:
        deadline = _time_limit(call)
    while True:
        caller = call.caller
        if call.leaving:
            await _dismiss(call, call.leaving[0])
        elif call.replacement is not None:
            await take_place(call, call.replacement)
        elif caller is not None and call.handoff is not None:
            await carry_out(call, caller, call.handoff)
        elif call.peer is not None:
            try:
                event = await call.next_event(deadline)
            except TimeoutError:
                return cause.local("time_limit")
            if isinstance(event, Digit) and event.leg is caller:
                _press(call, event.digit)
        elif caller is None or route is None:
            return call.peer_outcome
        else:
            await _find_somebody(call, caller, route)
        if call.peer is not None and call.peer is not peer:
            peer, deadline = call.peer, _time_limit(call)


async def _dismiss(call: Call, leg: Leg) -> None:
    """Let somebody go who has joined those they talked to; they hear first that it worked."""
    await until_told(call, leg)
    dismiss(call, leg)


def _press(call: Call, digit: str) -> None:
    """A key of the caller's that means something to us."""
    peer = call.peer
    if digit == "*" and peer is not None and peer.hangs_up_on_star:
        call.release_peer(cause.local("normal_hangup", source="caller"))


def _time_limit(call: Call) -> float:
    assert call.peer is not None
    return call.services.now() + call.peer.timers.time_limit


async def _find_somebody(call: Call, caller: Leg, route: Route) -> None:
    """The caller is alone: the assistant again, the default destination, or the end (`CallOver`), as configured."""
    left, outcome = call.left, call.peer_outcome
    assert left is not None
    handed_over_in_vain = bool(call.handoffs) and call.handoffs[-1].outcome is not None
    call.media.hear(caller.media, call.ringback())
    if left.media is not None:
        call.media.close_leg(left.media)
    if left.role != "assistant":
        back = (left.place.after_agent if isinstance(left.place, Destination) else None) or route.after_agent
        if back == "hangup" or route.assistant is None:
            raise CallOver(outcome)
        peer = await _dial_assistant(call, caller, route)
    elif handed_over_in_vain and route.redial_assistant:
        peer = await _dial_assistant(call, caller, route)
    elif route.on_assistant_lost == "default_destination" and not _tried_default(call):
        peer = await _dial_human(call, caller, call.configuration.default_destination)
    else:
        raise CallOver(outcome)
    call.join(caller, peer)
    call.note_answered(peer)


def _tried_default(call: Call) -> bool:
    """Whether the handoff that failed was to the default destination: nobody is dialled twice for it."""
    name = call.configuration.default_destination.name
    return any(attempt.destination == name for handoff in call.handoffs[-1:] for attempt in handoff.attempts)


def _dial_assistant(call: Call, caller: Leg, route: Route) -> Awaitable[Leg]:
    assistant = call.configuration.assistant_for(route)
    assert assistant is not None, "a route without a destination has an assistant"
    return Dialing(call, _errand(call, caller, "assistant")).dial(assistant)


def _dial_human(call: Call, caller: Leg, destination: Destination) -> Awaitable[Leg]:
    return _dial_with_fallbacks(call, _errand(call, caller, "agent"), destination)


async def _dial_with_fallbacks(call: Call, errand: Errand, destination: Destination) -> Leg:
    """An answered leg at `destination` or the first of its fallbacks that answers; raises the last failure."""
    dialing = Dialing(call, errand)
    while True:
        try:
            return await dialing.dial(destination, together=destination.ring == "together")
        except DialFailed:
            if destination.fallback is None:
                raise
            call.log.info("fallback", destination=destination.name, fallback=destination.fallback)
            destination = call.configuration.destinations[destination.fallback]


def _errand(call: Call, caller: Leg, role: str) -> Errand:
    variables = Variables(
        call_id=call.id,
        caller_id=caller.identity.user,
        called=call.record.called,
        received=caller.identity.variables,
    )
    return Errand(
        role,
        caller.identity,
        call.record.attempts,
        variables,
        alert=lambda leg, progress: _alert(call, caller, leg, progress),
        held_back=lambda leg: _hold_back(call, caller),
    )


def _alert(call: Call, caller: Leg, leg: DialledLeg, progress: Progress) -> None:
    """Pass ringing on to the caller, and with early media let them hear it."""
    if progress.early_media:
        call.media.bridge(caller.media, leg.media)
        caller.share(leg)
        caller.early_media(leg.said)
    else:
        if leg.mutes_early_media and caller.hears_early_media:
            call.media.hear(caller.media, call.ringback())
        caller.ring(leg.said)


def _hold_back(call: Call, caller: Leg) -> None:
    """Whoever answered must accept first: the caller goes on hearing that it rings."""
    if call.answered or caller.hears_early_media:
        call.media.hear(caller.media, call.ringback())
    else:
        caller.ring()
