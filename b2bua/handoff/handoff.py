"""A handoff: one request to move a call to a human, from asking to outcome.

The values only. What is done about it is in `plan.py` and in one file per method; who asks is the HTTP API or the
assistant (REFER).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from b2bua.call import cause
from b2bua.call.record import AttemptRecord, JsonObject
from b2bua.feed import ConsultChanged, Feed, HandoffChanged
from b2bua.handoff.consultation import ConsultPhase
from b2bua.headers import Dropped, Header, Scalar

if TYPE_CHECKING:
    from b2bua.call.cause import Outcome
    from b2bua.call.clock import CallClock
    from b2bua.call.leg import Leg
    from b2bua.config import Destination
    from b2bua.handoff.referral import Subscription
    from sip_stack.auth import Credentials


class HandoffState(StrEnum):
    """Where a handoff is. `refer` and `bye` go from requested over dialing to completed."""

    REQUESTED = "requested"
    DIALING = "dialing"
    RINGING = "ringing"
    CONNECTED = "connected"
    """The caller hears the human."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True when nothing more will happen to it."""
        return self in (HandoffState.COMPLETED, HandoffState.FAILED, HandoffState.CANCELLED)


Confirmed = Literal["notify", "bye", "assumed", "none"]
"""How a handoff by REFER is known to have worked."""

ReleaseAssistant = Literal["on_answer", "on_start", "before_dial"]
DetectVoicemail = Literal["beep", "long_speech", "disabled"]


@dataclass(frozen=True, slots=True)
class HandoffRequest:
    """What was asked for. Exactly one of `destination` and `route` is given; durations are seconds."""

    destination: str | None = None
    """Name of a destination; None: see `route`."""
    route: tuple[str, ...] = ()
    """URIs to dial instead of a named destination; `policy` must allow each."""
    credentials: Credentials | None = None
    """For `route`; kept in memory only."""
    encryption: str | None = None
    reason: str = ""
    utterance: str = ""
    """What the assistant says before it hands over."""
    sip_headers: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Scalar] = field(default_factory=dict)
    shared_id: str = ""
    ring_timeout: float | None = None
    hold_music: str | None = None
    whisper: str | None = None
    accept_key: str | None = None
    accept_timeout: float | None = None
    post_dial_digits: str | None = None
    detect_voicemail: DetectVoicemail | None = None
    release_assistant: ReleaseAssistant | None = None
    wait_for_silence: float | None = None
    consult: bool = False
    """The human is asked before they get the caller."""
    brief: Literal["on_request", "on_answer"] = "on_request"
    """When the assistant talks to them."""
    consult_timeout: float | None = None
    callback_url: str | None = field(default=None, repr=False)
    """Called while it goes on."""
    action_url: str | None = field(default=None, repr=False)
    """Called once, with what became of it."""
    asked_by: Literal["api", "assistant", "agent"] = "api"
    idempotency_key: str = ""


@dataclass(slots=True)
class Referred:
    """A REFER of ours to the caller's side, whose end is awaited."""

    earlier: frozenset[str]
    """CSeqs of those that it took before: late NOTIFYs about them say nothing of this one."""
    accepted: bool = False


