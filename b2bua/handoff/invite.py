"""Handoff by INVITE: dial the human, let the caller hear them as soon as they speak, then let the assistant go.

The caller is never cut off: they hear the assistant (or hold music) until the human's first audio, and a failure
leaves them where they were. design.md 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.call import HandoffCancelled
from b2bua.call.dialing import DialFailed, Dialing, Errand
from b2bua.call.events import ByeAnswered, Ended, LegEvent, NotifyAnswered, Switched
from b2bua.handoff.failed import HandoffFailed
from b2bua.handoff.handoff import HandoffState
from b2bua.handoff.headers import variables_of
from b2bua.handoff.silence import longest_wait, wait_for_silence

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.caller_leg import CallerLeg
    from b2bua.call.dialled_leg import DialledLeg
    from b2bua.call.events import Progress
    from b2bua.config import Destination, HoldMusic
    from b2bua.handoff.handoff import Handoff

HEARD_WITHIN_MS = 500
"""How long after the answer the caller goes on hearing the old source while the human is silent."""

HANDED_OVER = cause.local("normal_hangup", source="b2bua")
"""Why the assistant is let go."""

RELEASE_PATIENCE = 2.0
"""Seconds for the assistant's answer to a BYE or a final NOTIFY before we go on."""

SWITCH_PATIENCE = 2.0
"""Seconds to wait for the engine's word on the switch, which it gives after `HEARD_WITHIN_MS` at the latest."""


async def by_invite(call: Call, caller: CallerLeg, handoff: Handoff, place: Destination) -> None:
    """The human is `call.peer` when this returns. Raises `HandoffFailed`."""
    music = place.hold_music
    cuts_at_start = place.release_assistant == "before_dial" or (
        music is not None and music.kind != "early_media"
    )
    patience = longest_wait(handoff.request, place)
    if cuts_at_start:
        await wait_for_silence(call, patience)
    if place.release_assistant == "before_dial":
        await _release_first(call)
    handoff.move(HandoffState.DIALING, call.services.now())
    _play(call, caller, music)
    agent = await _dial(call, caller, handoff, place)
    try:
        if not cuts_at_start:
            await wait_for_silence(call, patience)
        await _switch(call, caller, agent)
    except (HandoffCancelled, HandoffFailed):
        agent.hang_up(cause.local("lost_race"))
        raise
    handoff.move(HandoffState.CONNECTED, call.services.now())
    assistant = call.peer
    call.join(caller, agent, heard_already=True)
    call.note_answered(agent)
    if assistant is not None:
        await _let_go(call, assistant, handoff)


async def _dial(call: Call, caller: CallerLeg, handoff: Handoff, place: Destination) -> DialledLeg:
    early_media = place.hold_music is not None and place.hold_music.kind == "early_media"

    def alert(leg: DialledLeg, progress: Progress) -> None:
        handoff.move(HandoffState.RINGING, call.services.now())
        if early_media and progress.early_media:
            call.media.hear(caller.media, leg.media)

    def reached() -> None:
        if place.release_assistant == "on_start" and call.peer is not None:
            call.release_peer(HANDED_OVER)
            _play(call, caller, place.hold_music)

    errand = Errand(
        "agent",
        caller.identity,
        handoff.attempts,
        variables_of(call, caller, handoff),
        handoff.request.sip_headers,
        alert=alert,
        reached=reached,
    )
    try:
        return await Dialing(call, errand).dial(place, together=place.ring == "together")
    except DialFailed as failed:
        raise HandoffFailed(failed.outcome) from failed
    finally:
        handoff.headers_sent, handoff.headers_dropped = errand.rendered.sent, errand.rendered.dropped


def _play(call: Call, caller: CallerLeg, music: HoldMusic | None) -> None:
    """What the caller hears meanwhile; without hold music, whom they talked to."""
    if music is None or music.kind == "early_media":
        return
    if music.kind == "file":
        assert music.path is not None, "hold music from a file has a path"
        call.media.hear(caller.media, call.services.prompts[music.path])
    else:
        ringback = call.services.engine.ringback() if music.kind == "ringback" else None
        call.media.hear(caller.media, ringback)


async def _switch(call: Call, caller: CallerLeg, agent: DialledLeg) -> None:
    """The human hears the caller at once; the caller hears the human from their first audio on."""
    call.media.hear(agent.media, caller.media)
    call.media.hear_when_heard(caller.media, agent.media, within_ms=HEARD_WITHIN_MS)
    deadline = call.services.now() + SWITCH_PATIENCE
    while True:
        try:
            event = await call.next_event(deadline)
        except TimeoutError:
            return
        match event:
            case Switched(leg) if leg is caller:
                return
            case Ended(leg, outcome) if leg is agent:
                raise HandoffFailed(outcome)


async def _release_first(call: Call) -> None:
    """BYE to the assistant before anybody is dialled; its answer is awaited, but not for long."""
    assistant = call.peer
    if assistant is None:
        return
    call.release_peer(HANDED_OVER)
    await _until(call, ByeAnswered, assistant)


async def _let_go(call: Call, assistant: DialledLeg, handoff: Handoff) -> None:
    """BYE to the assistant, after it has heard how its own REFER ended: one that gets the BYE first never learns."""
    if handoff.notifies is assistant and not assistant.over:
        await _until(call, NotifyAnswered, assistant)
    assistant.hang_up(HANDED_OVER)
    call.media.close_leg(assistant.media)


async def _until(call: Call, kind: type[LegEvent], leg: DialledLeg) -> None:
    """The next event of that kind on `leg`, or `RELEASE_PATIENCE`."""
    deadline = call.services.now() + RELEASE_PATIENCE
    while True:
        try:
            event = await call.next_event(deadline)
        except TimeoutError:
            return
        if isinstance(event, kind | Ended) and event.leg is leg:
            return
