"""Whole calls through the B2BUA and its peers, SIPp on both sides: what they cost, and how many fit on one core.

The B2BUA writes its records and its INFO log, and opens four media ports for each call; no sound is sent. It has one
core and the load the other: run nothing else beside it. Sections, all of them without `--only`:

    cpu          CPU per call at a moderate rate, with and without a digest challenge toward the callee
    maximum      calls per second without a failure and without a message said twice
    concurrency  CPU per call while 100, 1,000 and 4,000 calls are up, at the same rate; the same with 100 and 10,000
                 calls on rtpengine, which leaves no audio port to this process (`ng_stand_in.py` answers in its place)
    memory       private memory of the process per call that is up
    added        from INVITE in to INVITE out, at half the maximum

Ours on PyPy is there once `scripts/install_pypy` has run. It compiles itself while it runs: each of its processes takes
20,000 calls first, which no table counts.

It writes `benchmarks/signalling_results.md`. With `--samples FILE` measurements are kept, and those of earlier runs are
reported too, for a machine that is quiet for minutes only.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from invite_probe import InviteProbe  # noqa: E402
from report import Samples, Table, heading, say, spread  # noqa: E402
from sip_load import Step, measure, stage  # noqa: E402
from sip_servers import ON_PYPY, ON_RTPENGINE, SERVERS  # noqa: E402

from tests.support.b2bua_process import PYPY  # noqa: E402

CHALLENGED = ", 401"
CANDIDATES = (
    "ours",
    "ours, 401",
    ON_PYPY,
    f"{ON_PYPY}, 401",
    "Asterisk",
    "Asterisk, 401",
    "sippy",
    "sippy, 401",
    "sippy with rtp.io",
    "Kamailio, a proxy",
)
OURS = CANDIDATES[:4]
CPU_RATE, CPU_SECONDS = 200, 6
"""Calls per second that every candidate can do, and seconds of load."""
SEARCHED = ("ours", "ours, 401", ON_PYPY, "Asterisk", "sippy", "sippy, 401")
SEARCH_STEPS, SEARCH_TRIES, SEARCH_SECONDS = 4, 3, 6
CONCURRENT = {"ours": (100, 1_000, 4_000), ON_RTPENGINE: (100, 10_000)}
"""Calls up at once; with four sockets each, 4,000 are near what 20,000 open files allow."""
CONCURRENT_RATE = {"ours": 250, ON_RTPENGINE: 200}
CONCURRENT_SECONDS = 8
HELD = {"ours": 4_000, ON_RTPENGINE: 10_000, ON_PYPY: 4_000, "sippy": 1_000, "sippy with rtp.io": 1_000}
HELD_RATE = 200
QUIET_SECONDS = 36
"""After the last call began, until its transactions are forgotten: 64*T1 and some."""
PROBES_PER_SECOND, PROBE_SECONDS = 50, 20
ADDED = ("ours", ON_PYPY)
DEFAULT_HALF = 300
"""Calls per second of `added` where `maximum` was not measured."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The result of a search."""

    calls_per_second: int
    cpu_ms: float
    """CPU per call at that rate."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Private memory of a process."""

    calls: int
    kib_per_call: float


@dataclass(frozen=True, slots=True)
class Added:
    """Time inside the server, microseconds."""

    calls_per_second: int
    probes: int
    p50_us: float
    p99_us: float


# -- measuring ---------------------------------------------------------------------------------------------------------


def measure_candidate(name: str, rate: int, seconds: int) -> Step:
    """One step of a server, challenged or not."""
    return measure(name.removesuffix(CHALLENGED), rate, seconds, challenges=name.endswith(CHALLENGED))


def most_calls(name: str, cpu_ms: float) -> Rate:
    """The highest clean rate, by halving the ratio of a passing and a failing one, around what the CPU allows."""
    low, high = Rate(round(350 / cpu_ms), cpu_ms), round(1050 / cpu_ms)
    # The CPU per call falls with the rate, and what was measured of it may have had a bad moment.
    while (found := clean_rate(name, high)) is not None:
        low, high = found, round(high * 1.4)
    for _ in range(SEARCH_STEPS):
        middle = round((low.calls_per_second * high) ** 0.5)
        if (found := clean_rate(name, middle)) is not None:
            low = found
        else:
            high = middle
    return low


def clean_rate(name: str, rate: int) -> Rate | None:
    """The rate, when most tries at it are clean: a neighbour's burst is no limit, and a lucky try no proof."""
    clean: list[float] = []
    failed = 0
    while max(len(clean), failed) <= SEARCH_TRIES // 2:
        step = measure_candidate(name, rate, SEARCH_SECONDS)
        say(f"    {rate} calls/s: {step}")
        if step.clean:
            clean.append(step.cpu_ms)
        else:
            failed += 1
    return Rate(rate, statistics.median(clean)) if len(clean) > failed else None


