"""How the audio of a leg was, as records and the API show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.engine import G711
from media.quality import estimate

if TYPE_CHECKING:
    from b2bua.call.record import JsonObject
    from media.engine import LegStatistics


def audio_figures(counters: LegStatistics) -> JsonObject:
    """The counters of a leg with what is estimated from them; null is what its media engine does not tell."""
    heard = counters.packets_in if counters.codec in G711 else 0
    return {
        "codec": str(counters.codec) if counters.codec else None,
        "packets_in": counters.packets_in,
        "packets_out": counters.packets_out,
        "lost": counters.lost,
        "late": counters.late,
        "duplicates": counters.duplicates,
        "jitter_ms": _rounded(counters.jitter_ms),
        "longest_gap_ms": counters.longest_gap_ms,
        "mos": estimate(heard, counters.lost, counters.jitter_ms, counters.round_trip_ms),
        "rtt_ms": _rounded(counters.round_trip_ms),
        "remote_lost": counters.remote_lost,
        "unauthenticated": counters.unauthenticated,
        "replayed": counters.replayed,
    }


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
