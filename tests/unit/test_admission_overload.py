"""Overload control against a model of the server: the loop saturates, the level finds what it can do.

The model's server has a capacity in calls a second. A call costs most of its work at once and the rest later; refusing
costs a share of it; what the kernel's buffer cannot hold is lost and comes again after half a second. With a large
buffer it shows as datagrams that wait, with a small one as a core without rest.
"""

from __future__ import annotations

from collections import Counter

import pytest

from b2bua.admission import Load, Overload
from b2bua.admission.overload import MIN_LEVEL

CAPACITY = 1000.0
REFUSING = 0.07
"""What a refusal costs, in calls."""
PARTS = ((0.0, 0.6), (1.0, 0.25), (4.0, 0.15))
"""When a call causes work, in seconds from its INVITE, and how much."""
STEP = 0.005
SMALL_BUFFER, LARGE_BUFFER = 0.03, 0.5
"""Seconds of work that the kernel's buffer holds."""
LONG_WAIT = 0.05
"""Seconds that work has waited when the loop is behind."""


class Server:
    """The model."""

    def __init__(self, buffer: float = SMALL_BUFFER, core: float = 1.0) -> None:
        """`core` is the share of the core that it gets; what it does with it is its capacity."""
        self._buffer = buffer
        self._core = core
        self._shortest_backlog = 0.0
        self._lost = False
        self.overload = Overload()
        self.now = 0.0
        self.started: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.levels: list[float | None] = []
        self._step = 0
        self._backlog = 0.0
        self._used = 0.0
        self._later: Counter[int] = Counter()
        self._again: dict[int, Counter[str]] = {}
        self._owed: Counter[str] = Counter()

    def run(self, seconds: float, offered: dict[str, float]) -> None:
        """Let that much time go by under that many calls a second."""
        for _ in range(round(seconds / STEP)):
            self._step += 1
            self.now = self._step * STEP
            self._backlog += self._later.pop(self._step, 0)
            arrivals = self._again.pop(self._step, Counter())
            for trunk, rate in offered.items():
                self._owed[trunk] += rate * STEP  # type: ignore[assignment]
                arrivals[trunk] += int(self._owed[trunk])
                self._owed[trunk] -= int(self._owed[trunk])
            for trunk, count in arrivals.items():
                for _ in range(count):
                    self._arrive(trunk)
            self._shortest_backlog = min(self._shortest_backlog, self._backlog)
            done = min(self._backlog, STEP)
            self._backlog -= done
            self._used += done
            if self._step % 20 == 0:
                behind = self._buffer == LARGE_BUFFER and (self._lost or self._shortest_backlog > LONG_WAIT)
                self.overload.measured(Load(0.0, self._core * self._used / 0.1, behind), self.now)
                self.levels.append(self.overload.level)
                self._used, self._lost, self._shortest_backlog = 0.0, False, self._backlog

    def _arrive(self, trunk: str) -> None:
        if self._backlog > self._buffer:
            self._lost = True
            self._again.setdefault(self._step + round(0.5 / STEP), Counter())[trunk] += 1
        elif self.overload.admits(trunk, self.now):
            self.started[trunk] += 1
            self._backlog += PARTS[0][1] / CAPACITY
            for delay, work in PARTS[1:]:
                self._later[self._step + round(delay / STEP)] += work / CAPACITY  # type: ignore[assignment]
        else:
            self.refused[trunk] += 1
            self._backlog += REFUSING / CAPACITY


@pytest.fixture
def server() -> Server:
    return Server()


def test_nobody_is_refused_below_the_capacity(server: Server) -> None:
    server.run(30, {"acme": 0.9 * CAPACITY})

    assert server.refused["acme"] == 0
    assert not any(server.levels)


def test_at_twice_the_load_four_fifths_of_the_peak_rate_go_through(server: Server) -> None:
    server.run(10, {"acme": 2 * CAPACITY})
    before = server.started["acme"]
    server.run(30, {"acme": 2 * CAPACITY})

    rate = (server.started["acme"] - before) / 30
    assert 0.8 * CAPACITY <= rate <= CAPACITY


