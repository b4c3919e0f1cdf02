"""What legs tell their call: past facts in the call's words, never SIP headers.

The call reads these from its inbox in the order they happened. SIP messages stay inside the leg; what a leg must
hand on (a status, an outcome, whether there is a session description) is a value here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.cause import Outcome
    from b2bua.call.leg import Leg
    from b2bua.handoff.consultation import ConsultVerb
    from b2bua.handoff.handoff import Handoff
    from b2bua.sdp_bridge import Wish


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

    outcome: Outcome


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
class Reoffered(LegEvent):
    """The far end wants something else of the audio than before: it holds, or takes the call back."""

    wish: Wish


@dataclass(frozen=True, slots=True)
class Digit(LegEvent):
    """The far end pressed a key."""

    digit: str
    duration_ms: int
    in_audio: bool
    """True when it came as telephone-event or as tones, False when it came by SIP INFO."""
    in_band: bool = False
    """It came as tones: whoever hears the far end has heard it."""


@dataclass(frozen=True, slots=True)
class Quiet(LegEvent):
    """The far end has said nothing for as long as was asked about."""


@dataclass(frozen=True, slots=True)
class AnswerJudged(LegEvent):
    """A machine answered, or a person as far as that can be told."""

    machine: bool


@dataclass(frozen=True, slots=True)
class PromptOver(LegEvent):
    """The far end has heard a prompt to its end."""


@dataclass(frozen=True, slots=True)
class Switched(LegEvent):
    """The far end of `leg` hears its new source from now on, or silence until that speaks (`heard` is False)."""

    heard: bool


@dataclass(frozen=True, slots=True)
class ByeAnswered(LegEvent):
    """Our BYE is finished; `status` is its final response, None after silence."""

    status: int | None


@dataclass(frozen=True, slots=True)
class ReferAnswered(LegEvent):
    """The final response to our REFER; None after silence."""

    status: int | None
    reason: str | None
    number: str
    """Its CSeq, which NOTIFYs may name; empty after silence."""


@dataclass(frozen=True, slots=True)
class ReferNotified(LegEvent):
    """The far end tells what came of our REFER; `status` is None when it does not say."""

    status: int | None
    terminated: bool
    number: str
    """The CSeq of the REFER that it is about; empty when it does not say."""


@dataclass(frozen=True, slots=True)
class NotifyAnswered(LegEvent):
    """The far end has our NOTIFY."""


@dataclass(frozen=True, slots=True)
class HandoffAsked:
    """A handoff was asked for and accepted; it waits to be carried out."""

    handoff: Handoff


@dataclass(frozen=True, slots=True)
class HandoffStopped:
    """Whoever asked for this handoff does not want it any more."""

    handoff: Handoff


@dataclass(frozen=True, slots=True)
class ConsultTold:
    """What is to come next in the consultation of this handoff: brief, introduce, accept or decline."""

    handoff: Handoff
    verb: ConsultVerb


@dataclass(frozen=True, slots=True)
class Joined:
    """The call has another caller or another peer than before: somebody was brought from another call."""


@dataclass(frozen=True, slots=True)
class PickedUp(LegEvent):
    """Somebody else answered while the far end was still being called, and has the place of `leg`."""

    by: Leg


@dataclass(frozen=True, slots=True)
class Replaced(LegEvent):
    """Somebody else has the place of `leg`, which is to be let go once they are heard."""

    by: Leg


@dataclass(frozen=True, slots=True)
class Transferred(LegEvent):
    """The far end has joined those it talked to, and is to be let go once it knows."""


@dataclass(frozen=True, slots=True)
class Moved(LegEvent):
    """A leg of the call has been brought to another call."""

    host: Call
    lasts: bool
    """The call was there for that leg, and lasts as long."""


@dataclass(frozen=True, slots=True)
class MoveOver(LegEvent):
    """A leg that was brought to another call is over."""

    outcome: Outcome


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


CallEvent = LegEvent | HandoffAsked | HandoffStopped | ConsultTold | Joined | ShutDown | HangUp | MediaLost
