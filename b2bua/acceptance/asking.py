"""The whisper and the key: the human hears what it is about, and says that they are there and want it.

No voicemail box presses a key, so none swallows a caller. The key may come before the whisper is over, which cuts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.acceptance.step import Verdict
from b2bua.call import cause
from b2bua.call.events import AnswerJudged, Digit, PromptOver

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.events import LegEvent
    from b2bua.call.leg import Leg
    from b2bua.config import Destination
    from media.engine import MachineSign

SLACK = 5.0
"""Seconds that a whisper may take longer than it is: the engine's word on its end did not come."""


class Asking:
    """Plays `whisper` and waits for `accept_key`, whichever of them is configured."""

    def __init__(self, call: Call, leg: Leg, place: Destination, sign: MachineSign | None) -> None:
        """`sign` is what gives a machine away before the time for the key is over."""
        self._call = call
        self._leg = leg
        self._key = place.accept_key
        self._sign = sign if self._key is not None else None
        self._whisper = call.services.prompts[place.whisper] if place.whisper is not None else None
        self.deadline = leg.now() + (place.accept_timeout if self._key is not None else self._longest())

    def begin(self) -> None:
        """Play the whisper to the human alone, and listen for keys."""
        if self._whisper is not None:
            self._call.media.hear(self._leg.media, self._whisper, loop=False)
        self._leg.wait_for_keys(self._key is not None)
        if self._sign is not None:
            self._leg.media.judge_answer(self._sign)

    def hear(self, event: LegEvent) -> Verdict:
        """The key, or the end of the whisper where no key is asked for."""
        match event:
            case PromptOver() if self._key is None:
                return "done"
            case Digit(_, digit) if digit == self._key:
                return "done"
            case AnswerJudged(_, machine=True):
                return cause.local("machine_detected", detail=str(self._sign))
            case Digit(_, digit):
                self._leg.log("key_ignored", expected=self._key)
        return None

    def expire(self) -> Verdict:
        """Nobody pressed the key: a machine, or somebody who does not want the call."""
        if self._key is None:
            return "done"
        return cause.local("confirm_failed", detail=f"{self._key} was not pressed")

    def end(self) -> None:
        """Cut the whisper, listen no more."""
        self._leg.wait_for_keys(False)
        if not self._leg.over:
            self._call.media.hear(self._leg.media, None)
            self._leg.media.judge_answer(None)

    def _longest(self) -> float:
        assert self._whisper is not None, "a whisper or a key, or there is no such step"
        return self._whisper.duration_ms / 1000 + SLACK