@dataclass(slots=True)
class Handoff:
    """One handoff and its story so far. Times are loop times (seconds)."""

    id: str
    call_id: str
    request: HandoffRequest
    first: Destination
    """Where it goes first, with what the request says in place of the destination's own."""
    method: str
    destination: str
    """The destination in hand: fallbacks change it."""
    created: float
    updated: float
    clock: CallClock
    """The call's."""
    state: HandoffState = HandoffState.REQUESTED
    attempts: list[AttemptRecord] = field(default_factory=list)
    outcome: Outcome | None = None
    confirmed: Confirmed | bool | None = None
    headers_sent: list[Header] = field(default_factory=list)
    headers_dropped: list[Dropped] = field(default_factory=list)
    consult: ConsultPhase | None = None
    """Where the consultation is; None without one."""
    in_hand: bool = False
    """It has begun; before that, whoever carries it out looks at `taken_back`."""
    taken_back: bool = False
    """Whoever asked for it changed their mind before it began: the call was at something else."""
    irrevocable: bool = False
    """What was sent cannot be taken back: a BYE to the caller."""
    referred: Referred | None = field(default=None, repr=False, compare=False)
    """What was sent to the caller's side, with method refer."""
    subscription: Subscription | None = field(default=None, repr=False, compare=False)
    """Of the assistant, or the human, that asked by REFER and is told how it goes."""
    feed: Feed = field(default_factory=Feed, repr=False, compare=False)
    """Told of its beginning and of each change of state."""

    @property
    def is_connected(self) -> bool:
        """True from the moment the caller hears the human."""
        return self.state in (HandoffState.CONNECTED, HandoffState.COMPLETED)

    @property
    def notifies(self) -> Leg | None:
        """Who is told how it goes; None once there is nothing more to tell."""
        return None if self.subscription is None else self.subscription.leg

    @property
    def is_talking(self) -> bool:
        """True while the caller has the human."""
        return self.state is HandoffState.CONNECTED

    @property
    def can_be_stopped(self) -> bool:
        """True while whoever asked for it may change their mind."""
        return not (self.state.final or self.is_connected or self.irrevocable)

    def take_back(self) -> bool:
        """Whoever asked for it changed their mind. True when it has begun, and whoever carries it out must stop."""
        self.taken_back = self.can_be_stopped
        return self.taken_back and self.in_hand

    def move(self, state: HandoffState, now: float) -> None:
        """Go on to `state`; a final state stays."""
        if self.state.final or self.state is state:
            return
        self.state, self.updated = state, now
        self.publish()
        if self.subscription is not None:
            self.subscription.tell(self)
        if state.final:
            # What is remembered of it must not keep the legs of its call alive.
            self.subscription = None

    def move_consult(self, phase: ConsultPhase, now: float) -> None:
        """Its consultation goes on to `phase`."""
        self.consult, self.updated = phase, now
        self.feed.publish(ConsultChanged(self.call_id, self.clock, now, self.id, phase))

    def publish(self) -> None:
        """Tell the feed where it is."""
        self.feed.publish(self.change())

    def change(self) -> HandoffChanged:
        """What the feed is told of its last change."""
        return HandoffChanged(
            self.call_id,
            self.clock,
            self.updated,
            self.id,
            self.state,
            self.method,
            self.destination,
            self.request,
            self.outcome,
            self.confirmed,
        )

    def finish(self, state: HandoffState, outcome: Outcome, now: float) -> None:
        """End it; only the first end counts."""
        if self.state.final:
            return
        self.outcome = outcome
        self.move(state, now)

    def close(self, outcome: Outcome, now: float) -> None:
        """Its call, or its human, has gone: what was connected is complete, what was still under way has failed.

        Somebody who leaves before the human answers has not had a call with them: that is 1000, not 4000.
        """
        if not self.is_connected and outcome.event == "normal_hangup":
            outcome = cause.local("cancel", source=outcome.source)
        for attempt in self.attempts:
            attempt.close(now, outcome)
        state = HandoffState.COMPLETED if self.is_connected else HandoffState.FAILED
        self.finish(state, outcome, now)

    def as_json(self) -> JsonObject:
        """The handoff as the API shows it."""
        return {
            "id": self.id,
            "call_id": self.call_id,
            "state": str(self.state),
            "method": self.method,
            "destination": self.destination,
            "reason": self.request.reason,
            "utterance": self.request.utterance,
            "shared_id": self.request.shared_id,
            "data": dict(self.request.data),
            "headers_sent": dict(self.headers_sent),
            "headers_dropped": [{"name": each.name, "reason": each.reason} for each in self.headers_dropped],
            "attempts": [attempt.as_json(self.clock) for attempt in self.attempts],
            "outcome": self.outcome.as_record() if self.outcome else None,
            "confirmed": self.confirmed,
            "consult": None if self.consult is None else str(self.consult),
            "created": self.clock.stamp(self.created),
            "updated": self.clock.stamp(self.updated),
        }

    def as_record(self) -> JsonObject:
        """The handoff as it stands in the call record."""
        return {
            "id": self.id,
            "destination": self.destination,
            "method": self.method,
            "reason": self.request.reason,
            "confirmed": self.confirmed,
            "outcome": self.outcome.as_record() if self.outcome else {},
            "attempts": [attempt.as_json(self.clock) for attempt in self.attempts],
        }
