"""The E-model against the tables of its recommendation, and against common sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.quality import estimate, one_way_delay_ms, opinion_score, rating

LOSS = st.floats(0, 1)
DELAY = st.floats(0, 5000)


@pytest.mark.parametrize(
    ("loss", "delay_ms", "r"),
    [
        (0.0, 0.0, 93.2),
        (0.0, 100.0, 90.8),  # 0.024 per ms
        (0.0, 177.3, 88.94),  # from here on people interrupt each other
        (0.0, 277.3, 75.54),  # 0.134 per ms
        (0.01, 0.0, 89.56),  # 95 * 1 / (1 + 25.1)
        (0.05, 0.0, 77.42),
        (1.0, 0.0, 17.26),
        (1.0, 5000.0, 0.0),
    ],
)
def test_delay_and_loss_cost_what_the_recommendation_says(loss: float, delay_ms: float, r: float) -> None:
    assert rating(loss, delay_ms) == pytest.approx(r, abs=0.01)


@pytest.mark.parametrize(
    ("r", "score"), [(93.2, 4.41), (90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)]
)
def test_a_score_is_that_of_table_b1(r: float, score: float) -> None:
    """G.107 annex B, table B.1. The delay that gives an R stands in for it."""
    delay = (93.2 - r) / 0.024
    if delay > 177.3:
        delay = (93.2 - r + 0.11 * 177.3) / 0.134
    assert opinion_score(0, delay) == pytest.approx(score, abs=0.01)


@given(LOSS, DELAY)
def test_a_score_is_between_one_and_the_best(loss: float, delay_ms: float) -> None:
    assert 1 <= opinion_score(loss, delay_ms) <= 4.42


@given(LOSS, LOSS, DELAY, DELAY)
def test_nothing_sounds_better_for_more_loss_or_delay(a: float, b: float, c: float, d: float) -> None:
    assert rating(max(a, b), max(c, d)) <= rating(min(a, b), min(c, d))


def test_the_delay_is_half_the_round_trip_a_packet_and_what_jitter_needs() -> None:
    assert one_way_delay_ms(100, 5) == 50 + 20 + 10
    assert one_way_delay_ms(None, 0) == 20


def test_an_estimate_is_of_what_was_received() -> None:
    assert estimate(0, 0, 0.0) is None
    assert estimate(1000, 0, 0.0) == 4.4
    assert estimate(950, 50, 2.0, 80.0) == 3.86  # R 75.9
    assert estimate(1, 10**9, 0.0) == 1.16, "hardly anything came"