@pytest.mark.parametrize("times", [1.02, 1.05, 1.1, 1.2, 1.4])
@pytest.mark.parametrize(
    ("buffer", "core"), [(SMALL_BUFFER, 1.0), (LARGE_BUFFER, 1.0), (LARGE_BUFFER, 0.94), (LARGE_BUFFER, 0.65)]
)
def test_a_little_beyond_the_capacity_nine_tenths_of_it_go_through(
    times: float, buffer: float, core: float
) -> None:
    """From the first second on: an overload that begins and ends must not cost more than it saves."""
    server = Server(buffer, core)
    server.run(5, {"acme": 0.9 * CAPACITY})
    before = server.started["acme"]
    server.run(20, {"acme": times * CAPACITY})

    assert server.refused["acme"] > 0
    assert (server.started["acme"] - before) / 20 >= 0.9 * CAPACITY


@pytest.mark.parametrize("core", [1.0, 0.94, 0.65])
def test_at_twice_the_load_four_fifths_go_through_where_datagrams_wait(core: float) -> None:
    server = Server(LARGE_BUFFER, core)
    server.run(10, {"acme": 2 * CAPACITY})
    before = server.started["acme"]
    server.run(30, {"acme": 2 * CAPACITY})

    assert (server.started["acme"] - before) / 30 >= 0.8 * CAPACITY


def test_a_quiet_trunk_pays_nothing_for_a_loud_one(server: Server) -> None:
    server.run(30, {"loud": 2 * CAPACITY, "quiet": 20})

    assert server.overload.active
    assert server.refused["quiet"] == 0
    assert server.refused["loud"] > 10 * CAPACITY


def test_two_loud_trunks_get_the_same(server: Server) -> None:
    server.run(10, {"one": 3 * CAPACITY, "two": CAPACITY})
    server.started.clear()
    server.run(30, {"one": 3 * CAPACITY, "two": CAPACITY})

    assert server.started["one"] / server.started["two"] == pytest.approx(1.0, abs=0.1)


def test_it_ends_when_the_load_does(server: Server) -> None:
    server.run(20, {"acme": 2 * CAPACITY})
    began = server.overload.active
    assert began
    server.run(10, {"acme": 0.3 * CAPACITY})
    assert not server.overload.active
    before = server.refused["acme"]
    server.run(5, {"acme": 0.3 * CAPACITY})
    assert server.refused["acme"] == before


def test_a_loop_that_is_late_is_overloaded_though_it_uses_little_cpu() -> None:
    overload = Overload()
    now = 0.0
    for _ in range(30):
        now += 0.1
        overload.admits("acme", now)
        overload.measured(Load(lag=0.3, busy=0.1), now)

    assert overload.active


def test_a_loop_that_never_catches_up_is_overloaded_though_it_is_neither_late_nor_busy() -> None:
    """It shares its core with others, so that its own CPU time tells nothing."""
    overload = Overload()
    for tick in range(1, 4):
        assert not overload.active
        overload.admits("acme", tick / 10)
        overload.measured(Load(lag=0.0, busy=0.6, behind=True), tick / 10)

    assert overload.active


@pytest.mark.parametrize("stall", [0.3, 0.5, 10.0])
def test_one_hiccup_is_not_overload(stall: float) -> None:
    """A machine that stood still, for however long: what waited is dealt with once it goes on."""
    overload = Overload()
    for tick in range(1, 31):
        overload.measured(
            Load(lag=stall, busy=1.0, behind=True) if tick % 10 == 1 else Load(0.0, 0.3), tick / 10
        )

    assert not overload.active


def test_however_bad_it_is_each_trunk_may_start_some_calls() -> None:
    overload = Overload()
    started = 0
    for tick in range(1, 601):
        overload.measured(Load(lag=5.0, busy=1.0), tick / 10)
        started += sum(overload.admits("acme", tick / 10) for _ in range(50))

    assert overload.level == MIN_LEVEL
    assert started >= 60 * MIN_LEVEL
