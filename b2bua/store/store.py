"""The store as the B2BUA uses it: writes wait in a queue, reads have a deadline, and what is lost is counted.

Nothing here delays or fails a call. While the backend is slow, full or gone, writes wait and are tried again; reads
are answered from what this process wrote last, or refused. All of it runs on the event loop but for the backend,
which has a thread of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from b2bua.store.contract import Backend, Document, Found, Kind, Place, StoreUnavailable, Write
from b2bua.store.recent import Recent
from b2bua.store.waiting import Name, Waiting, name_of
from b2bua.store.worker import Worker
from b2bua.telemetry.logs import OncePerInterval, get_logger

GATHER = 0.01
"""Seconds that writes gather before they go together."""
BATCH = 200
"""Writes that go together."""
RETRY = 1.0
"""Seconds from a failure to the next try."""
CHECK = 5.0
"""Seconds between looks at a backend that nobody writes to."""
SLOW = 2.0
"""Seconds after which a backend that does not answer counts as gone, and a read is given up."""
READS = 100
"""Reads at once; more are refused."""
KEEP_PATIENCE = 1.0
"""Seconds that `keep` waits."""
LOSS_INTERVAL = 60.0
"""Seconds between two log lines about losses."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How the store does. The counters are since the start."""

    kind: str
    """sqlite, redis, or disabled."""
    available: bool
    waiting: int
    """Writes that wait."""
    written: int
    lost: int
    """Writes that will never be done: too many waited, or the process ended."""
    failures: int
    """Times that the backend did not do what it was asked."""


