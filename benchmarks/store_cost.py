"""What the store adds to the signalling of a call: CPU per call with `store: sqlite:…`, and without a store.

    .venv/bin/python benchmarks/store_cost.py

Both have the HTTP API, since without it nothing is kept. Calls are those of `signalling.py`: each writes one document,
its story, at its end. Interleaved rounds of 4 s at 150 calls/s. On a shared machine the admission refuses calls while
neighbours take the core: a round with a failed call says nothing, and another takes its place. Two minutes.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from report import say, spread  # noqa: E402
from sip_load import Step, measure  # noqa: E402
from sip_servers import SERVERS, ours  # noqa: E402

STORES = {"no store": "disabled", "SQLite": "sqlite:b2bua.db"}
ROUNDS, RATE, SECONDS = 5, 150, 4
MOST_ROUNDS = 8


def main() -> None:
    """Measures and prints the table."""
    for name, store in STORES.items():
        SERVERS[name] = partial(ours, main={"api": {"listen": "127.0.0.1:0"}, "store": store})
    steps: dict[str, list[Step]] = {name: [] for name in STORES}
    for _ in range(MOST_ROUNDS):
        for name, measured in steps.items():
            if len(measured) < ROUNDS:
                step = measure(name, RATE, SECONDS)
                say(f"{name}: {step}")
                measured += [step] if step.clean else []
    lines = ["| store | clean rounds | CPU ms per call |", "|---|---|---|"]
    for name, measured in steps.items():
        cost = spread([step.cpu_ms for step in measured], "{:.3f}") if measured else "-"
        lines.append(f"| {name} | {len(measured)} | {cost} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
