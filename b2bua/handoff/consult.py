"""Consulting the human before they get the caller (warm transfer): wait, brief, introduce, then accept or decline.

The application says what comes next, in any order and as often as it likes. Until it is decided the caller is never
with nobody: they hear what they heard before, music while the assistant briefs the human, or both of them. Whoever
leaves ends it in a defined way: the caller everything, the human the consultation, the assistant as configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.events import ConsultTold, Ended
from b2bua.handoff.consultation import ConsultPhase
from b2bua.handoff.failed import HandoffFailed
from media.engine import MediaError

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.config import Destination
    from b2bua.handoff.consultation import ConsultVerb
    from b2bua.handoff.handoff import Handoff
    from b2bua.handoff.interlude import Interlude


async def consult(
    call: Call,
    caller: Leg,
    handoff: Handoff,
    place: Destination,
    agent: Leg,
    interlude: Interlude,
) -> None:
    """The human has answered: returns when they are to get the caller. Raises `HandoffFailed` when they are not."""
    scene = _Scene(call, caller, handoff, agent, interlude)
    try:
        await _until_decided(scene, place)
    except TimeoutError:
        raise _declined("b2bua", "consult_timeout") from None
    finally:
        if handoff.consult is not ConsultPhase.ACCEPTED:
            handoff.move_consult(ConsultPhase.DECLINED, call.services.now())


async def _until_decided(scene: _Scene, place: Destination) -> None:
    call, handoff = scene.call, scene.handoff
    deadline = call.services.now() + place.consult_timeout
    scene.wait()
    if handoff.request.brief == "on_answer":
        scene.play("brief")
    while handoff.consult is not ConsultPhase.ACCEPTED:
        if call.peer is None:
            if place.consult_without_assistant == "back":
                raise _declined("assistant", "the assistant left")
            scene.play("accept")
            return
        event = await call.next_event(deadline)
        match event:
            case ConsultTold(told, "decline") if told is handoff:
                raise _declined("api", "declined")
            case ConsultTold(told, verb) if told is handoff:
                scene.play(verb)
            case Ended(leg, _) if leg is scene.agent:
                raise _declined("agent", "hung up before they had the caller")


class _Scene:
    """Who hears whom among the three."""

    def __init__(self, call: Call, caller: Leg, handoff: Handoff, agent: Leg, interlude: Interlude) -> None:
        self.call, self.handoff, self.agent = call, handoff, agent
        self._caller, self._interlude = caller, interlude

    def wait(self) -> None:
        """The human hears silence in time: they are expected, and the line is not dead."""
        self.call.media.hear(self.agent.media, None)
        self._enter(ConsultPhase.WAITING)

    def play(self, verb: ConsultVerb) -> None:
        """Go on to another phase; the same again changes nothing."""
        media, assistant = self.call.media, self.call.peer
        if verb == "accept":
            # Who hears whom changes with the human's first word, as in every handoff.
            self._enter(ConsultPhase.ACCEPTED)
        elif assistant is None:
            return
        elif verb == "brief" and self.handoff.consult is not ConsultPhase.BRIEFING:
            self.call.join(assistant, self.agent)
            self._interlude.hold()
            self._enter(ConsultPhase.BRIEFING)
        elif verb == "introduce" and self.handoff.consult is not ConsultPhase.INTRODUCING:
            three = (self._caller.media, assistant.media, self.agent.media)
            try:
                for listener in three:
                    one, other = (leg for leg in three if leg is not listener)
                    media.mix(listener, one, other)
            except MediaError as error:
                # An engine that cannot mix says so at once: they go on as they were.
                self.call.log.warning("consult_not_introduced", error=str(error))
                return
            # Hold and keys are between two.
            self.call.bridge = None
            self._enter(ConsultPhase.INTRODUCING)

    def _enter(self, phase: ConsultPhase) -> None:
        self.handoff.move_consult(phase, self.call.services.now())
        self.call.log.info("consult", phase=str(phase))


def _declined(source: str, detail: str) -> HandoffFailed:
    """The human does not get the caller; nobody else is asked instead of them."""
    return HandoffFailed(cause.local("confirm_failed", source=source, detail=detail), try_fallback=False)
