"""Digits after the answer: an extension, a way through somebody's menu, before anybody can say or accept anything.

As telephone-event where the far end takes that (RFC 4733); else by SIP INFO where its Allow names INFO; else as tones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.acceptance.step import Verdict
from b2bua.call.dtmf import KeyPress
from b2bua.call.events import PromptOver

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.events import LegEvent
    from b2bua.call.leg import Leg

WAITS = {"w": 0.5, "W": 1.0}
"""Seconds."""
BETWEEN_INFOS = 0.3
"""Seconds from one key by INFO to the next: longer than any of them lasts."""
SLACK = 5.0
"""Seconds that the digits may take longer than they are: the engine's word on their end did not come."""


class PostDial:
    """Sends `post_dial_digits`, waits included."""

    def __init__(self, call: Call, leg: Leg, digits: str) -> None:
        self._call = call
        self._leg = leg
        self._digits = digits
        self._sent = 0
        self.deadline = leg.now()

    def begin(self) -> None:
        """Begin to send."""
        by_info = self._leg.keys_by_info.named and not self._leg.takes_events
        self._leg.log("digits_sent", by_info=by_info, count=len(self._digits))
        if by_info:
            self._send_next()
        else:
            self._play(self._digits)

    def hear(self, event: LegEvent) -> Verdict:
        """The end of digits in the audio."""
        return "done" if isinstance(event, PromptOver) else None

    def expire(self) -> Verdict:
        """It is time for the next key by INFO; or the audio has taken longer than it is."""
        if self._sent == 0:
            return "done"
        if not self._leg.keys_by_info.taken:
            # It refused the last one, and takes none of the others: from that one on as tones.
            self._play(self._digits[self._sent - 1 :])
            self._sent = 0
            return None
        if not self._leg.keys_by_info.idle:
            # The last one is on its way still, for as long as its transaction may take.
            self.deadline = self._leg.now() + BETWEEN_INFOS
            return None
        if self._sent == len(self._digits):
            return "done"
        self._send_next()
        return None

    def end(self) -> None:
        """Send no more."""
        if not self._leg.over:
            self._call.media.hear(self._leg.media, None)

    def _play(self, digits: str) -> None:
        prompt = self._call.services.engine.digits(digits)
        self._call.media.hear(self._leg.media, prompt, loop=False)
        self.deadline = self._leg.now() + prompt.duration_ms / 1000 + SLACK

    def _send_next(self) -> None:
        digit = self._digits[self._sent]
        self._sent += 1
        if digit not in WAITS:
            self._leg.keys_by_info.press(KeyPress(digit))
        self.deadline = self._leg.now() + WAITS.get(digit, BETWEEN_INFOS)
