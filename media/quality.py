"""How a conversation sounds, in one number: the E-model (ITU-T G.107), reduced to what packets tell about G.711.

R = 93.2 - Id - Ie,eff: what is left of a perfect connection after delay and loss; then the mean opinion score that R
stands for (G.107 annex B). Echo, noise and loudness are taken as perfect: nothing in RTP tells of them.
"""

from __future__ import annotations

BEST = 93.2
"""R of a G.711 connection without delay and loss, all other parameters at their defaults (G.107 table 3)."""
ROBUSTNESS = 25.1
"""Bpl of G.711 with packet loss concealment (G.113 appendix I), which every receiver of today has."""
PACKET_MS = 20.0
"""A packet leaves when it is full."""


def one_way_delay_ms(round_trip_ms: float | None, jitter_ms: float) -> float:
    """Mouth-to-ear delay in ms as far as known: half a round trip, a packet, a jitter buffer of twice the jitter."""
    return (round_trip_ms or 0.0) / 2 + PACKET_MS + 2 * jitter_ms


def rating(loss: float, delay_ms: float) -> float:
    """R, 0..93.2, at this share of packets lost (0..1, taken as random) and this one-way delay in ms."""
    delay = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - 177.3)
    percent = 100 * min(1.0, max(0.0, loss))
    equipment = 95 * percent / (percent + ROBUSTNESS)
    return max(0.0, BEST - delay - equipment)


def opinion_score(loss: float, delay_ms: float) -> float:
    """The mean opinion score people would give, 1 (bad) to 4.41 (the best G.711 can be)."""
    r = rating(loss, delay_ms)
    # The polynomial dips below 1 for the smallest R.
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def estimate(
    packets: int, lost: int | None, jitter_ms: float | None, round_trip_ms: float | None = None
) -> float | None:
    """The score of a received stream, to two digits; None when nothing was received, or what was lost is not known."""
    if packets <= 0 or lost is None or jitter_ms is None:
        return None
    loss = lost / (packets + lost)
    return round(opinion_score(loss, one_way_delay_ms(round_trip_ms, jitter_ms)), 2)
