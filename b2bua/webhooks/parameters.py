"""What a webhook says, under the published names: docs/webhooks.md has the table.

A series is one handoff's: it remembers what later requests repeat. Values are text, as in a form.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from b2bua.call.cause import Outcome, Status
from b2bua.feed import DigitPressed, HandoffChanged, LegAnswered, LegEnded, LegFacts, LegRinging
from b2bua.handoff.handoff import HandoffState
from b2bua.webhooks.signature import Parameters

SOURCES = {
    "caller": "Caller",
    "agent": "Call recipient",
    "assistant": "Assistant",
    "api": "API Request",
    "network": "Carrier",
    "b2bua": "B2BUA",
}
"""Who ended a leg, in the published words where there are some."""


FINAL = "DialAction"
"""The `Event` of the last request of a handoff, which says what became of it."""
DIGITS = "DialDigitsMatch"
"""That of a key."""


@dataclass(slots=True)
class Series:
    """One handoff as its receiver hears of it."""

    handoff_id: str
    call_id: str
    caller: str
    called: str
    shared_id: str
    placed: bool = False
    """The call is one of ours: nobody called us."""
    rang: bool = False
    answered: LegFacts | None = None
    """The leg of the human who answered, while and after they talk."""
    positions: dict[str, int] = field(default_factory=dict)
    """Legs in the order in which they were heard of."""
    talking: dict[str, float] = field(default_factory=dict)
    """Legs that have answered and not ended, and when (loop time): they may outlive the handoff, and the call."""

    def ringing(self, event: LegRinging) -> None:
        """Note that somebody was alerted."""
        self.rang = True
        self._position(event.leg)

    def answer(self, event: LegAnswered) -> Parameters:
        """A human answered; the caller does not hear them yet."""
        self.answered = event.leg
        self.talking[event.leg.id] = event.at
        return self._callback("DialAnswer", "answer", event.leg)

    def connected(self) -> Parameters:
        """The caller hears the human."""
        return self._callback("DialConnected", "connected", self.answered)

    def digit(self, event: DigitPressed) -> Parameters:
        """A key was pressed while they talk."""
        pressed = [
            ("DialDigitsMatch", event.digit),
            ("DialDigitsPressedBy", "ALeg" if event.role == "caller" else "BLeg"),
        ]
        return [*self._callback(DIGITS, "digits", self.answered), *pressed]

    def hangup(self, event: LegEnded) -> Parameters:
        """A leg to the human is over, answered or not."""
        seconds = str(round(event.at - self.talking.pop(event.leg.id, event.at)))
        durations = [("DialBLegDuration", seconds), ("DialBLegBillDuration", seconds)]
        return [*self._callback("DialHangup", "hangup", event.leg), *durations, *_cause(event.outcome)]

    def final(self, event: HandoffChanged, recorded: str = "") -> Parameters:
        """What became of the handoff; `recorded` is the file of the call's last recording."""
        outcome = event.outcome
        assert outcome is not None, "a final state has an outcome"
        return [
            *self._standard(FINAL),
            ("DialStatus", str(_status(event.state, outcome))),
            ("DialRingStatus", "true" if self.rang or self.answered is not None else "false"),
            ("DialHangupCause", outcome.name),
            ("DialALegUUID", self.call_id),
            ("DialBLegUUID", "" if self.answered is None else self.answered.id),
            *_cause(outcome),
            ("Destination", event.destination),
            *([("RecordingFile", recorded)] if recorded else []),
        ]

    def _callback(self, event: str, action: str, leg: LegFacts | None) -> list[tuple[str, str]]:
        said = [
            *self._standard(event),
            ("DialAction", action),
            ("DialBLegStatus", action),
            ("DialALegUUID", self.call_id),
        ]
        if leg is None:
            # Connected to a leg that was there before the handoff.
            return [*said, ("DialBLegUUID", "")]
        return [
            *said,
            ("DialBLegUUID", leg.id),
            ("DialBLegPosition", str(self._position(leg))),
            ("DialBLegFrom", leg.from_user),
            ("DialBLegTo", leg.target),
            ("Destination", leg.destination),
        ]

    def _standard(self, event: str) -> list[tuple[str, str]]:
        shared = [("SharedID", self.shared_id)] if self.shared_id else []
        return [
            ("CallUUID", self.call_id),
            ("From", self.caller),
            ("To", self.called),
            ("Direction", "outbound" if self.placed else "inbound"),
            ("Event", event),
            ("HandoffID", self.handoff_id),
            *shared,
        ]

    def _position(self, leg: LegFacts) -> int:
        return self.positions.setdefault(leg.id, len(self.positions) + 1)


def _status(state: HandoffState, outcome: Outcome) -> Status:
    """What ended the call in the middle of a handoff completes the call, and not the handoff."""
    fails = state is HandoffState.FAILED and outcome.status is Status.COMPLETED
    return Status.FAILED if fails else outcome.status


def _cause(outcome: Outcome) -> list[tuple[str, str]]:
    return [
        ("DialBLegHangupCauseName", outcome.name),
        ("DialBLegHangupCauseCode", str(outcome.code)),
        ("DialBLegHangupSource", SOURCES[outcome.source]),
    ]
