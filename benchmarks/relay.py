"""The RTP relay against rtpengine and a bare epoll loop in C, and whole servers with audio against Kamailio with it.

It measures and writes `relay_results.md`, in about half an hour. Sections, all of them without `--sections`:

    cpu      CPU per packet at 200 and 1,000 calls
    maximum  how many calls fit one core, the CPU per packet then, and the latency at half of them
    flood    the latency of 100 calls while one more gets 50,000 packets per second, from its peer or from a stranger
    calls    share of a core of each of 200 calls that are up through a SIP server, all its processes counted

`--quick` takes one short round of cpu, for a look, and writes nothing. With `--samples FILE` measurements are kept, and
those of earlier runs reported too, for a machine that is quiet for minutes only.
Candidates take turns within each round; tables show medians with minimum and maximum. A call is two directions of 50
packets per second, 172 octets. The relay has one core and the load the other: run nothing else beside it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from called_relays import CALLED
from relays import GENERATOR, RELAYS, ROOT, Relay, build
from report import Samples, Table, heading, spread

RELAY_CORE, LOAD_CORE = 1, 0
MAX_LOSS, MAX_P99_US = 0.001, 20_000
FEWEST, MOST = 800, 4_800
"""Where the search for the maximum looks; the open-file limit is near the upper end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How thorough a run is. In the warm-up rtpengine still learns addresses, and ours connects sockets."""

    warmup: int
    seconds: int
    search_steps: int


FULL = Plan(warmup=4, seconds=4, search_steps=5)
QUICK = Plan(warmup=4, seconds=3, search_steps=0)
SEARCHED = (
    "ours",
    "ours, transcoding",
    "ours, SRTP one side",
    "rtpengine",
    "rtpengine, SRTP one side",
    "bare epoll",
)
FLOODED = ("ours", "rtpengine", "bare epoll")
FLOOD_RATE, FLOOD_CALLS = 50_000, 100
"""Packets per second to one side of one call, and the other calls, which are measured."""
CALLS = 200


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
    core: float = 0.0
    """How much of its core the relay used, 0..1."""
    punctual_p99_us: int = 0
    """The p99 without what the generator sent late, in a burst."""

    @property
    def passed(self) -> bool:
        """Within both bounds: socket buffers hide overload from the loss alone."""
        return self.kept_up and self.loss < MAX_LOSS and self.p99_us < MAX_P99_US


@dataclass(frozen=True, slots=True)
class Most:
    """The result of a search."""

    calls: int


def measure_relay(name: str, calls: int, plan: Plan) -> Step:
    """Runs a relay of `RELAYS` with this many calls."""
    return measure(RELAYS[name], calls, plan, "PCMA" if name.endswith(", transcoding") else "PCMU")


def measure(relay: Relay, calls: int, plan: Plan, law: str = "PCMU", flood: Sequence[str] = ()) -> Step:
    """Runs a relay with this many calls, the callee's in this law.

    With `flood`, of whom and how many packets per second, it has one more, which gets those and is not counted.
    """
    settings = [str(plan.warmup), str(plan.seconds), law, *flood]
    command = ["taskset", "-c", str(LOAD_CORE), str(GENERATOR), *settings]
    opened = calls + 1 if flood else calls
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as generator:
        assert generator.stdin is not None
        assert generator.stdout is not None
        sources = generator.stdout.readline().split()
        # The generator gives stream n its socket n modulo the number of sockets; a call is two streams.
        peers = [(sources[2 * n % len(sources)], sources[(2 * n + 1) % len(sources)]) for n in range(opened)]
        with relay(RELAY_CORE, peers) as running:
            sides = "".join(f"{a} {b}\n" for a, b in running.sides)
            generator.stdin.write(f"{' '.join(map(str, running.pids))}\n{sides}\n")
            generator.stdin.flush()
            figures = json.loads(generator.stdout.readline())
    owed = int(flood[1]) * plan.seconds if flood else 0
    return Step(
        loss=max(0.0, 1 - figures["received"] / max(1, figures["sent"])),
        p50_us=figures["p50_us"],
        p99_us=figures["p99_us"],
        cpu_us=figures["cpu_ns"] / 1000 / max(1, figures["received"]),
        waited=figures["wait_ns"] / figures["elapsed_ns"],
        kept_up=figures["sent"] > 0.98 * 100 * calls * plan.seconds and figures["flooded"] >= 0.98 * owed,
        core=figures["cpu_ns"] / figures["elapsed_ns"],
        punctual_p99_us=figures["punctual_p99_us"],
    )


def passes(name: str, calls: int, plan: Plan) -> bool:
    """A failed step is repeated once: a neighbour's burst is not the relay's limit, and passing is as lucky."""
    return measure_relay(name, calls, plan).passed or measure_relay(name, calls, plan).passed


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


def ratios(ones: Sequence[Step], others: Sequence[Step]) -> list[float]:
    """CPU per packet of one against another, round by round."""
    return [one.cpu_us / other.cpu_us for one, other in zip(ones, others, strict=False)]


def cpu_table(samples: Samples[Step]) -> Table:
    """CPU per packet and latency of every relay at one number of calls."""
    rows = []
    for name in samples.names():
        steps = samples[name]
        rows.append(
            [
                name,
                spread([step.cpu_us for step in steps], "{:.2f}"),
                *(
                    spread(ratios(steps, samples[other]), "{:.2f}") if other in samples else ""
                    for other in (same_at_rtpengine(name), "ours", "bare epoll")
                ),
                spread([step.p50_us for step in steps], "{:.0f}"),
                *p99s(steps),
                *waited_and_lost(steps),
            ]
        )
    columns = [
        "relay",
        "CPU µs per packet",
        "of rtpengine's at the same",
        "of ours, plain",
        "of bare epoll's",
    ]
    return Table([*columns, "p50 µs", "p99 µs", PUNCTUAL, "waited for its core", "loss"], rows)


def maximum_table(most: Samples[Most], full: Samples[Step], half: Samples[Step]) -> Table:
    """The most calls on one core, what a packet costs then, and the latency at half of them."""
    rows = [
        [
            name,
            spread([found.calls for found in most[name]], "{:.0f}"),
            spread([step.cpu_us for step in full[name]], "{:.2f}"),
            *(
                spread(ratios(full[name], full[other]), "{:.2f}") if other in full else ""
                for other in (same_at_rtpengine(name), "bare epoll")
            ),
            *p99s(half[name]),
            spread([step.waited * 100 for step in half[name]], "{:.1f}") + " %",
        ]
        for name in most.names()
    ]
    columns = [
        "relay",
        "calls",
        "CPU µs per packet then",
        "of rtpengine's at its most",
        "of bare epoll's at its most",
    ]
    return Table([*columns, "p99 µs at half of them", PUNCTUAL, "waited for its core then"], rows)


def flood_table(samples: Samples[Step]) -> Table:
    """What the other calls of a relay feel of a flood."""
    rows = [
        [
            name,
            spread([step.p50_us for step in steps], "{:.0f}"),
            spread([step.p99_us for step in steps], "{:.0f}"),
            spread([step.core * 100 for step in steps], "{:.0f}") + " %",
            *waited_and_lost(steps),
        ]
        for name in samples.names()
        if (steps := samples[name])
    ]
    return Table(["relay, flooded by", "p50 µs", "p99 µs", "core used", "waited for its core", "loss"], rows)


def calls_table(samples: Samples[Step]) -> Table:
    """What a call with audio costs, and what ours does of it."""
    rows = [
        [
            name,
            spread([step.core * 100 / CALLS for step in steps], "{:.4f}") + " %",
            spread(ratios(samples["ours"], steps), "{:.2f}") if "ours" in samples else "",
            spread([step.p50_us for step in steps], "{:.0f}"),
            spread([step.p99_us for step in steps], "{:.0f}"),
            *waited_and_lost(steps),
        ]
        for name in samples.names()
        if (steps := samples[name])
    ]
    columns = ["server", "of a core per call", "ours is of it", "p50 µs", "p99 µs"]
    return Table([*columns, "waited for its core", "loss"], rows)


PUNCTUAL = "without packets sent late"


def p99s(steps: Sequence[Step]) -> list[str]:
    """The p99 of all packets, and of those that the generator sent in time."""
    return [
        spread([step.p99_us for step in steps], "{:.0f}"),
        spread([step.punctual_p99_us for step in steps], "{:.0f}"),
    ]


def waited_and_lost(steps: Sequence[Step]) -> list[str]:
    """The last two cells of most tables."""
    behind = "" if all(step.kept_up for step in steps) else " (*)"
    return [
        spread([step.waited * 100 for step in steps], "{:.1f}") + " %",
        f"{max(step.loss for step in steps):.3%}{behind}",
    ]


class Run:
    """The sections of one run, with what earlier ones left in the samples' file."""

    def __init__(self, plan: Plan, file: Path | None) -> None:
        self._plan = plan
        self.loads = {calls: Samples(Step, f"{calls} calls", file) for calls in (200, 1_000)}
        self.most = Samples(Most, "maximum", file)
        self.full = Samples(Step, "full", file)
        self.half = Samples(Step, "half", file)
        self.flood = Samples(Step, "flood", file)
        self.calls = Samples(Step, "calls", file)

    def measure(self, section: str, wanted: Sequence[str]) -> None:
        """One round of a section, of the relays that are wanted."""
        match section:
            case "cpu":
                for calls, samples in self.loads.items():
                    for name in wanted:
                        samples.add(name, measure_relay(name, calls, self._plan))
            case "maximum":
                for name in filter(wanted.__contains__, SEARCHED):
                    most = most_calls(name, self._plan)
                    self.most.add(name, Most(most))
                    self.full.add(name, measure_relay(name, most, self._plan))
                    self.half.add(name, measure_relay(name, most // 2, self._plan))
            case "flood":
                for name in filter(wanted.__contains__, FLOODED):
                    for who in ("nobody", "peer", "stranger"):
                        flood = [who, str(FLOOD_RATE)] if who != "nobody" else []
                        step = measure(RELAYS[name], FLOOD_CALLS, self._plan, flood=flood)
                        self.flood.add(f"{name}, {who}", step)
            case "calls":
                for name, server in CALLED.items():
                    self.calls.add(name, measure(server, CALLS, self._plan))

    def report(self) -> str:
        """All tables there are samples for."""
        plan = self._plan
        parts = [
            f"# RTP relay\n\n## {heading()}\n\nRounds of {plan.seconds} s after {plan.warmup} s warm-up; minimum / "
            "**median** / maximum. (*) the generator fell behind: not the relay's figure. Loopback charges the receive "
            "path to the sender.\n"
        ]
        parts += [f"### {calls} calls\n\n{cpu_table(taken)}" for calls, taken in self.loads.items() if taken]
        if self.most:
            bounds = "loss < 0.1 % and p99 added latency < 20 ms"
            parts.append(
                f"### Most calls on one core ({bounds})\n\n{maximum_table(self.most, self.full, self.half)}"
            )
        if self.flood:
            title = f"{FLOOD_CALLS} calls while one more gets {FLOOD_RATE:,} packets per second"
            parts.append(f"### {title}\n\n{flood_table(self.flood)}")
        if self.calls:
            parts.append(f"### {CALLS} calls through a SIP server\n\n{calls_table(self.calls)}")
        return "\n".join(parts)


SECTIONS = ("cpu", "maximum", "flood", "calls")


def main() -> None:
    """Builds what it needs, measures, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round of cpu, no report written")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only",
        nargs="*",
        choices=list(RELAYS),
        help="the relays to compare, `calls` aside: `cpu` with ours and rtpengine, plain and at the same work",
    )
    parser.add_argument(
        "--samples", type=Path, metavar="FILE", help="keep measurements, report earlier ones too"
    )
    options = parser.parse_args()
    build()
    only = list(RELAYS) if options.only is None else options.only
    wanted = {"ours", "rtpengine", *only, *map(same_at_rtpengine, only)}
    names = [name for name in RELAYS if name in wanted]
    run = Run(QUICK if options.quick else FULL, options.samples)
    for _ in range(1 if options.quick else options.rounds):
        for section in ["cpu"] if options.quick else options.sections:
            run.measure(section, names if section == "cpu" else only)
    text = run.report()
    sys.stdout.write(text)
    if not options.quick:
        (ROOT / "benchmarks/relay_results.md").write_text(text)


if __name__ == "__main__":
    main()
