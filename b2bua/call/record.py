"""What is kept of a call: the values of its record (docs/configuration.md, "records") and the line they become.

Field names are a contract. Times are loop times (seconds) until `as_json` stamps them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from b2bua.call.clock import CallClock

if TYPE_CHECKING:
    from b2bua.call.cause import Outcome

JsonObject = dict[str, object]

ROLES = ("caller", "assistant", "agent")


@dataclass(slots=True)
class AttemptRecord:
    """One try at one URI of a destination."""

    destination: str
    method: str
    target: str
    encryption: str
    started: float
    challenged: float | None = None
    ringing: float | None = None
    answered: float | None = None
    ended: float | None = None
    outcome: Outcome | None = None

    def close(self, now: float, outcome: Outcome) -> None:
        """Note the end; the first to say so stands."""
        if self.ended is None:
            self.ended, self.outcome = now, outcome

    def as_json(self, clock: CallClock) -> JsonObject:
        """The attempt as it stands in `attempts`."""
        return {
            "destination": self.destination,
            "method": self.method,
            "target": self.target,
            "encryption": self.encryption,
            "started": clock.stamp(self.started),
            "challenged": clock.stamp(self.challenged),
            "ringing": clock.stamp(self.ringing),
            "answered": clock.stamp(self.answered),
            "ended": clock.stamp(self.ended),
            "outcome": self.outcome.as_record() if self.outcome else {},
            "detail": self.outcome.why if self.outcome else None,
        }


@dataclass(slots=True)
class LegRecord:
    """One SIP dialog of the call."""

    role: str
    sip_call_id: str
    local_tag: str
    remote_tag: str
    remote_address: str
    transport: str
    started: float
    has_srtp: bool = False
    """As agreed last."""
    answered: float | None = None
    ended: float | None = None
    ended_by: str | None = None
    media: JsonObject = field(default_factory=dict)
    """How the audio was; by the end of the call, or when somebody asked last."""
    session_id: str = ""
    """The UUID of the far end in Session-ID (RFC 7989)."""
    replaces: str | None = None
    """The `sip_call_id` of the leg whose place it took (RFC 3891)."""

    @property
    def encryption(self) -> str:
        """What protects signalling and audio, in the words of the configuration; `udp` stands for all that is clear."""
        return f"{'tls' if self.transport == 'tls' else 'udp'}/{'srtp' if self.has_srtp else 'rtp'}"

    def end(self, by: str, now: float) -> None:
        """Note who ended the leg; the first to say so stands."""
        if self.ended is None:
            self.ended, self.ended_by = now, by

    def as_json(self, clock: CallClock) -> JsonObject:
        """The leg as it stands in `legs`."""
        return {
            "role": self.role,
            "sip_call_id": self.sip_call_id,
            "session_id": self.session_id or None,
            "local_tag": self.local_tag,
            "remote_tag": self.remote_tag,
            "remote_address": self.remote_address,
            "transport": self.transport,
            "encryption": self.encryption,
            "started": clock.stamp(self.started),
            "answered": clock.stamp(self.answered),
            "ended": clock.stamp(self.ended),
            "ended_by": self.ended_by,
            "media": self.media,
            "replaces": self.replaces,
        }


@dataclass(frozen=True, slots=True)
class BridgeRecord:
    """The call was joined with another one that we held."""

    call_id: str
    at: float


@dataclass(slots=True)
class RecordingRecord:
    """A recording of the call."""

    path: str
    started: float
    state: Literal["recording", "paused", "ended", "failed"] = "recording"
    ended: float | None = None
    error: str | None = None
    """Why the disk took no more."""
    dropped: int = 0
    """Packets that the disk was too slow for; they are silence."""

    def as_json(self, clock: CallClock) -> JsonObject:
        """The recording as it stands in `recordings`."""
        return {
            "path": self.path,
            "state": self.state,
            "started": clock.stamp(self.started),
            "ended": clock.stamp(self.ended),
            "error": self.error,
            "dropped": self.dropped,
        }


@dataclass(slots=True)
class CallRecord:
    """Everything about one call, filled while it lives, written once when it ended."""

    call_id: str
    session_id: str
    node: str
    trunk: str
    caller: str
    called: str
    started: float
    clock: CallClock
    placed: bool = False
    """By us: nobody called us."""
    answered: float | None = None
    ended: float | None = None
    outcome: Outcome | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
    handoffs: list[JsonObject] = field(default_factory=list)
    legs: list[LegRecord] = field(default_factory=list)
    bridges: list[BridgeRecord] = field(default_factory=list)
    recordings: list[RecordingRecord] = field(default_factory=list)

    @property
    def media(self) -> dict[str, JsonObject]:
        """How the audio was, by role: of several legs in a role the last one that was answered."""
        chosen: dict[str, LegRecord] = {}
        for leg in self.legs:
            if leg.role not in chosen or leg.answered is not None:
                chosen[leg.role] = leg
        return {role: chosen[role].media if role in chosen else {} for role in ROLES}

    @property
    def duration_ms(self) -> int:
        """Answered time in ms, 0 for a call that was never answered."""
        if self.answered is None or self.ended is None:
            return 0
        return round((self.ended - self.answered) * 1000)

    def as_json(self) -> JsonObject:
        """The record as one JSON object."""
        clock = self.clock
        return {
            "call_id": self.call_id,
            "session_id": self.session_id,
            "node": self.node,
            "trunk": self.trunk,
            "caller": self.caller,
            "called": self.called,
            "started": clock.stamp(self.started),
            "answered": clock.stamp(self.answered),
            "ended": clock.stamp(self.ended),
            "duration_ms": self.duration_ms,
            "outcome": self.outcome.as_record() if self.outcome else {},
            "attempts": [attempt.as_json(clock) for attempt in self.attempts],
            "handoffs": self.handoffs,
            "legs": [leg.as_json(clock) for leg in self.legs],
            "media": self.media,
            "recordings": [each.as_json(clock) for each in self.recordings],
            "bridges": [{"call_id": each.call_id, "at": clock.stamp(each.at)} for each in self.bridges],
        }
