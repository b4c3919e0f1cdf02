"""Attempts that were answered: each ends when its leg does, and not with the call, which may have gone on to others."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg


def tie(call: Call, leg: Leg) -> None:
    """From now on the attempt of `call` that brought `leg` ends with it.

    To be called once they are heard: how an attempt ends whose human leaves before that, their acceptance says. The
    attempt is found by what was dialled, as that is what also whoever came in their place, and the next process, know.
    """
    if leg.facts is None:
        return
    for attempt in chain(call.record.attempts, *(handoff.attempts for handoff in call.handoffs)):
        dialled = (attempt.destination, attempt.target) == (leg.facts.destination, leg.facts.target)
        if dialled and attempt.answered is not None and attempt.ended is None:
            leg.attempt = attempt
