"""A whole call through the B2BUA, SIPp on both sides: CPU per call, and how many calls a second stay clean.

INVITE 100 180 200 ACK, 200 ms, BYE 200, no sound; the B2BUA writes its records and its INFO log, and opens four media
ports for each call. It has one core and SIPp the other: run nothing else beside it. `benchmarks/signalling.py` measures
and writes `benchmarks/signalling_results.md`; `--quick` takes half a minute, for a look.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from relay import machine, say, spread  # noqa: E402

from tests.support.b2bua_process import B2bua  # noqa: E402
from tests.support.sipp import Sipp, SippCounters, sipp_callee, sipp_caller  # noqa: E402

SERVER_CORE, LOAD_CORE = 1, 0
PASSWORD = "benchmark"
HOLD_MS = 200
CANDIDATES = {"no challenge": "callee.xml", "401, MD5": "callee_challenges.xml"}
FEWEST, MOST = 50, 2_400
"""Calls per second between which the search for the maximum looks."""
PER_SIPP = 600
"""Calls per second of one SIPp process; beyond about a thousand its own repetitions look like ours."""
FLOOR = 300
"""Clean calls per second with digest that this version must reach."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How thorough a run is. Seconds of load per measurement; tries of each step of the search."""

    rounds: int
    seconds: int
    search_steps: int
    tries: int


