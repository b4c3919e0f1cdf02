"""When the collector of circles looks: not while calls are up, unless there is more than they explain."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Coroutine, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from b2bua import garbage, runtime
from b2bua.app import Application
from b2bua.garbage import GarbageWatch
from tests.support.config_files import MAIN, ConfigFiles
from tests.support.virtual_loop import run_virtual


class Heap:
    """A process, and CPython's collector as far as it is used."""

    def __init__(self) -> None:
        self.calls = 0
        self.transactions = 0
        self.memory = 70 * 2**20
        self.made = 0
        """Containers made and not freed since the last look."""
        self.garbage = 0
        """How many of them are in circles that nobody uses."""
        self.set_aside = 0
        """Garbage that no look finds."""
        self.looks = 0
        """At everything."""
        self._by_itself = False

    def rests(self) -> bool:
        return not self._by_itself

    def enable(self) -> None:
        self._by_itself = True

    def disable(self) -> None:
        self._by_itself = False

    def collect(self) -> int:
        self.looks += 1
        found, self.made, self.garbage = self.garbage, 0, 0
        return found

    def freeze(self) -> None:
        self.set_aside += self.garbage
        self.made = self.garbage = 0

    def unfreeze(self) -> None:
        self.garbage += self.set_aside
        self.set_aside = 0

    def get_count(self) -> tuple[int, int, int]:
        return self.made, 0, 0

    def leave_garbage(self, count: int) -> None:
        self.made += count
        self.garbage += count


class Watched:
    """A heap and what looks after it, in virtual time."""

    def __init__(self) -> None:
        self.heap = Heap()
        self.watch = GarbageWatch(
            lambda: self.heap.calls,
            lambda: self.heap.transactions,
            collector=self.heap,
            memory=lambda: self.heap.memory,
        )
        self.logged: list[MutableMapping[str, Any]] = []

    def run(self, story: Coroutine[Any, Any, None]) -> None:
        async def watched() -> None:
            self.watch.start()
            await story
            self.watch.stop()

        with capture_logs() as self.logged:
            run_virtual(watched())

    def events(self) -> list[str]:
        return [entry["event"] for entry in self.logged]


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_transactions_that_linger_behind_short_calls_are_no_reason_to_look(watched: Watched) -> None:
    """Found at 900 calls/s of 0.2 s: three transactions of each live on for 32 s."""
    heap = watched.heap

    async def story() -> None:
        heap.calls, heap.transactions = 190, 86_000
        heap.made = 190 * 143 + 86_000 * 4 + 30_000
        await asyncio.sleep(5)
        assert heap.rests()
        heap.made += 190 * garbage.OF_A_CALL + 86_000 * 4 + garbage.TOO_MANY
        await asyncio.sleep(5)
        assert not heap.rests()

    watched.run(story())
    assert watched.events() == ["garbage_suspected"]


def test_the_containers_of_calls_are_no_reason_to_look(watched: Watched) -> None:
    """Of calls on rtpengine there are twice as many. Found with 8,000 of them."""
    heap = watched.heap

    async def story() -> None:
        for _ in range(100):
            heap.calls += 80
            heap.made += 80 * 284
            await asyncio.sleep(2)
        assert heap.rests()

    watched.run(story())
    assert heap.looks == 0
    assert not heap.rests(), "left to itself when the process ends"


def test_it_looks_once_when_no_call_has_been_up_for_a_while(watched: Watched) -> None:
    heap = watched.heap

    async def story() -> None:
        heap.calls = 1
        heap.leave_garbage(20_000)
        await asyncio.sleep(300)
        heap.calls = 0
        await asyncio.sleep(30)
        heap.calls = 1
        await asyncio.sleep(2)
        heap.calls = 0
        await asyncio.sleep(garbage.QUIET_SECONDS - 1.5)
        assert heap.looks == 0
        await asyncio.sleep(3)
        assert heap.looks == 1
        await asyncio.sleep(1000)

    watched.run(story())
    assert heap.looks == 1
    [entry] = watched.logged
    assert entry["event"] == "garbage_collected"
    assert (entry["why"], entry["found"], entry["calls"]) == ("quiet", 20_000, 0)


def test_what_is_not_worth_a_look_stays(watched: Watched) -> None:
    async def story() -> None:
        watched.heap.leave_garbage(garbage.WORTH_A_LOOK - 1)
        await asyncio.sleep(10_000)

    watched.run(story())
    assert watched.heap.looks == 0


