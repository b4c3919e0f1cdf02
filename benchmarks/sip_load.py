"""SIPp on both sides of a server: the load of `signalling.py` and `overload.py`, and what a run of it shows.

INVITE 100 180 200 ACK, a pause, BYE 200, no sound. SIPp has one core and the server the other.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from report import say
from sip_servers import (
    LOAD_CORE,
    ON_PYPY,
    PASSWORD,
    SERVERS,
    USER,
    Running,
    callee_scenario,
    caller_scenario,
)

from tests.support.processes import PeerError
from tests.support.sipp import Sipp, SippCounters, sipp_callee, sipp_caller

PER_SIPP = 600
"""Calls per second of one SIPp process; beyond about a thousand its own repetitions look like the server's."""
WARM_UP = 20
"""Calls before anything is measured: imports, caches, the record file."""
LONG_WARM_UPS = {ON_PYPY: ((100, 1_500), (200, 6_000), (400, 12_500))}
"""Calls per second and calls of servers that compile what they run, while they run it. What fails there is not counted:
the first thousands of calls take three times as long, and some are refused for overload."""
WARM_UP_PLACE = "warm-up"
HOLD_MS = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement at one rate."""

    calls: int
    failed: int
    """Calls that either side counts as failed or missed, or that have no record where records are written."""
    repeated: int
    """Messages repeated by or to either side."""
    cpu_ms: float
    """CPU time of the server per call, user and system, in milliseconds."""
    core: float
    """How much of its core the server used while the load ran, 0..1."""

    @property
    def clean(self) -> bool:
        """No call failed and nothing was said twice."""
        return self.failed == 0 and self.repeated == 0


class Stage:
    """A server with SIPp callees behind it, and SIPp callers to be sent to it."""

    def __init__(self, server: str, folder: Path, running: Running, callees: list[Sipp]) -> None:
        self.running = running
        self._server = server
        self._folder = folder
        self._callees = callees
        self._made = 0
        self._recorded_before = 0

    @contextmanager
    def callers(
        self, calls: int, rate: float, hold_ms: int, scenario: Path | str | None = None
    ) -> Iterator[list[Sipp]]:
        """As many callers as callees, together making so many calls at so many a second."""
        count = len(self._callees)
        self._made += calls // count * count
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    sipp_caller(
                        self._folder,
                        self.running.target,
                        scenario or caller_scenario(self._server, self._folder),
                        name=f"caller-{n}",
                        service=f"desk-{n}",
                        calls=calls // count,
                        rate=rate / count,
                        call_length_ms=hold_ms,
                        cpus=[LOAD_CORE],
                    )
                )
                for n in range(count)
            ]

    def run(self, calls: int, rate: float, hold_ms: int = HOLD_MS) -> list[SippCounters]:
        """Make calls to their end; what the callers counted."""
        with self.callers(calls, rate, hold_ms) as callers:
            return [caller.finished(calls / rate + hold_ms / 1000 + 60) for caller in callers]

    def warm_up(self, callee: Sipp) -> None:
        """Make the calls that a server which compiles itself needs first, to a callee of their own."""
        for rate, calls in LONG_WARM_UPS[self._server]:
            scenario = caller_scenario(self._server, self._folder)
            caller = sipp_caller(
                self._folder,
                self.running.target,
                scenario,
                name=f"warm-up-{rate}",
                service=WARM_UP_PLACE,
                calls=calls,
                rate=rate,
                call_length_ms=HOLD_MS,
                cpus=[LOAD_CORE],
            )
            with caller:
                caller.finished(calls / rate + 60)
        callee.finish()
        if self.running.recorded is not None:
            time.sleep(1)  # The records are written by a thread.
            self._recorded_before = self.running.recorded()

    def finish(self, made: list[SippCounters]) -> tuple[int, int]:
        """After the last call: the failed calls of all that were made, and the messages repeated.

        `made` are the counters of the callers after the warm-up.
        """
        if self.running.process.returncode is not None:
            raise PeerError(
                f"the server ended with {self.running.process.returncode}: {self.running.process.tail()}"
            )
        taken = [callee.finish() for callee in self._callees]
        self.running.process.stop()
        warm = self._made - sum(counters.created for counters in made)
        missed = [
            self._made - warm - sum(counters.successful for counters in made),
            self._made - sum(counters.successful for counters in taken),
        ]
        if self.running.recorded is not None:
            missed.append(self._made + self._recorded_before - self.running.recorded())
        if max(missed):
            warnings = [line for line in self.running.process.errors.splitlines() if '"warning"' in line]
            say(f"    {missed} calls failed; the server's first warnings: {warnings[:3]}")
        return max(missed), sum(counters.repeated for counters in [*made, *taken])


@contextmanager
def stage(
    server: str,
    callees: int = 1,
    *,
    challenges: bool = False,
    extra: Mapping[str, str] | None = None,
    longest_ms: int = HOLD_MS,
) -> Iterator[Stage]:
    """A server at work with so many callees; `challenges`: they ask for digest credentials, with 401 and MD5.

    Calls last up to `longest_ms`. `extra` are places of our own B2BUA beyond those: names and addresses (HOST:PORT).
    """
    keys = {"username": USER, "password": PASSWORD}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        scenario = callee_scenario(server, folder, challenges=challenges)
        sipps = [
            stack.enter_context(
                sipp_callee(
                    *(folder, scenario),
                    name=f"callee-{n}",
                    call_length_ms=longest_ms,
                    keys=keys,
                    cpus=[LOAD_CORE],
                )
            )
            for n in range(callees)
        ]
        places = {f"desk-{n}": sipp.address for n, sipp in enumerate(sipps)} | dict(extra or {})
        if server in LONG_WARM_UPS:
            first = sipp_callee(folder, scenario, name=WARM_UP_PLACE, keys=keys, cpus=[LOAD_CORE])
            places[WARM_UP_PLACE] = stack.enter_context(first).address
        running = stack.enter_context(SERVERS[server](folder, places))
        made = Stage(server, folder, running, sipps)
        if server in LONG_WARM_UPS:
            made.warm_up(first)
        made.run(WARM_UP * callees, WARM_UP * callees)
        yield made


def measure(server: str, rate: int, seconds: int, *, challenges: bool = False) -> Step:
    """Short calls at `rate` a second for so many seconds, through a server of their own."""
    callees = -(-rate // PER_SIPP)
    calls = rate * seconds // callees * callees
    with stage(server, callees, challenges=challenges) as on:
        process = on.running.process
        before, begun = process.cpu_seconds(), time.monotonic()
        made = on.run(calls, rate)
        spent, took = process.cpu_seconds() - before, time.monotonic() - begun
        failed, repeated = on.finish(made)
    return Step(calls, failed, repeated, spent * 1000 / calls, spent / took)
