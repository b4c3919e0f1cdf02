"""The store as the B2BUA sees it, in virtual time: nothing waits for it, what is lost is counted, and it comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from b2bua.store import Kind, Place, Removal, Store, StoreUnavailable, waiting
from b2bua.store import store as module
from b2bua.store.recent import Recent
from tests.support.store_backends import BackendDouble, Clock, PatientWorker, as_backend, document
from tests.support.virtual_loop import run_virtual


class Stage:
    """A store over a double."""

    def __init__(self) -> None:
        self.backend = BackendDouble()
        self.worker = PatientWorker()
        self.clock = Clock()
        self.store = Store(
            as_backend(self.backend),
            "redis",
            wall_clock=self.clock,
            worker=self.worker,  # type: ignore[arg-type]
        )


def play(story: Callable[[Stage], Awaitable[None]]) -> Stage:
    """Tell a story of a store that has started, and close it."""

    async def whole() -> Stage:
        stage = Stage()
        stage.store.start()
        await asyncio.sleep(0)
        await story(stage)
        stage.worker.hangs = False
        await stage.store.close(10.0)
        return stage

    return run_virtual(whole())


async def hanging(story: Callable[[Stage], Awaitable[None]]) -> None:
    stage = Stage()
    stage.store.start()
    await settle()
    await story(stage)


async def settle() -> None:
    """Long enough for what is asked now to be written."""
    await asyncio.sleep(module.GATHER * 3)


def test_writes_go_together_and_only_the_newest_of_a_document() -> None:
    async def story(stage: Stage) -> None:
        for number in range(3):
            stage.store.put(document("a", body=str(number)))
            stage.store.put(document(f"b{number}"))
        assert stage.store.status.waiting == 4
        await settle()
        status = stage.store.status
        assert (status.waiting, status.written, status.lost, status.available) == (0, 4, 0, True)

    stage = play(story)

    (batch,) = stage.backend.batches
    assert [write.key for write in batch] == ["b0", "b1", "a", "b2"]
    assert stage.backend.documents[Kind.HANDOFF, "a"].body == "2"


def test_what_waits_is_read_at_once() -> None:
    async def story(stage: Stage) -> None:
        stage.store.put(document("a", group="s", body="1"))
        stage.store.put(document("n", kind=Kind.ANNOTATION, group="s", body="note"))
        assert await stage.store.read(Kind.HANDOFF, ["a"]) == {"a": "1"}
        assert [each.body for each in await stage.store.find(Kind.HANDOFF, "s", limit=5)] == ["1"]
        assert [each.body for each in await stage.store.find(Kind.ANNOTATION, "s", limit=5)] == ["note"]

    play(story)


def test_what_other_nodes_wrote_is_found_among_ours() -> None:
    async def story(stage: Stage) -> None:
        other = document("other", created=5, group="s", body="theirs")
        stage.backend.documents[Kind.HANDOFF, "other"] = other
        stage.store.put(document("old", created=1, group="s"))
        stage.store.put(document("new", created=9, group="s"))
        found = await stage.store.find(Kind.HANDOFF, "s", limit=2)
        assert [each.place.key for each in found] == ["new", "other"]
        rest = await stage.store.find(Kind.HANDOFF, "s", before=found[-1].place, limit=2)
        assert [each.place for each in rest] == [Place(1, "old")]
        assert await stage.store.read(Kind.HANDOFF, ["other", "nobody"]) == {"other": "theirs"}

    play(story)


def test_of_what_several_nodes_write_the_stores_word_counts() -> None:
    async def story(stage: Stage) -> None:
        for kind in (Kind.HANDOFF, Kind.RESOLUTION):
            stage.store.put(document("a", kind=kind, body="ours"))
            await settle()
            stage.backend.documents[kind, "a"] = document("a", kind=kind, body="theirs")
        assert await stage.store.read(Kind.HANDOFF, ["a"]) == {"a": "ours"}
        assert await stage.store.read(Kind.RESOLUTION, ["a"]) == {"a": "theirs"}

    play(story)


def test_while_the_backend_is_gone_writes_wait_and_are_done_when_it_is_back() -> None:
    async def story(stage: Stage) -> None:
        stage.backend.failing = "connection refused"
        with capture_logs() as logged:
            stage.store.put(document("a", body="1"))
            await settle()
            stage.store.put(document("a", body="2"))
            stage.store.put(document("b"))
            await asyncio.sleep(30)
            status = stage.store.status
            assert (status.available, status.waiting, status.lost) == (False, 2, 0)
            assert status.failures >= 30
            assert await stage.store.read(Kind.HANDOFF, ["a"]) == {"a": "2"}
            with pytest.raises(StoreUnavailable, match="refused"):
                await stage.store.read(Kind.HANDOFF, ["of another node"])
            with pytest.raises(StoreUnavailable):
                await stage.store.find(Kind.HANDOFF, "s", limit=1)
            stage.backend.failing = None
            await asyncio.sleep(module.RETRY + 1)
        assert stage.store.status.available
        assert stage.backend.documents[Kind.HANDOFF, "a"].body == "2"
        assert (Kind.HANDOFF, "b") in stage.backend.documents
        assert [line["event"] for line in logged] == ["store_unavailable", "store_recovered"]

    play(story)


def test_a_backend_that_dies_while_nothing_is_written_is_noticed() -> None:
    async def story(stage: Stage) -> None:
        stage.backend.failing = "gone"
        await asyncio.sleep(module.CHECK + 1)
        assert not stage.store.status.available
        stage.backend.failing = None
        await asyncio.sleep(module.RETRY + 1)
        assert stage.store.status.available

    play(story)


def test_what_is_too_much_is_lost_oldest_first_counted_and_said_once_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(stage: Stage) -> None:
        stage.backend.failing = "gone"
        with capture_logs() as logged:
            for number in range(waiting.CAPACITY + 300):
                stage.store.put(document(f"d{number}"))
            await asyncio.sleep(5)
        lost = [line for line in logged if line["event"] == "store_lost"]
        assert [(line["lost"], line["oldest"]) for line in lost] == [(1, "handoff:d0")]
        status = stage.store.status
        assert (status.lost, status.waiting) == (300, waiting.CAPACITY)
        stage.backend.failing = None
        await asyncio.sleep(module.RETRY + 1)
        assert stage.store.status.written == waiting.CAPACITY
        assert (Kind.HANDOFF, "d299") not in stage.backend.documents
        assert (Kind.HANDOFF, "d300") in stage.backend.documents

    play(story)


def test_large_documents_do_not_fill_the_memory() -> None:
    queue = waiting.Waiting(capacity=100, octets=1000)
    lost = [queue.put(document(f"d{number}", body="x" * 300)) for number in range(5)]

    assert [[write.key for write in each] for each in lost] == [[], [], [], ["d0"], ["d1"]]
    recent = Recent(capacity=100, octets=1000)
    for number in range(5):
        recent.take(document(f"d{number}", body="x" * 300))
    assert [each.key for each in recent] == ["d2", "d3", "d4"]


def test_a_backend_that_hangs_counts_as_gone_and_holds_nobody_up() -> None:
    async def story(stage: Stage) -> None:
        stage.worker.hangs = True
        stage.store.put(document("a"))
        await asyncio.sleep(module.SLOW + 1)
        assert not stage.store.status.available
        before = asyncio.get_running_loop().time()
        with pytest.raises(StoreUnavailable, match="no answer"):
            await stage.store.read(Kind.HANDOFF, ["b"])
        assert asyncio.get_running_loop().time() - before == pytest.approx(module.SLOW)
        assert not await stage.store.keep(document("c"))
        questions = [
            asyncio.ensure_future(stage.store.read(Kind.CALL, [str(n)])) for n in range(module.READS)
        ]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable, match="too many"):
            await stage.store.read(Kind.CALL, ["one more"])
        results = await asyncio.gather(*questions, return_exceptions=True)
        assert all(isinstance(each, StoreUnavailable) for each in results)
        await stage.store.close(3.0)
        assert stage.store.status.lost == 2

    with capture_logs() as logged:
        run_virtual(hanging(story))

    assert [line["event"] for line in logged] == ["store_hangs", "store_lost"]


def test_keep_says_whether_it_is_kept() -> None:
    async def story(stage: Stage) -> None:
        assert await stage.store.keep(document("a"))
        stage.backend.failing = "full"
        assert not await stage.store.keep(document("b"))
        assert stage.store.remembered(Kind.HANDOFF, ["a", "b", "c"]).keys() == {"a", "b"}

    play(story)


def test_a_flag_that_expired_while_it_waited_is_not_written() -> None:
    async def story(stage: Stage) -> None:
        stage.backend.failing = "gone"
        stage.store.put(document("c", kind=Kind.TRANSFER, seconds=300))
        await settle()
        stage.clock.now += 301
        assert await stage.store.read(Kind.TRANSFER, ["c"]) == {}
        stage.backend.failing = None
        await asyncio.sleep(module.RETRY + 1)
        assert stage.backend.documents == {}

    play(story)


def test_a_removal_takes_the_place_of_what_waits() -> None:
    async def story(stage: Stage) -> None:
        stage.store.put(document("c", kind=Kind.TRANSFER))
        await settle()
        assert await stage.store.read(Kind.TRANSFER, ["c"]) == {"c": "{}"}
        stage.store.put(Removal(Kind.TRANSFER, "c"))
        assert await stage.store.read(Kind.TRANSFER, ["c"]) == {}
        await settle()
        assert stage.backend.documents == {}

    play(story)


def test_a_defect_of_the_backend_costs_its_batch_and_nothing_else() -> None:
    async def story(stage: Stage) -> None:
        stage.backend.defect = ValueError("what is this")
        with capture_logs() as logged:
            stage.store.put(document("a"))
            await settle()
        assert [line["event"] for line in logged] == ["store_lost"]
        stage.backend.defect = None
        stage.store.put(document("b"))
        await settle()
        assert (stage.store.status.lost, stage.store.status.written) == (1, 1)

    play(story)


def test_closing_writes_what_waits() -> None:
    async def story(stage: Stage) -> None:
        for number in range(module.BATCH * 2 + 1):
            stage.store.put(document(f"d{number}"))

    stage = play(story)

    assert len(stage.backend.documents) == module.BATCH * 2 + 1
    assert stage.backend.closed
    assert stage.worker.closed


def test_closing_gives_up_on_a_backend_that_is_gone_and_says_what_is_lost() -> None:
    async def story(stage: Stage) -> None:
        stage.backend.failing = "gone"
        stage.store.put(document("a"))
        await settle()

    with capture_logs() as logged:
        stage = play(story)

    assert stage.backend.closed
    assert [(line["event"], line.get("lost")) for line in logged] == [
        ("store_unavailable", None),
        ("store_lost", 1),
    ]


def test_without_a_backend_it_remembers_what_it_can() -> None:
    async def story() -> None:
        store = Store(None, "disabled")
        store.start()
        assert await store.keep(document("a", created=store.now_ms(), group="s", body="1"))
        assert await store.read(Kind.HANDOFF, ["a", "b"]) == {"a": "1"}
        assert [each.body for each in await store.find(Kind.HANDOFF, "s", limit=5)] == ["1"]
        assert store.status.available
        await store.close(1.0)

    run_virtual(story())


def test_the_thread_brings_results_and_errors_and_ends() -> None:
    from b2bua.store.worker import Worker

    async def story() -> None:
        worker = Worker("store under test")
        assert await worker.run(lambda: 1 + 1) == 2
        with pytest.raises(ZeroDivisionError):
            await worker.run(lambda: 1 // 0)
        ran: list[int] = []
        given_up = worker.run(lambda: ran.append(1))
        given_up.cancel()
        await worker.run(lambda: None)
        worker.close()
        worker._thread.join(10)
        assert not worker._thread.is_alive()

    asyncio.run(story())
