"""What legs tell their call: past facts in the call's words, never SIP headers.

The call reads these from its inbox in the order they happened. SIP messages stay inside the leg; what a leg must
hand on (a status, an outcome, whether there is a session description) is a value here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.value_class import value_class

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.cause import Outcome
    from b2bua.call.leg import Leg
    from b2bua.handoff.consultation import ConsultVerb
    from b2bua.handoff.handoff import Handoff
    from b2bua.sdp_bridge import Wish


@value_class
class LegEvent:
    """Something happened on `leg`."""

    leg: Leg


@value_class
class Responded(LegEvent):
    """The far end of an INVITE of ours gave a sign of life: any provisional response, 100 included."""

    status: int


@value_class
class Challenged(LegEvent):
    """The far end asked who we are, and the INVITE went out again with credentials."""


@value_class
class Progress(LegEvent):
    """The far end is being alerted (180) or lets its audio be heard already (`early_media`)."""

    status: int
    early_media: bool


@value_class
class Answered(LegEvent):
    """The far end answered, and its session description is in force."""


@value_class
class Failed(LegEvent):
    """An INVITE of ours came to nothing."""

    outcome: Outcome


@value_class
class Cancelled(LegEvent):
    """The caller left before it was answered."""

    outcome: Outcome


@value_class
class Ended(LegEvent):
    """An answered leg is over: its far end hung up, or never confirmed our answer."""

    outcome: Outcome


@value_class
class AudioStarted(LegEvent):
    """The first valid RTP packet of the far end arrived."""


@value_class
class AudioLost(LegEvent):
    """No RTP from the far end for `media_timeout`."""


@value_class
class Reoffered(LegEvent):
    """The far end wants something else of the audio than before: it holds, or takes the call back."""

    wish: Wish


@value_class
class Digit(LegEvent):
    """The far end pressed a key."""

    digit: str
    duration_ms: int
    in_audio: bool
    """True when it came as telephone-event or as tones, False when it came by SIP INFO."""
    in_band: bool = False
    """It came as tones: whoever hears the far end has heard it."""


@value_class
class Quiet(LegEvent):
    """The far end has said nothing for as long as was asked about."""


@value_class
class AnswerJudged(LegEvent):
    """A machine answered, or a person as far as that can be told."""

    machine: bool


@value_class
class PromptOver(LegEvent):
    """The far end has heard a prompt to its end."""


@value_class
class Switched(LegEvent):
    """The far end of `leg` hears its new source from now on, or silence until that speaks (`heard` is False)."""

    heard: bool


@value_class
class ByeAnswered(LegEvent):
    """Our BYE is finished; `status` is its final response, None after silence."""

    status: int | None


@value_class
class ReferAnswered(LegEvent):
    """The final response to our REFER; None after silence."""

    status: int | None
    reason: str | None
    number: str
    """Its CSeq, which NOTIFYs may name; empty after silence."""


@value_class
class ReferNotified(LegEvent):
    """The far end tells what came of our REFER; `status` is None when it does not say."""

    status: int | None
    terminated: bool
    number: str
    """The CSeq of the REFER that it is about; empty when it does not say."""


@value_class
class NotifyAnswered(LegEvent):
    """The far end has our NOTIFY."""


@value_class
class HandoffAsked:
    """A handoff was asked for and accepted; it waits to be carried out."""

    handoff: Handoff


@value_class
class HandoffStopped:
    """Whoever asked for this handoff does not want it any more."""

    handoff: Handoff


@value_class
class ConsultTold:
    """What is to come next in the consultation of this handoff: brief, introduce, accept or decline."""

    handoff: Handoff
    verb: ConsultVerb


@value_class
class Joined:
    """The call has another caller or another peer than before: somebody was brought from another call."""


@value_class
class PickedUp(LegEvent):
    """Somebody else answered while the far end was still being called, and has the place of `leg`."""

    by: Leg


@value_class
class Replaced(LegEvent):
    """Somebody else has the place of `leg`, which is to be let go once they are heard."""

    by: Leg


@value_class
class Transferred(LegEvent):
    """The far end has joined those it talked to, and is to be let go once it knows."""


@value_class
class Moved(LegEvent):
    """A leg of the call has been brought to another call."""

    host: Call
    lasts: bool
    """The call was there for that leg, and lasts as long."""


@value_class
class MoveOver(LegEvent):
    """A leg that was brought to another call is over."""

    outcome: Outcome


@value_class
class ShutDown:
    """The server is stopping and its patience is over: end now."""


@value_class
class HangUp:
    """Somebody entitled to it asked for the call to end."""

    source: str


@value_class
class MediaLost:
    """The media engine failed under the call."""


CallEvent = LegEvent | HandoffAsked | HandoffStopped | ConsultTold | Joined | ShutDown | HangUp | MediaLost