class Store:
    """Documents by key and by group, over a backend or, without one, in memory."""

    def __init__(
        self,
        backend: Backend | None,
        kind: str,
        *,
        wall_clock: Callable[[], float] = time.time,
        worker: Worker | None = None,
    ) -> None:
        """`kind` is what `status` calls it. `wall_clock` gives seconds since 1970. `worker` runs the backend."""
        self._backend = backend
        self._kind = kind
        self._wall_clock = wall_clock
        self._recent = Recent()
        self._waiting = Waiting()
        self._worker = worker or Worker("store")
        self._log = get_logger()
        self._timer: asyncio.TimerHandle | None = None
        self._sent: list[Write] | None = None
        """What the backend is doing; empty while it is only asked whether it could."""
        self._sent_at = 0.0
        self._failing_since: float | None = None
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._kept: dict[Name, list[asyncio.Future[bool]]] = {}
        self._reads = 0
        self._written = self._lost = self._failures = 0
        self._once: OncePerInterval | None = None

    @property
    def status(self) -> StoreStatus:
        """How it does now."""
        slow = self._sent is not None and asyncio.get_running_loop().time() - self._sent_at > SLOW
        return StoreStatus(
            kind=self._kind,
            available=self._failing_since is None and not slow,
            waiting=len(self._waiting) + len(self._sent or ()),
            written=self._written,
            lost=self._lost,
            failures=self._failures,
        )

    @property
    def has_backend(self) -> bool:
        """False when nothing outlives the process."""
        return self._backend is not None

    def now_ms(self) -> int:
        """The time in the milliseconds of documents."""
        return round(self._wall_clock() * 1000)

    def start(self) -> None:
        """Open the backend, in its thread; does not wait for it."""
        self._once = OncePerInterval(LOSS_INTERVAL, asyncio.get_running_loop().time)
        if self._backend is not None:
            self._send()

    # -- writing -------------------------------------------------------------------------------------------------------

    def put(self, write: Write) -> None:
        """Write a document, or remove one, soon; never blocks or raises."""
        if write.kind.is_remembered:
            self._recent.take(write)
        if self._backend is not None:
            self._lose(self._waiting.put(write), "too many writes wait")
            self._send_within(GATHER)

    async def keep(self, document: Document) -> bool:
        """Write a document; False when it was not written within `KEEP_PATIENCE`, and waits."""
        self.put(document)
        if self._backend is None:
            return True
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiters = self._kept.setdefault(name_of(document), [])
        waiters.append(kept)
        try:
            async with asyncio.timeout(KEEP_PATIENCE):
                return await kept
        except TimeoutError:
            return False
        finally:
            waiters.remove(kept)
            if not waiters:
                self._kept.pop(name_of(document), None)

    def _send_within(self, seconds: float) -> None:
        """Have the backend work within that time, unless it does already or has just failed."""
        if self._sent is not None or self._failing_since is not None or self._closing:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None and self._timer.when() > loop.time() + seconds:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_later(seconds, self._send)

    def _send(self) -> None:
        assert self._backend is not None, "without a backend nothing waits"
        self._timer = None
        batch = self._waiting.take(BATCH, self.now_ms())
        self._sent, self._sent_at = batch, asyncio.get_running_loop().time()
        self._idle.clear()
        work = partial(self._backend.write, batch) if batch else self._backend.check
        self._worker.run(work).add_done_callback(self._done)

    def _done(self, work: asyncio.Future[None]) -> None:
        batch, self._sent = self._sent or [], None
        self._idle.set()
        if work.cancelled():
            return
        error = work.exception()
        if error is None:
            self._worked(batch)
        elif isinstance(error, StoreUnavailable):
            self._failed(batch, error)
        else:
            self._lose(batch, f"a defect: {error!r}")
        if not self._closing:
            delay = CHECK if not self._waiting else 0.0
            delay = delay if self._failing_since is None else RETRY
            self._timer = asyncio.get_running_loop().call_later(delay, self._send)

    def _worked(self, batch: Sequence[Write]) -> None:
        self._written += len(batch)
        for write in batch:
            for waiter in self._kept.get(name_of(write), ()):
                if not waiter.done():
                    waiter.set_result(True)
        if self._failing_since is not None:
            seconds = round(asyncio.get_running_loop().time() - self._failing_since, 1)
            self._failing_since = None
            self._log.info("store_recovered", after_s=seconds, waiting=len(self._waiting), lost=self._lost)

    def _failed(self, batch: Sequence[Write], error: StoreUnavailable) -> None:
        self._failures += 1
        if self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time()
            self._log.error("store_unavailable", why=str(error), waiting=len(self._waiting) + len(batch))
        if batch:
            self._lose(self._waiting.put_back(batch), "too many writes wait")

    def _lose(self, writes: Sequence[Write], why: str) -> None:
        if not writes:
            return
        self._lost += len(writes)
        # One line a minute, for whatever reason: a store that is gone loses with every call.
        if self._once is None or self._once.allow("") is not None:
            self._log.error("store_lost", why=why, lost=self._lost, oldest=":".join(name_of(writes[0])))

    # -- reading -------------------------------------------------------------------------------------------------------

    async def read(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        """The bodies that there are, by key. Raises `StoreUnavailable` when one of them is not known here."""
        found: dict[str, str] = {}
        unknown: list[str] = []
        for key in keys:
            waits = self._waiting.get((kind, key))
            known = waits or (self._recent.get((kind, key)) if self._knows_best(kind) else None)
            if known is None:
                unknown.append(key)
            elif isinstance(known, Document) and known.expires > self.now_ms():
                found[key] = known.body
        if unknown and (backend := self._backend) is not None:
            found |= await self._ask(lambda: backend.read(kind, unknown))
        return found

    async def find(self, kind: Kind, group: str, *, before: Place | None = None, limit: int) -> list[Found]:
        """Up to `limit` documents of a group, newest first, from behind `before` on. Raises `StoreUnavailable`."""
        backend = self._backend
        if backend is None:
            return self.remembered_of(kind, group, before=before, limit=limit)
        # Looked at first: what waits now may be written while the question is, and behind it.
        writes = (*self._waiting, *(self._sent or ()), *(self._recent if kind.has_one_writer else ()))
        ours = {each.place.key: each for each in self._of(writes, kind, group, before)}
        found = {
            each.place.key: each for each in await self._ask(lambda: backend.find(kind, group, before, limit))
        }
        found |= ours
        return sorted(found.values(), reverse=True)[:limit]

    def remembered(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        """What this process knows by itself of these documents, by key."""
        known = {key: self._recent.get((kind, key)) for key in keys}
        now = self.now_ms()
        return {key: each.body for key, each in known.items() if each is not None and each.expires > now}

    def remembered_of(
        self, kind: Kind, group: str, *, before: Place | None = None, limit: int
    ) -> list[Found]:
        """What this process knows by itself of a group, newest first."""
        return sorted(self._of(self._recent, kind, group, before), reverse=True)[:limit]

    def _knows_best(self, kind: Kind) -> bool:
        return kind.has_one_writer or self._backend is None

    def _of(self, writes: Iterable[Write], kind: Kind, group: str, before: Place | None) -> list[Found]:
        now = self.now_ms()
        documents = [each for each in writes if isinstance(each, Document) and each.kind is kind]
        found = [
            Found(Place(each.created, each.key), each.body)
            for each in documents
            if each.group == group and group and each.expires > now
        ]
        return [each for each in found if before is None or each.place < before]

    async def _ask(self, question: Callable[[], T]) -> T:
        if self._reads >= READS:
            raise StoreUnavailable("too many reads at once")
        self._reads += 1
        try:
            async with asyncio.timeout(SLOW):
                return await self._worker.run(question)
        except TimeoutError:
            raise StoreUnavailable(f"no answer for {SLOW:g} s") from None
        finally:
            self._reads -= 1

    # -- the end -------------------------------------------------------------------------------------------------------

    async def close(self, seconds: float) -> None:
        """Write what waits and let go of the backend; gives up after `seconds`, or when it does not work."""
        if self._backend is None:
            return
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
                while self._waiting:
                    failures = self._failures
                    self._send()
                    await self._idle.wait()
                    if self._failures > failures:
                        break
                await self._worker.run(self._backend.close)
        except TimeoutError:
            self._log.warning("store_hangs", seconds=seconds)
        self._lose([*(self._sent or ()), *self._waiting], "the process ends")
        self._worker.close()
