"""The process of a random story is killed and another one starts: whom none of them knows, and what docs/restart.md
promises of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from b2bua.feed import Feed
from b2bua.store import Kind
from tests.support.b2bua_world import B2BUA

if TYPE_CHECKING:
    from tests.support.next_process import Watched
    from tests.support.story_phones import StoryParty
    from tests.support.story_stage import Stage

T = TypeVar("T")
WRITTEN = 0.1
"""Seconds after which what has changed stands in the journal."""
FRESH = 1.3
"""Seconds for which somebody need not stand there: a call rings for one unwritten, and changes gather."""
ENDED = 35.0
"""Seconds after its start in which a process has ended the calls it cannot go on with: a BYE may have no answer."""
PATIENCE = 60.0
"""Seconds after which a user gives up whom no process knows."""


class Kills:
    """What was killed in a story. `complaints` is what should have stood in the journal."""

    def __init__(self, stage: Stage, watched: Watched) -> None:
        self.moments: list[float] = []
        """When, by the loop's clock."""
        self.down = False
        """There is no process."""
        self.under_way = False
        """One is being killed, or the next one still looks at what it finds."""
        self.lost_calls: set[str] = set()
        """Ids of calls that no process knows any more."""
        self.lost_dialogs: set[str] = set()
        """Call-IDs of dialogs that no process knows any more."""
        self.lost_handoffs: set[str] = set()
        """Ids of handoffs that were taken in the moment of a kill."""
        self.lost_legs: set[str] = set()
        """Ids of calls that had lost somebody in the moment of a kill, who still stands in the journal."""
        self.complaints: list[str] = []
        self._stage = stage
        self._watched = watched
        self._back = 0.0
        self._asking: set[asyncio.Future[Any]] = set()
        watched.on_process = self._begin

    @property
    def over(self) -> float:
        """When the last process that follows one has ended the calls that do not go on."""
        return self._back + ENDED

    def between(self, before: float, after: float) -> bool:
        """Whether something had not been written down when a process was killed, and was told by both for that."""
        return any(before <= moment < before + WRITTEN and moment <= after for moment in self.moments)

    async def ask(self, request: Awaitable[T]) -> T | None:
        """Something of the process that there is; None when it is killed before it has answered, or there is none."""
        task = asyncio.ensure_future(request)
        if self.down:
            task.cancel()
        self._asking.add(task)
        try:
            await asyncio.wait([task])
            return None if task.cancelled() else task.result()
        finally:
            task.cancel()
            self._asking.discard(task)

    async def kill(self, seconds: float) -> None:
        """`kill -9`, and another process after so long."""
        self.under_way = True
        await asyncio.sleep(WRITTEN)
        self.down = True
        now = self._stage.world.stack.now()
        self.moments.append(now)
        for task in self._asking:
            task.cancel()
        for call in self._stage.world.registry.calls.values():
            ends = [leg.ended for leg in call.record.legs if leg.ended is not None]
            if any(now - WRITTEN <= ended for ended in ends):
                self.lost_legs.add(call.id)
        await self._watched.kill_now()
        known = self._find_the_lost()
        arriving = self._on_the_way(known)
        await asyncio.sleep(seconds)
        await self._watched.restart()
        self._leave(party for party in self._parties() if party.session.call_id in arriving)
        self.under_way = False

    def _begin(self, feed: Feed) -> None:
        self.down = False
        self._back = asyncio.get_running_loop().time()
        self._stage.told.listen(feed)

    def _parties(self) -> list[StoryParty]:
        return [each for phone in self._stage.phones.values() for each in phone.parties]

    def _on_the_way(self, known: str) -> set[str]:
        """Call-IDs of INVITEs and ACKs that have not arrived yet, and that nothing in `known` tells of."""
        sent = [each for each in self._stage.wire.log if each.source[0] == B2BUA]
        ages = [(self.moments[-1] - each.at, each.title, each.message.call_id) for each in sent]
        invites = {of for age, title, of in ages if title == "INVITE" and age < FRESH and of not in known}
        acks = {of for age, title, of in ages if title == "ACK" and age < WRITTEN}
        parties = self._parties()
        there = {party.session.call_id for party in parties}
        answered = {party.session.call_id for party in parties if party.answered_at > float("-inf")}
        return (invites - there) | (acks - answered)

    def _leave(self, parties: Iterable[StoryParty]) -> None:
        """No process knows them."""
        for party in parties:
            if not party.over.is_set():
                self.lost_dialogs.add(party.session.call_id)
                party.phone.spawn(self._give_up(party))

    def _find_the_lost(self) -> str:
        """Returns all that is known, as it is written down."""
        stage, now = self._stage, self.moments[-1]
        backend = self._watched.keeping.backend
        entries = {key: each.body for (kind, key), each in backend.documents.items() if kind is Kind.JOURNAL}
        recorded = {record.call_id for record in stage.world.records}
        for call_id in set(stage.told.started) - recorded - set(entries) - self.lost_calls:
            self.lost_calls.add(call_id)
            age = now - stage.told.of(call_id)[0].at
            if age > FRESH:
                self.complaints.append(f"{call_id} is not in the journal after {age:.1f} s")
        known = "".join(entries.values())
        for handoff_id, told in stage.told.handoffs.items():
            if not told[-1].state.final and handoff_id not in known and handoff_id not in self.lost_handoffs:
                self.lost_handoffs.add(handoff_id)
                if now - told[0].at > WRITTEN:
                    self.complaints.append(f"handoff {handoff_id} is not in the journal")
        self._leave(
            party
            for party in self._parties()
            if party.session.call_id not in known or now - party.answered_at < WRITTEN
        )
        return known

    async def _give_up(self, party: StoryParty) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await party.over.wait()
        if not party.over.is_set():
            self._stage.note(f"{party.phone.host} gives up {party.session.call_id}, whom nobody knows")
            party.hang_up()
