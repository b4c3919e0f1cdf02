"""What legs tell their call: past facts in the call's words, never SIP headers.

The call reads these from its inbox in the order they happened. SIP messages stay inside the leg; what a leg must
hand on (a status, an outcome, whether there is a session description) is a value here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2bua.call.cause import Outcome
    from b2bua.call.leg import Leg


@dataclass(frozen=True, slots=True)
class LegEvent:
    """Something happened on `leg`."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class Responded(LegEvent):
    """The far end of an INVITE of ours gave a sign of life: any provisional response, 100 included."""

    status: int


@dataclass(frozen=True, slots=True)
class Challenged(LegEvent):
    """The far end asked who we are, and the INVITE went out again with credentials."""


@dataclass(frozen=True, slots=True)
class Progress(LegEvent):
    """The far end is being alerted (180) or lets its audio be heard already (`early_media`)."""

    status: int
    early_media: bool


@dataclass(frozen=True, slots=True)
class Answered(LegEvent):
    """The far end answered, and its session description is in force."""


@dataclass(frozen=True, slots=True)
class Failed(LegEvent):
    """An INVITE of ours came to nothing."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Cancelled(LegEvent):
    """The caller left before it was answered."""


@dataclass(frozen=True, slots=True)
class Ended(LegEvent):
    """An answered leg is over: its far end hung up, or never confirmed our answer."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class AudioStarted(LegEvent):
    """The first valid RTP packet of the far end arrived."""


@dataclass(frozen=True, slots=True)
class AudioLost(LegEvent):
    """No RTP from the far end for `media_timeout`."""


@dataclass(frozen=True, slots=True)
class Digit(LegEvent):
    """The far end pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class ShutDown:
    """The server is stopping and its patience is over: end now."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Somebody entitled to it asked for the call to end."""

    source: str


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The media engine failed under the call."""


CallEvent = LegEvent | ShutDown | HangUp | MediaLost