FULL = Plan(rounds=3, seconds=10, search_steps=6, tries=3)
QUICK = Plan(rounds=1, seconds=4, search_steps=0, tries=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement at one rate."""

    calls: int
    failed: int
    """Calls that either side counts as failed or missed, or that have no record."""
    repeated: int
    """Messages repeated by or to either side."""
    cpu_ms: float
    """CPU time of the B2BUA per call, user and system, in milliseconds."""
    core: float
    """How much of its core the B2BUA used while the load ran, 0..1."""

    @property
    def clean(self) -> bool:
        """No call failed and nothing was said twice."""
        return self.failed == 0 and self.repeated == 0


@contextmanager
def servers(scenario: str, count: int, folder: Path) -> Iterator[tuple[B2bua, list[Sipp]]]:
    """The B2BUA with `count` callees behind it, as its destinations `desk-0`, `desk-1`..."""
    with ExitStack() as stack:
        keys = {"username": "acme", "password": PASSWORD}
        callees = [
            stack.enter_context(
                sipp_callee(folder, scenario, name=f"callee-{n}", keys=keys, cpus=[LOAD_CORE])
            )
            for n in range(count)
        ]
        destinations = {
            f"desk-{n}": {
                "route": f"sip:desk@{callee.address}",
                "auth": {"username": "acme", "password": PASSWORD},
            }
            for n, callee in enumerate(callees)
        }
        media = {"ports": "10000-31999"}  # below the ports that the system hands out; some may be taken
        yield stack.enter_context(B2bua(folder, destinations, media=media, cpus=[SERVER_CORE])), callees


def measure(scenario: str, rate: int, seconds: int) -> Step:
    """Calls at `rate` a second for so many seconds, through a B2BUA of their own."""
    count = -(-rate // PER_SIPP)
    with tempfile.TemporaryDirectory() as name, servers(scenario, count, Path(name)) as (b2bua, callees):
        folder = Path(name)
        each = rate * seconds // count
        run(b2bua, folder, count, calls=20, rate=20)  # imports, caches, the record file
        before, begun = b2bua.cpu_seconds(), time.monotonic()
        made = run(b2bua, folder, count, calls=each, rate=rate / count)
        spent, took = b2bua.cpu_seconds() - before, time.monotonic() - begun
        taken = [callee.finish() for callee in callees]
        calls = each * count
        b2bua.stop()
        recorded = sum(record["outcome"]["code"] == 4000 for record in b2bua.records())
    missed = [calls - sum(c.successful for c in made), calls + 20 * count - sum(c.successful for c in taken)]
    return Step(
        calls=calls,
        failed=max(*missed, calls + 20 * count - recorded),
        repeated=sum(c.repeated for c in [*made, *taken]),
        cpu_ms=spent * 1000 / calls,
        core=spent / took,
    )


def run(b2bua: B2bua, folder: Path, count: int, *, calls: int, rate: float) -> list[SippCounters]:
    """`count` callers, each making so many calls at so many a second; what they counted."""
    with ExitStack() as stack:
        callers = [
            stack.enter_context(
                sipp_caller(
                    folder,
                    b2bua.host_port,
                    name=f"caller-{n}",
                    service=f"desk-{n}",
                    calls=calls,
                    rate=rate,
                    call_length_ms=HOLD_MS,
                    cpus=[LOAD_CORE],
                )
            )
            for n in range(count)
        ]
        return [caller.finished(calls / rate + 60) for caller in callers]


def passes(scenario: str, rate: int, plan: Plan) -> bool:
    """True when most tries at this rate are clean: a neighbour's burst is no limit, and a lucky try no proof."""
    steps = [measure(scenario, rate, plan.seconds) for _ in range(plan.tries)]
    for step in steps:
        say(f"    {rate} calls/s: {step}")
    return 2 * sum(step.clean for step in steps) > plan.tries


def most_calls(scenario: str, plan: Plan) -> int:
    """The highest clean rate, by halving the ratio of a passing and a failing one."""
    low, high = FEWEST, MOST
    for _ in range(plan.search_steps):
        middle = round((low * high) ** 0.5)
        if passes(scenario, middle, plan):
            low = middle
        else:
            high = middle
    return low


def cpu_table(rates: list[int], plan: Plan) -> list[str]:
    """CPU per call of both candidates at some rates, in interleaved rounds."""
    steps: dict[tuple[str, int], list[Step]] = {(name, rate): [] for rate in rates for name in CANDIDATES}
    for _ in range(plan.rounds):
        for (name, rate), measured in steps.items():
            measured.append(measure(CANDIDATES[name], rate, plan.seconds))
            say(f"{name}, {rate} calls/s: {measured[-1]}")
    lines = [
        "### CPU per call",
        "",
        "| callee | calls/s | CPU ms per call | share of the core | failed | repeated messages |",
        "|---|---|---|---|---|---|",
    ]
    for (name, rate), measured in steps.items():
        lines.append(
            f"| {name} | {rate} | {spread([s.cpu_ms for s in measured], '{:.2f}')} "
            f"| {statistics.median(s.core for s in measured):.0%} "
            f"| {sum(s.failed for s in measured)} | {sum(s.repeated for s in measured)} |"
        )
    return [*lines, ""]


def maximum_table(plan: Plan) -> list[str]:
    """The highest clean rate of both candidates."""
    lines = ["### Clean calls per second on one core", "", "| callee | calls/s | floor |", "|---|---|---|"]
    for name, scenario in CANDIDATES.items():
        most = most_calls(scenario, plan)
        say(f"clean, {name}: {most}")
        lines.append(f"| {name} | **{most}** | {'' if name == 'no challenge' else FLOOR} |")
    return [*lines, ""]


def main() -> None:
    """Measures and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="one short round, no search for the maximum, no report"
    )
    quick = parser.parse_args().quick
    plan = QUICK if quick else FULL
    report = [
        f"## {datetime.now(UTC):%Y-%m-%d}, {machine()}",
        "",
        f"{plan.rounds} interleaved rounds of {plan.seconds} s; minimum / **median** / maximum. A rate is clean when "
        f"most of {plan.tries} tries had 0 failed calls at caller and callee, a record for each call, and 0 repeated "
        "messages.",
        "",
        *cpu_table([100, FLOOR], plan),
    ]
    if plan.search_steps:
        report += maximum_table(plan)
    text = "\n".join(report)
    sys.stdout.write(text + "\n")
    if not quick:
        (ROOT / "benchmarks/signalling_results.md").write_text(f"# Signalling\n\n{text}")


if __name__ == "__main__":
    main()
