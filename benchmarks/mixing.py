"""What a call of three costs beside calls of two: CPU of the engine per packet that it receives.

    mixing.py        rounds of 4 s, interleaved: a minute

As many legs and as many packets each time: in calls of two that are relayed, in calls of two that are transcoded, and
in calls of three whose legs each hear the sum of the other two (`mix`), decoded, added and encoded for each of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from relay import LOAD_CORE, RELAY_CORE  # noqa: E402
from relays import GENERATOR, build, native  # noqa: E402
from report import Table, heading, say, spread  # noqa: E402

PAIRS = 150
"""Of legs; a multiple of three."""
ROUNDS, WARMUP, SECONDS = 5, 2, 4
WAYS = {
    "calls of two": (native(), "PCMU"),
    "calls of two, transcoded": (native("--transcode"), "PCMA"),
    "calls of three": (native("--mix"), "PCMU"),
}


def cpu_us(way: str) -> float:
    """CPU time per packet received, in microseconds; what is sent for it is in that."""
    engine, law = WAYS[way]
    command = ["taskset", "-c", str(LOAD_CORE), str(GENERATOR), str(WARMUP), str(SECONDS), law]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as generator:
        assert generator.stdin is not None
        assert generator.stdout is not None
        sources = generator.stdout.readline().split()
        peers = [(sources[2 * n % len(sources)], sources[(2 * n + 1) % len(sources)]) for n in range(PAIRS)]
        with engine(RELAY_CORE, peers) as running:
            sides = "".join(f"{one} {other}\n" for one, other in running.sides)
            generator.stdin.write(f"{running.pids[0]}\n{sides}\n")
            generator.stdin.flush()
            figures = json.loads(generator.stdout.readline())
    return float(figures["cpu_ns"] / 1000 / figures["sent"])


def main() -> None:
    """Measures and prints the table."""
    build()
    measured: dict[str, list[float]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        for way, costs in measured.items():
            costs.append(cpu_us(way))
            say(f"round {number + 1}, {way}: {costs[-1]:.2f} us")
    plain = measured["calls of two"]
    rows = [
        [
            way,
            spread(costs, "{:.2f}"),
            spread([one / other for one, other in zip(costs, plain, strict=True)], "{:.2f}"),
        ]
        for way, costs in measured.items()
    ]
    table = Table([f"{2 * PAIRS} legs", "CPU us per packet", "beside calls of two"], rows)
    sys.stdout.write(f"{heading()}\n\n{table}")


if __name__ == "__main__":
    main()
