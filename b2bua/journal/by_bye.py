"""A handoff by BYE that was under way when its process was killed: there is no way back, so it is brought to its end.

Nobody knows whether the BYE has arrived, so it is sent again. Whoever had it says 481: they have no such dialog any
more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from b2bua.call import cause
from b2bua.handoff.handoff import Handoff, HandoffState

if TYPE_CHECKING:
    from b2bua.call.record import JsonObject
    from b2bua.journal.entry import JournalEntry, LegEntry
    from sip_stack.dialog.core import HeaderLines


@dataclass(slots=True)
class HandedByBye:
    """The handoff, and how it ended."""

    headers: dict[str, str]
    """What the BYE says to whoever takes the caller back."""
    outcome: cause.Outcome
    confirmed: bool = False

    @classmethod
    def of(cls, entry: JournalEntry) -> HandedByBye | None:
        """None for a call that was at nothing of the kind."""
        last = cast("list[JsonObject]", entry.record["handoffs"])[-1:]
        # It is dialing from the BYE on, until that is answered.
        if not last or last[0]["method"] != "bye" or last[0]["state"] != HandoffState.DIALING:
            return None
        headers = cast("dict[str, str]", last[0]["headers_sent"])
        return cls(headers, cause.local("normal_hangup", source="b2bua"))

    def headers_for(self, leg: LegEntry) -> HeaderLines:
        """What is said to the caller alone."""
        return list(self.headers.items()) if leg.role == "caller" else []

    def answered(self, entry: JournalEntry, statuses: list[int | None]) -> None:
        """What each leg said to its BYE."""
        for leg, status in zip(entry.legs, statuses, strict=True):
            if leg.role == "caller" and status is not None:
                self.confirmed = 200 <= status < 300 or status == 481
                self.outcome = cause.with_response(self.outcome, status)

    def completed(self, entry: JournalEntry) -> JournalEntry:
        """The entry with the handoff as it ended."""
        *before, last = cast("list[JsonObject]", entry.record["handoffs"])
        state, outcome = str(HandoffState.COMPLETED), self.outcome.as_record()
        last = {**last, "state": state, "outcome": outcome, "confirmed": self.confirmed}
        return entry._replace(record={**entry.record, "handoffs": [*before, last]})

    def finish(self, handoff: Handoff, now: float) -> None:
        """The same, of the handoff itself."""
        handoff.confirmed = self.confirmed
        handoff.finish(HandoffState.COMPLETED, self.outcome, now)
