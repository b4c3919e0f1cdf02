"""Carrying a handoff out: its destinations in order, each by its method, until one has the caller or all failed.

A failed handoff never ends the call: the caller is back with whom they talked to, as if nothing had happened.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.call import CallOver, HandoffCancelled
from b2bua.handoff.bye import by_bye
from b2bua.handoff.failed import HandoffFailed
from b2bua.handoff.handoff import HandoffState
from b2bua.handoff.invite import by_invite
from b2bua.handoff.patience import until_told
from b2bua.handoff.refer import by_refer

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.config import Destination
    from b2bua.handoff.handoff import Handoff


async def carry_out(call: Call, caller: Leg, handoff: Handoff) -> None:
    """Move the caller to a human. Returns with the human, or whoever was there before, as `call.peer`.

    Raises `CallOver` when the SBC took the caller (refer, bye) or the call ended meanwhile.
    """
    plain = call.log
    # Each line until it is over, whoever writes it, names the handoff.
    call.log = log = plain.bind(handoff_id=handoff.id)
    log.info("handoff", destination=handoff.destination, asked_by=handoff.request.asked_by)
    referrer = handoff.notifies
    call.on_alone = lambda: call.media.hear(caller.media, call.ringback())
    handoff.in_hand = True
    call.note_up()
    try:
        if handoff.taken_back:
            raise HandoffCancelled
        await _through_destinations(call, caller, handoff)
    except CallOver:
        if referrer is not None and handoff.state is HandoffState.COMPLETED:
            await _tell_first(call, referrer)
        raise
    except HandoffFailed as failed:
        handoff.finish(HandoffState.FAILED, failed.outcome, call.services.now())
    except HandoffCancelled:
        outcome = cause.local("cancel", source="api")
        call.drop_dialled(outcome)
        for attempt in handoff.attempts:
            attempt.close(call.services.now(), outcome)
        handoff.finish(HandoffState.CANCELLED, outcome, call.services.now())
    finally:
        call.handoff = call.on_alone = None
        call.log = plain
        call.note_up()
        if handoff.outcome is not None:
            log.info(
                "handoff_over",
                destination=handoff.destination,
                state=str(handoff.state),
                cause=handoff.outcome.name,
                code=handoff.outcome.code,
                sip_status=handoff.outcome.sip_status,
            )
    if not handoff.is_connected:
        _take_back(call, caller)


async def _through_destinations(call: Call, caller: Leg, handoff: Handoff) -> None:
    destination = handoff.first
    while True:
        handoff.destination, handoff.method = destination.name, destination.method
        try:
            await _by_method(call, caller, handoff, destination)
            return
        except HandoffFailed as failed:
            if destination.fallback is None or not failed.try_fallback:
                raise
            call.log.info(
                "fallback",
                destination=destination.name,
                fallback=destination.fallback,
                cause=failed.outcome.name,
            )
            destination = call.configuration.destinations[destination.fallback]


async def _by_method(call: Call, caller: Leg, handoff: Handoff, destination: Destination) -> None:
    trunk = call.configuration.trunks.get(call.record.trunk)
    if trunk is not None and destination.method not in trunk.allowed_methods:
        raise HandoffFailed(cause.local("method_not_allowed", detail=f"{trunk.name}: {destination.method}"))
    match destination.method:
        case "invite":
            await by_invite(call, caller, handoff, destination)
        case "refer":
            await by_refer(call, caller, handoff, destination)
        case "bye":
            await by_bye(call, caller, handoff, destination)


async def _tell_first(call: Call, referrer: Leg) -> None:
    """The caller is gone as the assistant wanted: it hears so before it gets its BYE."""
    with suppress(CallOver):  # it is over already
        await until_told(call, referrer)


def _take_back(call: Call, caller: Leg) -> None:
    """Let the caller hear again whom they talked to, if they are still there."""
    if call.peer is not None:
        call.join(caller, call.peer)
        call.watch(call.peer)
