"""The RTP relay against rtpengine and the barest epoll loop: CPU per packet, and how many calls fit one core.

`benchmarks/relay.py` measures and writes `benchmarks/relay_results.md`; `--quick` takes a minute and is good for a
look. Candidates take turns within each round, tables show medians with minimum and maximum. A call is two directions
of 50 packets per second, 172 octets. The relay has one core, the load the other; do not run it beside other work.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from relays import GENERATOR, RELAYS, ROOT

RELAY_CORE, LOAD_CORE = 1, 0
MAX_LOSS, MAX_P99_US = 0.001, 20_000
LOWEST, HIGHEST = 200, 4_800


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement of one relay at one number of calls."""

    calls: int
    loss: float
    p50_us: int
    p99_us: int
    cpu_us: float
    """CPU time of the relay per packet relayed, in microseconds."""
    kept_up: bool
    """The generator sent what it should have: otherwise the figures say nothing about the relay."""

    @property
    def passed(self) -> bool:
        """Within both bounds."""
        return self.kept_up and self.loss < MAX_LOSS and self.p99_us < MAX_P99_US


@dataclass(frozen=True, slots=True)
class Plan:
    """How thorough a run is."""

    rounds: int
    warmup: int
    seconds: int
    search_steps: int


def measure(name: str, calls: int, plan: Plan, *, core: int | None = None) -> Step:
    """Runs a relay with this many calls."""
    load_core = LOAD_CORE if core is None else core
    with subprocess.Popen(["true"]):
        pass
    generator: subprocess.Popen[str] | None = None
    sources = _Sources(plan, load_core)
    try:
        peers = sources.peers(calls)
        with RELAYS[name](RELAY_CORE, peers) as running:
            figures = sources.run(running.pid, running.sides)
    finally:
        sources.close()
    assert generator is None
    expected = 100 * calls * plan.seconds
    return Step(
        calls=calls,
        loss=max(0.0, 1 - figures["received"] / max(1, figures["sent"])),
        p50_us=int(figures["p50_us"]),
        p99_us=int(figures["p99_us"]),
        cpu_us=figures["cpu_ns"] / 1000 / max(1, figures["received"]),
        kept_up=figures["sent"] > 0.98 * expected,
    )
