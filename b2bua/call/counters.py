"""What became of calls, attempts, handoffs and their audio since the start: plain numbers for the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.feed import HandoffChanged, RecordingChanged
from b2bua.telemetry.tally import Histograms, Tally
from media.quality import estimate

if TYPE_CHECKING:
    from b2bua.call.cause import Outcome
    from b2bua.call.record import AttemptRecord, CallRecord
    from b2bua.feed import Entry
    from media.engine import LegStatistics

SETUP_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120)
"""Seconds: from our own part of it to the patience of somebody who waits for a queue."""
TALK_BOUNDS = (5, 15, 30, 60, 120, 300, 600, 1800, 3600, 14400)
"""Seconds."""
JITTER_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
"""Seconds; what a usual jitter buffer holds is in the middle."""
MOS_BOUNDS = (2.0, 2.6, 3.1, 3.6, 4.0, 4.2, 4.3)
"""Where G.107 annex B draws its lines, from "nearly all users dissatisfied" to "very satisfied"."""


class CallCounters:
    """Counted where each thing is decided; the audio of a leg when its call ends. Also a listener of the feed."""

    def __init__(self) -> None:
        self.calls = Tally()
        """Calls that ended, refused ones included, by trunk, status, cause and code."""
        self.left_behind = Tally()
        """Calls that an earlier process had when it was killed, by what became of them."""
        self.setup = Histograms(SETUP_BOUNDS)
        """Seconds from the INVITE to the answer, by trunk."""
        self.talk = Histograms(TALK_BOUNDS)
        """Answered seconds, by trunk."""
        self.attempts = Tally()
        """By destination, cause and SIP status."""
        self.handoffs = Tally()
        """By destination, method, state and cause."""
        self.pick_up = Histograms(SETUP_BOUNDS)
        """Seconds from the first INVITE of an attempt to its answer, by destination."""
        self.handoff_connect = Histograms(SETUP_BOUNDS)
        """Seconds from asking for a handoff until the caller hears the human, by method."""
        self.recordings = Tally()
        """By state: each that began, ended or failed."""
        self.packets = Tally()
        """RTP packets by role and direction."""
        self.octets = Tally()
        """RTP payload octets by role and direction."""
        self.lost = Tally()
        """RTP packets lost on the way to us, by role."""
        self.unusable = Tally()
        """Packets dropped, by role and reason."""
        self.jitter = Histograms(JITTER_BOUNDS)
        """Seconds, by role."""
        self.mos = Histograms(MOS_BOUNDS)
        """Mean opinion score, by role."""
        self._asked: dict[str, float] = {}
        """When each handoff that is not over was asked for."""

    @property
    def handoffs_active(self) -> int:
        """Handoffs that are not over."""
        return len(self._asked)

    def answered(self, record: CallRecord) -> None:
        """The caller talks to somebody for the first time."""
        if record.answered is not None:
            self.setup.observe((record.trunk,), record.answered - record.started)

    def ended(self, record: CallRecord) -> None:
        """A call has ended, or was refused."""
        outcome = record.outcome
        if outcome is None:
            return
        self.count(record.trunk, outcome)
        if record.answered is not None:
            self.talk.observe((record.trunk,), record.duration_ms / 1000)

    def count(self, trunk: str, outcome: Outcome) -> None:
        """Count a call that ended so, an earlier process's too."""
        self.calls.add((trunk, outcome.status, outcome.name, str(outcome.code)))

    def attempted(self, attempt: AttemptRecord) -> None:
        """An attempt is decided: answered, failed, or given up with its call."""
        outcome = attempt.outcome
        if attempt.answered is not None:
            self.pick_up.observe((attempt.destination,), attempt.answered - attempt.started)
        if outcome is not None:
            self.attempts.add((attempt.destination, outcome.name, str(outcome.sip_status or "")))
        elif attempt.answered is not None:
            self.attempts.add((attempt.destination, "answered", "200"))
        else:
            self.attempts.add((attempt.destination, "given_up", ""))

    def hear(self, entry: Entry) -> None:
        """A handoff was asked for, or went on; a recording began or ended."""
        event = entry.event
        if isinstance(event, RecordingChanged):
            self.recordings.add((event.state,))
        if not isinstance(event, HandoffChanged):
            return
        if event.state == "requested":
            self._asked[event.handoff_id] = event.at
        elif event.state == "connected" and event.handoff_id in self._asked:
            self.handoff_connect.observe((event.method,), event.at - self._asked[event.handoff_id])
        elif event.state.final:
            self._asked.pop(event.handoff_id, None)
            name = event.outcome.name if event.outcome is not None else ""
            self.handoffs.add((event.destination, event.method, event.state, name))

    def heard(self, role: str, statistics: LegStatistics) -> None:
        """The audio of a leg, when its call ends."""
        for direction, packets, octets in (
            ("in", statistics.packets_in, statistics.octets_in),
            ("out", statistics.packets_out, statistics.octets_out),
        ):
            if packets:
                self.packets.add((role, direction), packets)
                self.octets.add((role, direction), octets)
        for reason in ("foreign", "malformed", "dropped", "unauthenticated", "replayed"):
            if count := getattr(statistics, reason):
                self.unusable.add((role, reason), count)
        if not statistics.packets_in:
            return
        if statistics.lost:
            self.lost.add((role,), statistics.lost)
        if statistics.jitter_ms is not None:
            self.jitter.observe((role,), statistics.jitter_ms / 1000)
        score = estimate(
            statistics.packets_in, statistics.lost, statistics.jitter_ms, statistics.round_trip_ms
        )
        if score is not None:
            self.mos.observe((role,), score)
