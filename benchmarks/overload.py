"""Twice as many calls as the B2BUA can take: how many of those that it could take are still completed.

First the rate at which its core is just busy is looked for, then that rate and its multiples are offered. What is
completed is read from its own records, for SIPp counts a refused call as it likes. `benchmarks/overload.py` prints a
table and ends with status 1 when less than 80 % of the peak is left at twice the load. The B2BUA has one core and SIPp
the other: run nothing else beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from report import say  # noqa: E402
from sip_load import HOLD_MS, PER_SIPP, stage  # noqa: E402

from tests.support.b2bua_process import B2bua  # noqa: E402

FULL = 0.85
"""Share of the core at which a rate counts as all that can be taken."""
LEAST = 0.8
"""Of the peak, at twice the load."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    offered: int
    completed: float
    """Calls per second that were answered and hung up, while the load lasted."""
    core: float
    """Share of its core that the B2BUA used."""
    overload: bool
    """It said that it was overloaded."""


def measure(rate: int, seconds: int) -> Result:
    """`rate` calls a second for so many seconds, after a short start."""
    calls = rate * (seconds + 10)
    with (
        stage("ours", -(-rate // PER_SIPP)) as on,
        on.callers(calls, rate, HOLD_MS, "caller_may_be_refused.xml"),
    ):
        b2bua = on.running.process
        assert isinstance(b2bua, B2bua)
        time.sleep(3)
        cpu, done, start = b2bua.cpu_seconds(), completed(b2bua), time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - start
        return Result(
            offered=rate,
            completed=(completed(b2bua) - done) / elapsed,
            core=(b2bua.cpu_seconds() - cpu) / elapsed,
            overload="overload_begins" in b2bua.errors,
        )


def completed(b2bua: B2bua) -> int:
    """Calls so far that were answered and hung up."""
    return sum(record["outcome"]["code"] == 4000 for record in b2bua.records())


def row(result: Result) -> str:
    """A line of the table."""
    return f"| {result.offered} | {result.completed:.0f} | {result.core:.0%} | {'yes' if result.overload else 'no'} |"


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", type=int, default=200, help="calls per second to begin the search with")
    parser.add_argument("--seconds", type=int, default=15, help="length of each run")
    options = parser.parse_args()
    say("| calls/s offered | completed per second | core | overload |")
    say("|---|---|---|---|")
    rate = options.start
    best = measure(rate, options.seconds)
    say(row(best))
    while best.core < FULL and not best.overload:
        rate = round(rate * 1.25)
        best = measure(rate, options.seconds)
        say(row(best))
    twice = measure(2 * rate, options.seconds)
    say(row(twice))
    share = twice.completed / best.completed
    say(f"at twice the load {share:.0%} of the peak is completed; at least {LEAST:.0%} should be")
    if share < LEAST:
        sys.exit(1)


if __name__ == "__main__":
    main()
