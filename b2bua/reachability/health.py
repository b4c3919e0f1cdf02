"""Up or down, with hysteresis: one lost datagram takes no trunk out of service, one lucky answer brings none back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PROOFS = 2
"""Pings in a row that must say otherwise before the state changes."""

DOUBT_HURRIES = 4
"""After a ping that contradicts the state the next one comes this many times sooner: doubts do not last."""


class State(StrEnum):
    """What is believed of a far end."""

    UNKNOWN = "unknown"
    """Not asked yet; as good as up."""
    UP = "up"
    DOWN = "down"


@dataclass(slots=True)
class Health:
    """What is believed of one far end, and how sure that is."""

    state: State = State.UNKNOWN
    contradictions: int = 0
    """Pings in a row that said otherwise."""

    def note(self, *, alive: bool) -> bool:
        """Take the result of a ping; True when the state changed by it."""
        said = State.UP if alive else State.DOWN
        if said is self.state:
            self.contradictions = 0
            return False
        self.contradictions += 1
        # The first answer ever is believed; a first silence may be a lost datagram, as any other.
        if self.contradictions < PROOFS and not (self.state is State.UNKNOWN and alive):
            return False
        self.state, self.contradictions = said, 0
        return True

    def pause(self, interval: float) -> float:
        """Seconds until the next ping."""
        return interval / DOUBT_HURRIES if self.contradictions else interval
