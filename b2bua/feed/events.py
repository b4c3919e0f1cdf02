"""The events of the feed: immutable values that outlive the call they tell of. `docs/api.md` lists them.

They hold what a listener needs to act without looking the call up. None holds a leg, a session or a secret that
`facts` would show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from media.value_class import value_class

if TYPE_CHECKING:
    from b2bua.call.cause import Outcome
    from b2bua.call.clock import CallClock
    from b2bua.call.record import JsonObject
    from b2bua.handoff.consultation import ConsultPhase
    from b2bua.handoff.handoff import Confirmed, HandoffRequest, HandoffState


@value_class
class FeedEvent:
    """Something happened to a call. `at` is loop time (seconds), which `clock` turns into a stamp."""

    name: ClassVar[str] = ""
    """The kind, as the API shows it."""

    call_id: str
    clock: CallClock
    at: float

    def facts(self) -> JsonObject:
        """What is particular to this kind, as the API shows it."""
        return {}

    def as_json(self) -> JsonObject:
        """The event as the API shows it."""
        return {
            "event": self.name,
            "at": self.clock.stamp(self.at),
            "call_id": self.call_id,
            **self.facts(),
        }


@value_class
class CallStarted(FeedEvent):
    """A call was let in, or placed by us."""

    name: ClassVar[str] = "call.started"

    trunk: str
    caller: str
    called: str

    def facts(self) -> JsonObject:
        return {"trunk": self.trunk, "caller": self.caller, "called": self.called}


@value_class
class CallAnswered(FeedEvent):
    """The caller talks to somebody for the first time: `role` is assistant or agent."""

    name: ClassVar[str] = "call.answered"

    role: str
    destination: str

    def facts(self) -> JsonObject:
        return {"role": self.role, "destination": self.destination}


@value_class
class CallEnded(FeedEvent):
    """The call is over; its record is being written."""

    name: ClassVar[str] = "call.ended"

    outcome: Outcome
    duration_ms: int
    """Answered time."""

    def facts(self) -> JsonObject:
        return {"outcome": self.outcome.as_record(), "duration_ms": self.duration_ms}


@value_class
class LegFacts:
    """A leg that we dialled."""

    id: str
    """Its SIP Call-ID, which also is in the record and in every trace."""
    role: str
    """assistant or agent."""
    destination: str
    target: str
    """The URI that was dialled."""
    from_user: str
    """As whom it was called."""
    handoff_id: str
    """The handoff that it was dialled for; empty when the route did."""

    def as_json(self) -> JsonObject:
        """The leg as the API shows it."""
        return {
            "leg_id": self.id,
            "role": self.role,
            "destination": self.destination,
            "target": self.target,
            "handoff_id": self.handoff_id or None,
        }


@value_class
class LegRinging(FeedEvent):
    """The far end of a leg is being alerted, or lets its audio be heard already. Told once per leg."""

    name: ClassVar[str] = "leg.ringing"

    leg: LegFacts
    status: int

    def facts(self) -> JsonObject:
        return {**self.leg.as_json(), "sip_status": self.status}


@value_class
class LegAnswered(FeedEvent):
    """The far end of a leg answered; the caller does not hear it yet."""

    name: ClassVar[str] = "leg.answered"

    leg: LegFacts

    def facts(self) -> JsonObject:
        return self.leg.as_json()


@value_class
class LegEnded(FeedEvent):
    """A leg that we dialled is over: refused, given up, or hung up by one of the two."""

    name: ClassVar[str] = "leg.ended"

    leg: LegFacts
    outcome: Outcome
    ended_by: str
    answered: float | None
    """Loop time; None when it never was."""

    @property
    def duration_ms(self) -> int:
        """Answered time."""
        return 0 if self.answered is None else round((self.at - self.answered) * 1000)

    def facts(self) -> JsonObject:
        ended = {"outcome": self.outcome.as_record(), "ended_by": self.ended_by}
        return {**self.leg.as_json(), **ended, "duration_ms": self.duration_ms}


@value_class
class DigitPressed(FeedEvent):
    """A key was pressed on a leg: `role` is caller, assistant or agent."""

    name: ClassVar[str] = "digit"

    role: str
    leg_id: str
    digit: str
    duration_ms: int
    handoff_id: str
    """The handoff whose human the caller talks to; empty when they talk to nobody's."""

    def facts(self) -> JsonObject:
        return {
            "role": self.role,
            "leg_id": self.leg_id,
            "digit": self.digit,
            "duration_ms": self.duration_ms,
            "handoff_id": self.handoff_id or None,
        }


@value_class
class HandoffChanged(FeedEvent):
    """A handoff was asked for, or went on to another state."""

    name: ClassVar[str] = "handoff"

    handoff_id: str
    state: HandoffState
    method: str
    destination: str
    request: HandoffRequest
    """What was asked for, with the URLs that the destination adds. `facts` shows neither these nor credentials."""
    outcome: Outcome | None
    confirmed: Confirmed | bool | None

    def facts(self) -> JsonObject:
        return {
            "handoff_id": self.handoff_id,
            "state": str(self.state),
            "method": self.method,
            "destination": self.destination,
            "reason": self.request.reason,
            "shared_id": self.request.shared_id,
            "outcome": self.outcome.as_record() if self.outcome else None,
            "confirmed": self.confirmed,
        }


@value_class
class ConsultChanged(FeedEvent):
    """The consultation of a handoff went on to another phase."""

    name: ClassVar[str] = "handoff.consult"

    handoff_id: str
    phase: ConsultPhase

    def facts(self) -> JsonObject:
        return {"handoff_id": self.handoff_id, "consult": str(self.phase)}


@value_class
class RecordingChanged(FeedEvent):
    """A recording of a call began, was paused, went on or ended: `state` is recording, paused, ended or failed."""

    name: ClassVar[str] = "recording"

    state: str
    path: str
    error: str | None
    """Why the disk took no more."""

    def facts(self) -> JsonObject:
        return {"state": self.state, "path": self.path, "error": self.error}


EVERY_KIND: tuple[type[FeedEvent], ...] = (
    CallStarted,
    CallAnswered,
    CallEnded,
    LegRinging,
    LegAnswered,
    LegEnded,
    DigitPressed,
    HandoffChanged,
    ConsultChanged,
    RecordingChanged,
)