def measure_concurrent(server: str, calls: int) -> Step:
    """CPU per call at one rate, while so many calls are up: they last as long as that takes."""
    rate = CONCURRENT_RATE[server]
    hold = calls / rate
    # Each number of calls gets the same time to fill what is kept of ended calls and transactions.
    lead = max(CONCURRENT[server]) / rate + 2
    total = round(rate * (lead + CONCURRENT_SECONDS + 1))
    hold_ms = round(hold * 1000)
    with stage(server, longest_ms=hold_ms) as on, on.callers(total, rate, hold_ms) as callers:
        process, recorded = on.running.process, on.running.recorded
        assert recorded is not None
        time.sleep(lead)
        before, done, begun = process.cpu_seconds(), recorded(), time.monotonic()
        time.sleep(CONCURRENT_SECONDS)
        spent, ended, took = process.cpu_seconds() - before, recorded() - done, time.monotonic() - begun
        made = [caller.finished(hold + 60) for caller in callers]
        failed, repeated = on.finish(made)
    return Step(ended, failed, repeated, spent * 1000 / ended, spent / took)


def measure_memory(server: str) -> Memory:
    """Calls that are up, their transactions forgotten, against the same process before them."""
    calls = HELD[server]
    rate = HELD_RATE if server.startswith("ours") else HELD_RATE // 2
    ramp = calls / rate
    with stage(server) as on:
        before = on.running.process.memory()
        with on.callers(calls, rate, round((ramp + QUIET_SECONDS + 2) * 1000)):
            time.sleep(ramp + QUIET_SECONDS)
            used = on.running.process.memory() - before
    return Memory(calls, used / calls / 1024)


