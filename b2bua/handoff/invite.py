"""Handoff by INVITE: dial the human, let the caller hear them as soon as they speak, then let the assistant go.

The caller is never cut off: they hear the assistant (or hold music) until the human's first audio, and a failure
leaves them where they were. docs/handoff.md, "invite".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.call import HandoffCancelled
from b2bua.call.dialing import DialFailed, Dialing, Errand
from b2bua.call.events import Ended
from b2bua.call.switching import switch
from b2bua.handoff.consult import consult
from b2bua.handoff.failed import HandoffFailed
from b2bua.handoff.handoff import HandoffState
from b2bua.handoff.headers import requested_headers, variables_of
from b2bua.handoff.interlude import Interlude
from b2bua.handoff.patience import until_gone, until_told
from b2bua.handoff.silence import longest_wait, wait_for_silence

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.dialled_leg import DialledLeg
    from b2bua.call.events import CallEvent, Progress
    from b2bua.call.leg import Leg
    from b2bua.config import Destination
    from b2bua.handoff.handoff import Handoff

HANDED_OVER = cause.local("normal_hangup", source="b2bua")
"""Why the assistant is let go."""


async def by_invite(call: Call, caller: Leg, handoff: Handoff, place: Destination) -> None:
    """The human is `call.peer` when this returns. Raises `HandoffFailed`."""
    music = place.hold_music
    cuts_at_start = place.release_assistant == "before_dial" or (
        music is not None and music.kind != "early_media"
    )
    patience = longest_wait(handoff.request, place)
    interlude = Interlude(call, caller, music)
    if cuts_at_start:
        await wait_for_silence(call, patience)
    if place.release_assistant == "before_dial":
        await _release_first(call)
    handoff.move(HandoffState.DIALING, call.services.now())
    interlude.begin()
    agent = await _dial(call, caller, handoff, place, interlude)
    try:
        if handoff.request.consult:
            await consult(call, caller, handoff, place, agent, interlude)
        # Whatever becomes of us, the human gets the caller from here on.
        call.newcomer = agent
        call.note_up()
        if not handoff.request.consult and not cuts_at_start:
            await wait_for_silence(call, patience, lambda event: _still_there(agent, event))
        interlude.end()
        if not await switch(call, caller, agent):
            raise _left()
    except (HandoffCancelled, HandoffFailed) as stopped:
        call.newcomer = None
        _give_up(call, handoff, agent, stopped)
        interlude.resume()
        raise
    assistant = connect(call, caller, agent, handoff, heard_already=True)
    if assistant is not None:
        await _let_go(call, assistant, handoff)


def connect(call: Call, caller: Leg, agent: Leg, handoff: Handoff, *, heard_already: bool) -> Leg | None:
    """The caller talks to the human from now on; who is to be let go for that, if anybody.

    `heard_already`: the media engine lets them hear each other.
    """
    call.newcomer = call.on_alone = None
    handoff.move(HandoffState.CONNECTED, call.services.now())
    call.log.info("handed_over", handoff_id=handoff.id, destination=handoff.destination)
    for earlier in call.handoffs:
        if earlier is not handoff and earlier.is_connected:
            earlier.close(HANDED_OVER, call.services.now())  # its human has handed the caller on
    assistant = call.peer
    call.join(caller, agent, heard_already=heard_already)
    call.note_answered(agent)
    return assistant


async def _dial(call: Call, caller: Leg, handoff: Handoff, place: Destination, interlude: Interlude) -> Leg:
    def alert(leg: DialledLeg, progress: Progress) -> None:
        handoff.move(HandoffState.RINGING, call.services.now())
        if progress.early_media:
            interlude.early_media(leg)

    def reached() -> None:
        if place.release_assistant == "on_start" and call.peer is not None:
            call.release_peer(HANDED_OVER)

    def held_back(leg: Leg) -> None:
        handoff.move(HandoffState.RINGING, call.services.now())
        interlude.lose(leg)

    errand = Errand(
        "agent",
        caller.identity,
        handoff.attempts,
        variables_of(call, caller, handoff),
        requested_headers(handoff),
        alert=alert,
        reached=reached,
        lost=interlude.lose,
        held_back=held_back,
    )
    try:
        return await Dialing(call, errand).dial(place, together=place.ring == "together")
    except DialFailed as failed:
        raise HandoffFailed(failed.outcome) from failed
    finally:
        handoff.headers_sent, handoff.headers_dropped = errand.rendered.sent, errand.rendered.dropped


def _still_there(agent: Leg, event: CallEvent) -> None:
    """Raises `HandoffFailed` when the human hung up before the caller heard them."""
    if isinstance(event, Ended) and event.leg is agent:
        raise _left()


def _left() -> HandoffFailed:
    return HandoffFailed(cause.local("confirm_failed", detail="hung up before the caller heard them"))


def _give_up(call: Call, handoff: Handoff, agent: Leg, why: HandoffCancelled | HandoffFailed) -> None:
    """Let go of a human who had answered."""
    outcome = why.outcome if isinstance(why, HandoffFailed) else cause.local("cancel", source="api")
    agent.hang_up(outcome)
    call.media.close_leg(agent.media)
    for attempt in handoff.attempts:
        attempt.close(call.services.now(), outcome)


async def _release_first(call: Call) -> None:
    """BYE to the assistant before anybody is dialled; its answer is awaited, but not for long."""
    assistant = call.peer
    if assistant is None:
        return
    call.release_peer(HANDED_OVER)
    await until_gone(call, assistant)


async def _let_go(call: Call, assistant: Leg, handoff: Handoff) -> None:
    """BYE to the assistant, after it has heard how its own REFER ended: one that gets the BYE first never learns."""
    if handoff.notifies is assistant:
        await until_told(call, assistant)
    assistant.hang_up(HANDED_OVER)
    call.media.close_leg(assistant.media)
