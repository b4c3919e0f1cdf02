"""Person or machine: who says a word and waits is let through, who talks on or beeps is not.

A heuristic of the media engine (`MediaLeg.judge_answer`), asked for per destination; in doubt it is a person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.acceptance.step import Verdict
from b2bua.call import cause
from b2bua.call.events import AnswerJudged, Digit

if TYPE_CHECKING:
    from b2bua.call.events import LegEvent
    from b2bua.call.leg import Leg
    from media.engine import MachineSign

PATIENCE = 30.0
"""Seconds after which it is taken for a person: greetings are shorter, and their beep has come by then."""


class Screening:
    """Waits for the engine's judgement; the far end hears silence in time meanwhile."""

    def __init__(self, leg: Leg, sign: MachineSign) -> None:
        self._leg = leg
        self._sign = sign
        self.deadline = leg.now() + PATIENCE

    def begin(self) -> None:
        """Listen to who answered."""
        self._leg.media.judge_answer(self._sign)
        self._leg.wait_for_keys(True)

    def hear(self, event: LegEvent) -> Verdict:
        """The judgement. Who presses a key is a person."""
        match event:
            case AnswerJudged(_, machine):
                self._leg.log("answer_judged", machine=machine, sign=str(self._sign))
                return cause.local("machine_detected", detail=str(self._sign)) if machine else "done"
            case Digit():
                return "done"
        return None

    def expire(self) -> Verdict:
        """In doubt a person."""
        return "done"

    def end(self) -> None:
        """Listen no more."""
        self._leg.wait_for_keys(False)
        if not self._leg.over:
            self._leg.media.judge_answer(None)
