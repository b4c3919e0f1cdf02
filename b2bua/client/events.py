"""What `GET /v1/events` tells, by kind. `raw` has all of an event; one of a kind that came later is an `Event` only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar, Self

from b2bua.client.answers import Json, Outcome


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a call."""

    kind: ClassVar[str] = ""

    id: str
    """Where it stands in the stream: `last_id` of the next `events`, to go on behind it."""
    event: str
    """The kind, by the name that `docs/api.md` gives it."""
    at: str
    call_id: str
    raw: Json = field(repr=False)

    @classmethod
    def of(cls, event_id: str, answer: Json) -> Self:
        """From JSON."""
        known = {each.name: answer.get(each.name) for each in fields(cls) if each.name not in ("id", "raw")}
        if "outcome" in known:
            known["outcome"] = Outcome.of(answer["outcome"])
        return cls(id=event_id, raw=answer, **known)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class CallStarted(Event):
    """A call was let in, or placed."""

    kind: ClassVar[str] = "call.started"

    trunk: str
    caller: str
    called: str


@dataclass(frozen=True, slots=True)
class CallAnswered(Event):
    """The caller talks to somebody for the first time."""

    kind: ClassVar[str] = "call.answered"

    role: str
    """assistant or agent."""
    destination: str


@dataclass(frozen=True, slots=True)
class CallEnded(Event):
    """The call is over."""

    kind: ClassVar[str] = "call.ended"

    outcome: Outcome
    duration_ms: int
    """Since the answer."""


@dataclass(frozen=True, slots=True)
class LegEvent(Event):
    """Something happened to a leg that was dialled."""

    leg_id: str
    role: str
    destination: str
    target: str
    handoff_id: str | None
    """The handoff that it was dialled for."""


@dataclass(frozen=True, slots=True)
class LegRinging(LegEvent):
    """Its far end rings, or lets its audio be heard."""

    kind: ClassVar[str] = "leg.ringing"

    sip_status: int


@dataclass(frozen=True, slots=True)
class LegAnswered(LegEvent):
    """Its far end answered; the caller does not hear it yet."""

    kind: ClassVar[str] = "leg.answered"


@dataclass(frozen=True, slots=True)
class LegEnded(LegEvent):
    """It refused, was given up, or one of the two hung up."""

    kind: ClassVar[str] = "leg.ended"

    outcome: Outcome
    ended_by: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class DigitPressed(Event):
    """A key was pressed."""

    kind: ClassVar[str] = "digit"

    role: str
    leg_id: str
    digit: str
    duration_ms: int
    handoff_id: str | None


@dataclass(frozen=True, slots=True)
class HandoffChanged(Event):
    """A handoff was asked for, or changed its state."""

    kind: ClassVar[str] = "handoff"

    handoff_id: str
    state: str
    method: str
    destination: str
    reason: str
    shared_id: str
    outcome: Outcome | None
    confirmed: str | bool | None


@dataclass(frozen=True, slots=True)
class ConsultChanged(Event):
    """The consultation of a handoff went on."""

    kind: ClassVar[str] = "handoff.consult"

    handoff_id: str
    consult: str


@dataclass(frozen=True, slots=True)
class RecordingChanged(Event):
    """A recording of the call began, was paused, went on or ended."""

    kind: ClassVar[str] = "recording"

    state: str
    """recording, paused, ended or failed."""
    path: str
    error: str | None


@dataclass(frozen=True, slots=True)
class Gap(Event):
    """Events are gone that you did not get; `call_id` and `at` are empty."""

    kind: ClassVar[str] = "gap"

    missed: int | None
    """How many, of all calls; None when nobody knows."""

    @classmethod
    def of(cls, event_id: str, answer: Json) -> Self:
        """From JSON."""
        return cls(event_id, cls.kind, "", "", answer, answer["missed"])


KINDS: Mapping[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        *(CallStarted, CallAnswered, CallEnded),
        *(LegRinging, LegAnswered, LegEnded),
        *(DigitPressed, HandoffChanged, ConsultChanged, RecordingChanged, Gap),
    )
}


def read_event(event_id: str, data: str) -> Event:
    """The event in one block of the stream. Raises `ValueError`, `KeyError` or `TypeError` for what is none."""
    answer = json.loads(data)
    return KINDS.get(answer["event"], Event).of(event_id, answer)
