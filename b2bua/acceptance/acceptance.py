"""One far end's way from its answer to the bridge: a step after the other, none of it heard by the caller.

Driven by events, not a coroutine: with `ring: together` several humans may be asked at once, and a call has one story.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from b2bua.acceptance.asking import Asking
from b2bua.acceptance.post_dial import PostDial
from b2bua.acceptance.screening import Screening
from b2bua.acceptance.step import Step, Verdict
from b2bua.call import cause
from b2bua.call.events import Ended
from media.engine import MachineSign

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.events import LegEvent
    from b2bua.call.leg import Leg
    from b2bua.config import Destination


class Acceptance:
    """Begins with the answer; `Verdict` `done` of all of it means: the human gets the caller."""

    def __init__(self, call: Call, leg: Leg, place: Destination) -> None:
        self._leg, self._place = leg, place
        self._steps = _steps(call, leg, place)
        self._step: Step | None = None
        call.media.hear(leg.media, None)
        self._log("accepting")

    @property
    def deadline(self) -> float:
        """Loop time (seconds) at which `expire` is asked."""
        assert self._step is not None, "begun, and not over"
        return self._step.deadline

    def begin(self) -> Verdict:
        """Begin the first step."""
        return self._go_on("done")

    def hear(self, event: LegEvent) -> Verdict:
        """Take an event of the leg."""
        if isinstance(event, Ended):
            return self._go_on(cause.local("confirm_failed", detail="hung up before the caller heard them"))
        return self._go_on(self._step.hear(event) if self._step is not None else None)

    def expire(self) -> Verdict:
        """The deadline has come."""
        return self._go_on(self._step.expire() if self._step is not None else None)

    def end(self) -> None:
        """Stop whatever goes on; harmless when repeated."""
        if self._step is not None:
            self._step.end()
            self._step = None

    def _go_on(self, verdict: Verdict) -> Verdict:
        """Begin the next step when one is over. A failure, or the end of the last step, ends it all."""
        if verdict is None:
            return None
        self.end()
        if verdict == "done":
            self._step = next(self._steps, None)
            if self._step is not None:
                self._step.begin()
                return None
            self._log("accepted")
        return verdict

    def _log(self, event: str) -> None:
        self._leg.log(event, destination=self._place.name)


def _steps(call: Call, leg: Leg, place: Destination) -> Iterator[Step]:
    """The steps that a destination asks for, each made when the one before it is over."""
    sign = MachineSign(place.detect_voicemail) if place.detect_voicemail != "disabled" else None
    if place.post_dial_digits is not None:
        yield PostDial(call, leg, place.post_dial_digits)
    # A key is better proof than silence: with one to be pressed nobody waits for a judgement.
    if sign is not None and place.accept_key is None:
        yield Screening(leg, sign)
    if place.accept_key is not None or place.whisper is not None:
        yield Asking(call, leg, place, sign)
