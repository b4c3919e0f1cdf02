"""A bridge: two legs hearing each other, and what one far end must know of the other.

Media is anchored, so each leg negotiates for itself; only two things cross: what the far ends want of the audio (hold
and resume), and keys that the audio cannot carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.dtmf import KeyPress
from b2bua.call.events import CallEvent, Digit, Reoffered

if TYPE_CHECKING:
    from b2bua.call.leg import Leg
    from media.engine import MediaCall


class Bridge:
    """Joins two legs from the moment it is made. A leg is in one bridge at a time; the engine ends an older one."""

    def __init__(self, media: MediaCall, one: Leg, other: Leg, *, joined: bool = False) -> None:
        """`joined`: the engine lets them hear each other already."""
        self._legs = (one, other)
        if not joined:
            media.bridge(one.media, other.media)
        one.present(other.uuid)
        other.present(one.uuid)
        one.share(other)
        other.share(one)
        one.follow(other.wish)
        other.follow(one.wish)

    def hear(self, event: CallEvent) -> None:
        """Pass on what one side did, if the other must know."""
        match event:
            case Reoffered(leg, wish) if leg in self._legs:
                self._other(leg).follow(wish)
            case Digit(leg, digit, duration_ms, in_audio, in_band=False) if leg in self._legs:
                self._press(leg, KeyPress(digit, duration_ms), in_audio)

    def _other(self, leg: Leg) -> Leg:
        one, other = self._legs
        return other if leg is one else one

    def _press(self, leg: Leg, key: KeyPress, in_audio: bool) -> None:
        """Keys in the audio stay in the audio where the other side takes them; all others go on by INFO.

        A phone that sends each key both ways would be heard twice, so INFOs of a leg are not passed on once it was
        heard to send keys in its audio.
        """
        other = self._other(leg)
        if in_audio:
            leg.keys_in_audio = True
        if other.takes_events if in_audio else leg.keys_in_audio:
            return
        other.keys_by_info.press(key)
