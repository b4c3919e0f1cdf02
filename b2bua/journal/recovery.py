"""What a process does about the calls that the one before it left behind: those whose audio goes on go on, toward every
side of the others it sends BYE, and records them.

The audio of the others stopped with the process that relayed it, so there is nothing to go on with: both sides hear
soon that it is over, and do not wait for their own timers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, TypeVar

from b2bua.call import cause
from b2bua.feed import LegEnded
from b2bua.journal.brought import origins_of
from b2bua.journal.by_bye import HandedByBye
from b2bua.journal.closing import as_recorded, closed
from b2bua.journal.farewell import say_farewell
from b2bua.journal.reaching import Reaching
from b2bua.journal.reopened import reopened_handoffs, reopened_record
from b2bua.journal.ringing import take_back
from b2bua.journal.takeover import Stranger, Takeover
from b2bua.journal.told import Follow, facts_of
from b2bua.journal.waiting import LOST, still_waiting, take_up
from b2bua.store import StoreUnavailable
from b2bua.telemetry.logs import get_logger

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.services import Services
    from b2bua.config import Configuration
    from b2bua.history import History
    from b2bua.journal.entry import JournalEntry
    from b2bua.journal.journal import Journal
    from b2bua.record_writer import RecordWriter

AT_ONCE = 50
"""Calls that are dealt with at the same time."""
LATEST = 10.0
"""Seconds after the start from which on nothing waits for calls that may be restored. Far ends repeat a BYE for 32
seconds over UDP, and what waits should be answered before."""
RETRY = 2.0
"""Seconds between two questions to a store that does not answer."""
TRIES = 300
"""Questions before what is in it is left alone: after ten minutes the far ends have given up as well."""


T = TypeVar("T")


class Recovery:
    """Goes on with or ends what is found in the journal, once, in the background of a process that has started."""

    def __init__(
        self,
        services: Services,
        journal: Journal,
        history: History,
        records: RecordWriter,
        configuration: Callable[[], Configuration],
        go_on: Callable[[Call], None],
        follow: Follow,
    ) -> None:
        """`go_on` gets the calls that were taken over; `follow` the handoffs of all calls before it is told how they
        go on, or end."""
        self._services = services
        self._journal = journal
        self._history = history
        self._records = records
        self._reaching = Reaching(services, configuration)
        self._follow = follow
        self._takeover = Takeover(services, journal, self._reaching, go_on, follow)
        self._log = get_logger()
        self._task: asyncio.Task[None] | None = None
        self._latest: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; the stack must be able to send. What arrives for calls that may be restored waits until they are."""
        self._latest = asyncio.get_running_loop().call_later(LATEST, self._let_in)
        self._task = asyncio.create_task(self._recover(), name="recovery")

    async def close(self) -> None:
        """Stop; what is not done is found by the next process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _recover(self) -> None:
        try:
            left_behind = await self._unrecorded(await self._read())
            if left_behind:
                self._log.warning("calls_left_behind", calls=len(left_behind))
            lost: list[JournalEntry] = []

            async def take_over(entry: JournalEntry) -> None:
                try:
                    taken = await self._takeover.take(entry)
                except Exception:
                    # A defect costs this call, which is ended like one whose audio is gone.
                    self._log.exception("takeover_failed", call_id=entry.call_id)
                    taken = False
                if taken:
                    self._count("taken_over")
                else:
                    lost.append(entry)

            await self._for_each(left_behind, take_over)
            lost = [entry for entry in lost if not self._take_home(entry)]
            taken_up = [invite for entry in lost for invite in take_up(self._services, entry)]
            self._let_in()
            for entry in left_behind:
                take_back(self._services, self._reaching, entry)
            # Behind the CANCELs: where an SBC tries again at once, no phone rings twice.
            for invite in taken_up:
                invite.refuse()
            self._services.stack.flush()
            await self._for_each(lost, self._end)
            await self._for_each(self._takeover.strangers, self._dismiss)
        except Exception:
            # A defect here must not take the new calls with it.
            self._log.exception("recovery_failed")
        finally:
            self._let_in()

    def _take_home(self, entry: JournalEntry) -> bool:
        """Whether a call goes on whose leg is in another one."""
        taken = self._takeover.take_home(entry)
        if taken:
            self._count("taken_over")
        return taken

    def _let_in(self) -> None:
        """Nothing waits any more for a call that may be restored."""
        if self._latest is not None:
            self._latest.cancel()
            self._latest = None
        stack = self._services.stack
        stack.endpoint.sessions_restored(self._services.now())
        stack.flush()

    async def _for_each(self, each_of: Iterable[T], do: Callable[[T], Coroutine[None, None, None]]) -> None:
        free = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for each in each_of:
                await free.acquire()
                doing = group.create_task(do(each), name="recovery of a call")
                doing.add_done_callback(lambda _: free.release())

    async def _read(self) -> list[JournalEntry]:
        for _ in range(TRIES):
            try:
                return await self._journal.left_behind()
            except StoreUnavailable:
                await asyncio.sleep(RETRY)
        self._log.error("journal_unreadable")
        return []

    async def _unrecorded(self, entries: list[JournalEntry]) -> list[JournalEntry]:
        """Those whose calls are not over. A process that was killed after it wrote a record, and before it struck the
        call out, has left what it takes to tell."""
        if not entries:
            return []
        recorded = await self._records.find({entry.call_id for entry in entries})
        for entry in entries:
            record = recorded.get(entry.call_id)
            if record is not None:
                self._count("recorded_before")
                self._log.info("recorded_before", call_id=entry.call_id)
                if not await self._is_told(entry.call_id):
                    self._history.keep_closed(as_recorded(entry, record))
                self._journal.take_over(entry)
        self._journal.recorded(recorded)
        now = time.time()
        return [still_waiting(entry, now) for entry in entries if entry.call_id not in recorded]

    def _count(self, fate: str) -> None:
        self._services.counters.left_behind.add((fate,))

    async def _is_told(self, call_id: str) -> bool:
        """Whether the store has the story of its end."""
        try:
            return await self._history.call(call_id) is not None
        except StoreUnavailable:
            return False

    def _tell(self, entry: JournalEntry, outcome: cause.Outcome, handed: HandedByBye | None) -> None:
        """Tell the feed how the handoffs of a call end that does not go on."""
        now = self._services.now()
        try:
            record = reopened_record(entry.record, now)
            known = (self._reaching.configuration, self._services.feed)
            handoffs = reopened_handoffs(entry.record, entry.asked, record.clock, *known)
            brought = origins_of(entry, record, now, *known)
        except (KeyError, TypeError, ValueError) as error:
            self._log.warning("handoffs_not_told", call_id=entry.call_id, why=repr(error))
            return
        facts = facts_of(entry, record, handoffs)
        self._follow(record, handoffs, facts)
        for _, origin, up in brought:
            self._follow(origin.record, [origin.handoff], [up])
        for each in (*facts, *(up for _, _, up in brought)):
            self._services.feed.publish(
                LegEnded(record.call_id, record.clock, now, each.leg, outcome, "b2bua", each.answered)
            )
        if handed is not None:
            handed.finish(handoffs[-1], now)
        for handoff in handoffs:
            handoff.close(outcome, now)

    async def _dismiss(self, stranger: Stranger) -> None:
        """BYE to somebody without whom a call goes on."""
        outcome = cause.local("process_lost")
        await say_farewell(self._services, self._reaching, stranger.entry, stranger.leg, outcome)

    async def _end(self, entry: JournalEntry) -> None:
        """End one call toward every side and record it, which strikes it out: in this order, so that it is never
        lost."""
        handed = HandedByBye.of(entry)
        outcome = _lost(entry) if handed is None else handed.outcome
        answers = await asyncio.gather(
            *(
                say_farewell(
                    self._services,
                    self._reaching,
                    entry,
                    leg,
                    outcome,
                    [] if handed is None else handed.headers_for(leg),
                )
                for leg in entry.legs
            )
        )
        if handed is not None:
            handed.answered(entry, answers)
        call = closed(entry if handed is None else handed.completed(entry), outcome, time.time())
        self._journal.take_over(entry)
        self._history.keep_closed(call)
        self._records.write(call)
        self._tell(entry, outcome, handed)
        self._services.counters.count(str(entry.record["trunk"]), outcome)
        self._count("ended")
        self._log.info(
            "ended",
            call_id=entry.call_id,
            cause=outcome.name,
            code=outcome.code,
            source=outcome.source,
            byes=[
                {"leg": leg.role, "status": status} for leg, status in zip(entry.legs, answers, strict=True)
            ],
        )


def _lost(entry: JournalEntry) -> cause.Outcome:
    """How a call ends that does not go on."""
    return LOST if entry.record["answered"] is None else cause.local("process_lost")
