"""What a media engine tells of a call's audio, on the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from media.value_class import value_class

if TYPE_CHECKING:
    from media.engine import MediaLeg, Recording


@value_class
class FirstPacket:
    """The first valid RTP packet after `set_remote` armed latching: the peer is there and can be heard."""

    leg: MediaLeg


@value_class
class MediaTimeout:
    """No valid RTP for the leg's media timeout. Reported once; again only after packets came back and
    stopped."""

    leg: MediaLeg


@value_class
class DtmfDigit:
    """One digit: a telephone-event reported once at its end (RFC 4733), or tones as soon as they are certain."""

    leg: MediaLeg
    digit: str
    """One of 0-9, *, #, A-D."""
    duration_ms: int
    in_band: bool = False
    """It came as tones, which whoever hears the leg has heard; `duration_ms` is what was heard of them by then."""


@value_class
class Switched:
    """How a `hear_when_heard` went on; reported once for each, unless it was superseded or a leg closed."""

    listener: MediaLeg
    heard: bool
    """True: the new source was heard and the listener hears it. False: the time ran out; the listener hears silence
    in time until the source is heard (which is not reported again)."""


@value_class
class Quiet:
    """The peer of a leg has been silent for the time given to `watch_silence`. Reported once per watch."""

    leg: MediaLeg


@value_class
class AnswerJudged:
    """What `judge_answer` found: a machine, or a person as far as that can be told."""

    leg: MediaLeg
    machine: bool


@value_class
class PromptEnded:
    """A prompt that was not looped has been played to its end; the leg hears silence in time now. Not reported when
    the leg was given another source before."""

    leg: MediaLeg


@value_class
class RecordingEnded:
    """A recording is over and its file finished; reported once for each, unless its call was closed before."""

    recording: Recording
    error: str | None
    """Why the system took no more of it; None when it was finished, or ended with its leg."""


@value_class
class EngineLost:
    """The engine failed under this call: its legs are gone and carry no more audio. The call must end
    (11070)."""

    reason: str


MediaEvent = (
    FirstPacket
    | MediaTimeout
    | DtmfDigit
    | Switched
    | Quiet
    | PromptEnded
    | AnswerJudged
    | RecordingEnded
    | EngineLost
)
OnMediaEvent = Callable[[MediaEvent], None]