def measure_added(server: str, rate: int) -> Added:
    """The time an INVITE is inside our B2BUA while it has so many calls per second."""
    probe = InviteProbe()
    with stage(server, -(-rate // 600), extra={"probe": probe.address}) as on:
        calls = round(rate * (PROBE_SECONDS + 3))
        with on.callers(calls, rate, 200) as callers:
            time.sleep(1)
            probe.run(on.running.target, "probe", PROBES_PER_SECOND, PROBE_SECONDS)
            for caller in callers:
                caller.finished(60)
    probe.close()
    cuts = statistics.quantiles(probe.took_us, n=100)
    return Added(rate, len(probe.took_us), cuts[49], cuts[98])


# -- reporting ---------------------------------------------------------------------------------------------------------


def cpu_table(samples: Samples[Step]) -> Table:
    """CPU per call of every candidate, and what ours is of it."""
    rows = [
        [
            name,
            spread([step.cpu_ms for step in samples[name]], "{:.2f}"),
            *(
                spread(ratios(samples[ours], samples[name]), "{:.2f}") if ours in samples else ""
                for ours in OURS
            ),
            *troubles(samples[name]),
        ]
        for name in samples.names()
    ]
    shares = [f"{ours} is of it" for ours in OURS]
    return Table(["server", "CPU ms per call", *shares, *TROUBLES], rows)


def ratios(ones: Sequence[Step | Rate], others: Sequence[Step | Rate]) -> list[float]:
    """CPU per call of one against another, round by round."""
    return [one.cpu_ms / other.cpu_ms for one, other in zip(ones, others, strict=False)]


TROUBLES = ("failed", "repeated messages")


def troubles(steps: Sequence[Step]) -> list[str]:
    """What must be 0."""
    return [str(sum(step.failed for step in steps)), str(sum(step.repeated for step in steps))]


def maximum_table(samples: Samples[Rate]) -> Table:
    """The highest clean rates, and what a call costs there."""
    rows = [
        [
            name,
            spread([rate.calls_per_second for rate in samples[name]], "{:.0f}"),
            spread([rate.cpu_ms for rate in samples[name]], "{:.2f}"),
            *(
                spread(ratios(samples[ours], samples[name]), "{:.2f}") if ours in samples else ""
                for ours in OURS
            ),
        ]
        for name in samples.names()
    ]
    shares = [f"{ours} is of it" for ours in OURS]
    return Table(["server", "clean calls per second", "CPU ms per call then", *shares], rows)


def concurrent(server: str, calls: int) -> str:
    """The row of so many calls at once."""
    return f"{calls:,}" if server == "ours" else f"{calls:,} {server.removeprefix('ours, ')}"


def concurrency_table(samples: Samples[Step]) -> Table:
    """CPU per call by calls at once, and against the fewest of the same round."""
    rows = [
        [
            name,
            spread([step.cpu_ms for step in samples[name]], "{:.2f}"),
            spread(ratios(samples[name], samples[fewest]), "{:.2f}") if fewest in samples else "",
            *troubles(samples[name]),
        ]
        for server, numbers in CONCURRENT.items()
        for name in (concurrent(server, calls) for calls in numbers)
        if name in samples
        for fewest in [concurrent(server, numbers[0])]
    ]
    return Table(["calls at once", "CPU ms per call", "of the fewest", *TROUBLES], rows)


def memory_table(samples: Samples[Memory]) -> Table:
    """Memory per call."""
    rows = [
        [
            name,
            str(samples[name][0].calls),
            spread([memory.kib_per_call for memory in samples[name]], "{:.1f}"),
        ]
        for name in samples.names()
    ]
    return Table(["server", "calls up", "KiB per call"], rows)


def added_table(samples: Samples[Added]) -> Table:
    """Time from INVITE in to INVITE out."""
    rows = [
        [
            name,
            str(samples[name][-1].calls_per_second),
            str(sum(added.probes for added in samples[name])),
            spread([added.p50_us / 1000 for added in samples[name]], "{:.2f}"),
            spread([added.p99_us / 1000 for added in samples[name]], "{:.2f}"),
        ]
        for name in samples.names()
    ]
    return Table(["server", "calls/s", "INVITEs timed", "p50 ms", "p99 ms"], rows)


class Run:
    """The sections of one run, with what earlier ones left in the samples' file."""

    def __init__(self, file: Path | None) -> None:
        self.cpu = Samples(Step, "cpu", file)
        self.maximum = Samples(Rate, "maximum", file)
        self.concurrency = Samples(Step, "concurrency", file)
        self.memory = Samples(Memory, "memory", file)
        self.added = Samples(Added, "added", file)

    def measure(self, section: str, wanted: Collection[str]) -> None:
        """One round of a section, of the candidates that are wanted."""
        match section:
            case "cpu":
                for name in filter(wanted.__contains__, CANDIDATES):
                    self.cpu.add(name, measure_candidate(name, CPU_RATE, CPU_SECONDS))
            case "maximum":
                for name in filter(wanted.__contains__, SEARCHED):
                    self.maximum.add(name, most_calls(name, self._cpu_ms(name)))
            case "concurrency":
                for server in filter(wanted.__contains__, CONCURRENT):
                    for calls in CONCURRENT[server]:
                        self.concurrency.add(concurrent(server, calls), measure_concurrent(server, calls))
            case "memory":
                for server in filter(wanted.__contains__, HELD):
                    self.memory.add(server, measure_memory(server))
            case "added":
                for server in filter(wanted.__contains__, ADDED):
                    self.added.add(server, measure_added(server, self._half(server)))

    def _half(self, server: str) -> int:
        return self.maximum[server][-1].calls_per_second // 2 if server in self.maximum else DEFAULT_HALF

    def _cpu_ms(self, name: str) -> float:
        if name not in self.cpu:
            self.cpu.add(name, measure_candidate(name, CPU_RATE, CPU_SECONDS))
        return statistics.median(step.cpu_ms for step in self.cpu[name])

    def report(self) -> str:
        """All tables there are samples for."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        rates = " and ".join(f"{rate} calls/s ({server})" for server, rate in CONCURRENT_RATE.items())
        rounds = "minimum / **median** / maximum of the rounds"
        parts = [
            f"# Signalling\n\n## {heading()}\n\nOpen files: {soft}, at most {hard}. Tables show {rounds}.\n"
        ]
        tables: list[tuple[str, object, Callable[[], Table]]] = [
            (
                f"CPU per call at {CPU_RATE} calls/s, {CPU_SECONDS} s each",
                self.cpu,
                lambda: cpu_table(self.cpu),
            ),
            ("Clean calls per second on one core", self.maximum, lambda: maximum_table(self.maximum)),
            (
                f"Calls at once, {rates}, each as long as that takes",
                self.concurrency,
                lambda: concurrency_table(self.concurrency),
            ),
            ("Private memory per call", self.memory, lambda: memory_table(self.memory)),
            ("INVITE in to INVITE out, at half the maximum", self.added, lambda: added_table(self.added)),
        ]
        parts += [f"### {title}\n\n{table()}" for title, samples, table in tables if samples]
        return "\n".join(parts)


def installed() -> list[str]:
    """The candidates without ours on PyPy where there is none."""
    return [name for name in (*CANDIDATES, ON_RTPENGINE) if PYPY.exists() or not name.startswith(ON_PYPY)]


SECTIONS = ("cpu", "maximum", "concurrency", "memory", "added")


def main() -> None:
    """Measures and writes the report."""
    assert set(HELD) <= set(SERVERS)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--candidates", nargs="+", choices=[*CANDIDATES, ON_RTPENGINE], default=installed())
    parser.add_argument(
        "--samples", type=Path, metavar="FILE", help="keep measurements, report earlier ones too"
    )
    parser.add_argument("--quick", action="store_true", help="one round of cpu, no report written")
    options = parser.parse_args()
    run = Run(options.samples)
    for _ in range(1 if options.quick else options.rounds):
        for section in ["cpu"] if options.quick else options.only:
            run.measure(section, options.candidates)
    text = run.report()
    sys.stdout.write(text)
    if not options.quick:
        (ROOT / "benchmarks/signalling_results.md").write_text(text)


if __name__ == "__main__":
    main()
