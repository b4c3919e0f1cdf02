"""A consultation as values: where it is, what it may be told, and how that is put to the call.

What is done about it is in `consult.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from b2bua.call.events import ConsultTold
from b2bua.control import ControlError

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.handoff.handoff import Handoff

ConsultVerb = Literal["brief", "introduce", "accept", "decline"]


class ConsultPhase(StrEnum):
    """Where the consultation of a handoff is."""

    DIALING = "dialing"
    """Nobody has answered yet."""
    WAITING = "waiting"
    """The human has answered and waits; the caller hears what they heard before."""
    BRIEFING = "briefing"
    """The assistant talks to the human; the caller hears music."""
    INTRODUCING = "introducing"
    """Caller, assistant and human hear each other."""
    ACCEPTED = "accepted"
    """The human gets the caller."""
    DECLINED = "declined"
    """The human was let go, or left."""

    @property
    def under_way(self) -> bool:
        """True while the human is there and it is not decided whether they get the caller."""
        return self in (ConsultPhase.WAITING, ConsultPhase.BRIEFING, ConsultPhase.INTRODUCING)


def tell(call: Call, handoff: Handoff, verb: ConsultVerb) -> None:
    """Put what was decided to the call. Raises `ControlError` when there is nothing to decide."""
    if not handoff.can_be_stopped:
        raise ControlError(409, "handoff_final", f"the handoff is {handoff.state}")
    if handoff.consult is None:
        raise ControlError(409, "not_consulting", "the handoff was asked for without consult")
    if not handoff.consult.under_way:
        raise ControlError(409, "not_consulting", f"the consultation is {handoff.consult}")
    call.inbox.put(ConsultTold(handoff, verb))
