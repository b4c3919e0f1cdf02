"""Half a minute of `make soak`: 100 calls at once, half of them SRTP, again and again, and nothing is left of any."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.soak import Soak

CALLS = 100
MEMORY_SLACK = 6 * 2**20
"""Octets that a round may add while what lives 32 s after a call (RFC 3261 timers) still adds up: 60 KiB a call."""


@pytest.mark.timeout(180)
def test_rounds_of_calls_leave_memory_descriptors_and_ports_as_they_were(tmp_path: Path) -> None:
    with Soak(tmp_path, CALLS) as soak:
        first = soak.play(seconds=5)
        second = soak.play(seconds=5)
        third = soak.play(seconds=5)
        soak.end()
    assert third.descriptors == second.descriptors <= first.descriptors
    grown = [now - before for now, before in zip(third.memory, second.memory, strict=True)]
    assert max(grown) <= MEMORY_SLACK, (first, second, third)
