"""Half an hour of calls, 200 at once and half of them SRTP: memory, open files and ports stay as they are.

`make soak`. Prints a line for each round of calls and ends with status 1 when a call fails, or when the last rounds
hold more than those after the first minutes. `--minutes` and `--calls` change the size; a test runs half a minute.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from report import say  # noqa: E402

from tests.support.soak import Round, Soak  # noqa: E402

WARM_CALLS = 2500
"""Until memory has its size: 2,000 calls that have ended are remembered, and transactions live on for 32 s."""
SECONDS_PER_CALL = 20.0
SLACK = 6 * 2**20
"""Octets that a process may hold more at the end than when it was warm."""


def line(passed: float, now: Round) -> str:
    """A row of the table."""
    memory = " / ".join(f"{octets / 2**20:.1f}" for octets in now.memory)
    return f"| {passed / 60:.1f} | {memory} | {' / '.join(map(str, now.descriptors))} |"


def soak(minutes: float, calls: int) -> bool:
    """Whether nothing grew."""
    say("| minutes | MiB near / far | open files near / far |\n|---|---|---|")
    begun = time.monotonic()
    warm: list[Round] = []
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory() as name, Soak(Path(name), calls) as running:
        while (passed := time.monotonic() - begun) < 60 * minutes or len(rounds) < 3:
            now = running.play(SECONDS_PER_CALL)
            is_warm = len(warm) * calls >= WARM_CALLS or passed > 30 * minutes
            (rounds if is_warm else warm).append(now)
            say(line(time.monotonic() - begun, now))
        running.end()
    first, last = rounds[0], rounds[-1]
    grown = [now - before for now, before in zip(last.memory, first.memory, strict=True)]
    growth = " / ".join(f"{octets / 2**20:+.1f}" for octets in grown)
    say(f"{len(warm) + len(rounds)} rounds of {calls} calls; MiB since warm: {growth}")
    return max(grown) <= SLACK and last.descriptors <= first.descriptors


def main() -> None:
    """Read the options and soak."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--calls", type=int, default=200, help="at once")
    options = parser.parse_args()
    sys.exit(0 if soak(options.minutes, options.calls) else 1)


if __name__ == "__main__":
    main()
