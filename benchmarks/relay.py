"""The RTP relay against rtpengine and the barest epoll loop: CPU per packet, and how many calls fit one core.

`benchmarks/relay.py` measures and writes `benchmarks/relay_results.md` (about 20 minutes; 5 with `--skip-maximum`;
`--quick` takes one, for a look, and writes nothing).
Candidates take turns within each round; tables show medians with minimum and maximum. A call is two directions of 50
packets per second, 172 octets. The relay has one core and the load the other: run nothing else beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from relays import GENERATOR, RELAYS, ROOT
from report import machine, say, spread

RELAY_CORE, LOAD_CORE = 1, 0
MAX_LOSS, MAX_P99_US = 0.001, 20_000
FEWEST, MOST = 800, 4_800
"""Where the search for the maximum looks; the open-file limit is near the upper end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How thorough a run is. The warm-up outlasts the seconds in which rtpengine still learns addresses."""

    rounds: int
    warmup: int
    seconds: int
    search_steps: int


FULL = Plan(rounds=3, warmup=4, seconds=4, search_steps=5)
QUICK = Plan(rounds=1, warmup=4, seconds=3, search_steps=0)


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement of one relay at one number of calls."""

    loss: float
    p50_us: int
    p99_us: int
    cpu_us: float
    """CPU time of the relay per packet it relayed, in microseconds."""
    waited: float
    """Share of the time in which the relay was ready to run and a neighbour had its core: what a p99 of
    milliseconds at a low load means."""
    kept_up: bool
    """The generator sent what it should have; otherwise the step says nothing about the relay."""

    @property
    def passed(self) -> bool:
        """Within both bounds: socket buffers hide overload from the loss alone."""
        return self.kept_up and self.loss < MAX_LOSS and self.p99_us < MAX_P99_US


def measure(name: str, calls: int, plan: Plan) -> Step:
    """Runs a relay with this many calls."""
    law = "PCMA" if name == "ours, transcoding" else "PCMU"
    settings = [str(plan.warmup), str(plan.seconds), law]
    command = ["taskset", "-c", str(LOAD_CORE), str(GENERATOR), "load", *settings]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as generator:
        assert generator.stdin is not None
        assert generator.stdout is not None
        sources = generator.stdout.readline().split()
        # The generator gives stream n its socket n modulo the number of sockets; a call is two streams.
        peers = [(sources[2 * n % len(sources)], sources[(2 * n + 1) % len(sources)]) for n in range(calls)]
        with RELAYS[name](RELAY_CORE, peers) as running:
            sides = "".join(f"{a} {b}\n" for a, b in running.sides)
            generator.stdin.write(f"{running.pid}\n{sides}\n")
            generator.stdin.flush()
            figures = json.loads(generator.stdout.readline())
    return Step(
        loss=max(0.0, 1 - figures["received"] / max(1, figures["sent"])),
        p50_us=figures["p50_us"],
        p99_us=figures["p99_us"],
        cpu_us=figures["cpu_ns"] / 1000 / max(1, figures["received"]),
        waited=figures["wait_ns"] / figures["elapsed_ns"],
        kept_up=figures["sent"] > 0.98 * 100 * calls * plan.seconds,
    )


def passes(name: str, calls: int, plan: Plan) -> bool:
    """A failed step is repeated once: a neighbour's burst is not the relay's limit, and passing is as lucky."""
    return measure(name, calls, plan).passed or measure(name, calls, plan).passed


def most_calls(name: str, plan: Plan) -> int:
    """The largest number of calls within both bounds, by halving the ratio of a passing and a failing number."""
    low, high = FEWEST, MOST
    for _ in range(plan.search_steps):
        middle = round((low * high) ** 0.5)
        if passes(name, middle, plan):
            low = middle
        else:
            high = middle
    return low


def same_at_rtpengine(name: str) -> str:
    """The candidate that is rtpengine doing the same work; the plain one where there is none."""
    same = f"rtpengine, {name.partition(', ')[2]}"
    return same if same in RELAYS else "rtpengine"