def test_when_calls_do_not_explain_what_there_is_the_collector_looks_at_what_is_new(watched: Watched) -> None:
    """A look at everything would hold up the calls."""
    heap = watched.heap

    async def story() -> None:
        heap.calls = 100
        heap.made = 100 * garbage.OF_A_CALL
        await asyncio.sleep(3600)
        heap.leave_garbage(garbage.TOO_MANY - 1)
        await asyncio.sleep(10)
        assert heap.rests()
        heap.leave_garbage(1)
        await asyncio.sleep(2)
        assert not heap.rests()
        assert heap.set_aside == garbage.TOO_MANY
        await asyncio.sleep(garbage.SUSPICION_SECONDS - 10)
        assert not heap.rests()
        await asyncio.sleep(20)
        assert heap.rests()

    watched.run(story())
    assert heap.looks == 0
    [entry] = watched.logged
    assert (entry["event"], entry["log_level"], entry["calls"]) == ("garbage_suspected", "warning", 100)


def test_what_was_set_aside_is_freed_when_no_call_is_up(watched: Watched) -> None:
    heap = watched.heap

    async def story() -> None:
        heap.calls = 1
        heap.leave_garbage(2 * garbage.TOO_MANY)
        await asyncio.sleep(5)
        assert not heap.rests()
        heap.calls = 0
        await asyncio.sleep(garbage.QUIET_SECONDS + 2)
        assert heap.rests()
        await asyncio.sleep(1000)

    watched.run(story())
    assert (heap.looks, heap.set_aside, heap.garbage) == (1, 0, 0)
    assert watched.logged[-1]["found"] == 2 * garbage.TOO_MANY


def test_calls_wait_for_a_look_at_everything_only_when_memory_has_doubled(watched: Watched) -> None:
    heap = watched.heap
    allowed = 2 * heap.memory + garbage.MEMORY_SLACK + 100 * garbage.MEMORY_OF_A_CALL

    async def story() -> None:
        heap.calls = 100
        heap.leave_garbage(2 * garbage.TOO_MANY)
        await asyncio.sleep(5)
        heap.leave_garbage(500)
        heap.memory = allowed
        await asyncio.sleep(100)
        assert (heap.looks, heap.rests()) == (0, False)
        heap.memory += 1
        await asyncio.sleep(2)
        assert (heap.looks, heap.rests()) == (1, True)
        # It was alive: the next look is due when that has doubled.
        await asyncio.sleep(10_000)

    watched.run(story())
    assert (heap.looks, heap.set_aside, heap.garbage) == (1, 0, 0)
    entry = watched.logged[-1]
    assert (entry["why"], entry["calls"], entry["found"]) == ("memory", 100, 2 * garbage.TOO_MANY + 500)


def test_memory_that_ended_calls_had_is_no_reason_to_look(watched: Watched) -> None:
    """It stays with the process. Found at the end of 10,000 calls: the last thousand waited for a look of 5 s."""
    heap = watched.heap

    async def story() -> None:
        heap.memory += 10_000 * 36 * 2**10
        heap.calls = 10_000
        await asyncio.sleep(5)
        heap.calls = 100
        await asyncio.sleep(100)
        assert heap.looks == 0
        heap.memory += 10_000 * garbage.MEMORY_OF_A_CALL
        await asyncio.sleep(2)
        assert heap.looks == 1

    watched.run(story())


@pytest.mark.usefixtures("collector")
def test_the_collector_rests_while_the_server_runs(tmp_path: Path) -> None:
    async def story() -> None:
        application = Application(
            ConfigFiles(tmp_path, MAIN + f"records: {{cdr: {tmp_path}/cdr.jsonl}}\n").load()
        )
        rests: list[bool] = []

        def look() -> None:
            rests.append(not gc.isenabled())
            application.stop()

        application._loop_load._on_load = lambda load, now: look()
        await application.run()
        assert rests[0]
        assert gc.isenabled()

    asyncio.run(story())


class Circle:
    """Names itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.mark.usefixtures("collector")
def test_circles_are_freed_indeed() -> None:
    async def story() -> None:
        gc.collect()
        gc.disable()
        watch = GarbageWatch(lambda: 0, lambda: 0)
        watch.start()
        left = weakref.ref(Circle())
        for _ in range(garbage.WORTH_A_LOOK):
            Circle()
        assert left() is not None, "nothing looks by itself"
        await asyncio.sleep(garbage.QUIET_SECONDS + 2)
        watch.stop()
        assert left() is None

    run_virtual(story())


def test_on_pypy_nothing_is_done(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "PYPY", True)

    async def story() -> None:
        watched.heap.leave_garbage(10 * garbage.TOO_MANY)
        await asyncio.sleep(1000)

    watched.run(story())
    assert watched.heap.looks == 0
    assert watched.logged == []


def test_memory_is_that_of_this_process() -> None:
    before = garbage.resident_memory()
    held = b"x" * 2**26
    assert 2**25 < garbage.resident_memory() - before < 2**27
    del held