def cpu_table(names: Sequence[str], calls: int, plan: Plan) -> list[str]:
    """CPU per packet and latency of every relay at one number of calls, in interleaved rounds."""
    steps: dict[str, list[Step]] = {name: [] for name in names}
    for _ in range(plan.rounds):
        for name in names:
            steps[name].append(measure(name, calls, plan))
            say(f"{calls} calls, {name}: {steps[name][-1]}")
    lines = [
        f"### {calls} calls",
        "",
        "| relay | CPU µs per packet | ratio to rtpengine at the same | ratio to ours, plain | p50 µs | p99 µs "
        "| waited for its core | loss |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        ratios, plain = (
            [a.cpu_us / b.cpu_us for a, b in zip(steps[name], steps[other], strict=True)]
            for other in (same_at_rtpengine(name), "ours")
        )
        lines.append(
            f"| {name} | {spread([s.cpu_us for s in steps[name]], '{:.2f}')} | {spread(ratios, '{:.2f}')} "
            f"| {spread(plain, '{:.2f}')} "
            f"| {spread([s.p50_us for s in steps[name]], '{:.0f}')} "
            f"| {spread([s.p99_us for s in steps[name]], '{:.0f}')} "
            f"| {spread([s.waited * 100 for s in steps[name]], '{:.1f}')} % "
            f"| {max(s.loss for s in steps[name]):.3%}{'' if all(s.kept_up for s in steps[name]) else ' (*)'} |"
        )
    return [*lines, ""]


def maximum_table(names: Sequence[str], plan: Plan) -> list[str]:
    """The most calls on one core, in interleaved rounds."""
    found: dict[str, list[int]] = {name: [] for name in names}
    for _ in range(plan.rounds):
        for name in names:
            found[name].append(most_calls(name, plan))
            say(f"most calls, {name}: {found[name][-1]}")
    lines = [
        "### Most calls on one core (loss < 0.1 % and p99 added latency < 20 ms)",
        "",
        "| relay | calls |",
        "|---|---|",
    ]
    lines += [f"| {name} | {spread(found[name], '{:.0f}')} |" for name in names]
    return [*lines, ""]


def main() -> None:
    """Builds the generator, measures, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="one short round, no search for the maximum, no report"
    )
    parser.add_argument("--skip-maximum", action="store_true", help="no search for the most calls")
    parser.add_argument(
        "--only",
        nargs="*",
        choices=list(RELAYS),
        help="the relays to compare with ours and rtpengine, plain and at the same work",
    )
    options = parser.parse_args()
    plan = QUICK if options.quick else replace(FULL, search_steps=0) if options.skip_maximum else FULL
    build = ["cargo", "build", "--release", "--quiet", "-p", "media-core", "--example", "relay_load"]
    subprocess.run([*build, "--no-default-features"], cwd=ROOT, check=True)
    only = options.only or list(RELAYS)
    wanted = {"ours", "rtpengine", *only, *map(same_at_rtpengine, only)}
    names = [name for name in RELAYS if name in wanted]
    report = [
        f"## {datetime.now(UTC):%Y-%m-%d}, {machine()}",
        "",
        f"{plan.rounds} interleaved rounds of {plan.seconds} s after {plan.warmup} s warm-up; minimum / **median** / "
        "maximum. (*) the generator fell behind: not the relay's figure. Loopback charges the receive path to the "
        "sender.",
        "",
    ]
    for calls in (200, 1_000):
        report += cpu_table(names, calls, plan)
    if plan.search_steps:
        report += maximum_table([name for name in names if "," not in name], plan)
    text = "\n".join(report)
    sys.stdout.write(text + "\n")
    if not options.quick:
        (ROOT / "benchmarks/relay_results.md").write_text(f"# RTP relay\n\n{text}")


if __name__ == "__main__":
    main()
