"""A random story on its way: the world, who is told, and the steps as they are taken."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from structlog.testing import capture_logs

from b2bua.config import Configuration, Policy
from b2bua.control import ControlError
from b2bua.feed import CallEnded, CallStarted, Entry, Feed, FeedEvent, HandoffChanged
from b2bua.feed.events import EVERY_KIND
from b2bua.operations import Operations
from sip_stack.aio.network import Listen
from tests.support.b2bua_world import World
from tests.support.forking_proxy import ForkingProxy
from tests.support.handoff_cast import ASSISTANT
from tests.support.next_process import Watched
from tests.support.random_wire import RoughWire
from tests.support.story_audio import Audio
from tests.support.story_kills import Kills
from tests.support.story_phones import StoryParty, StoryPhone
from tests.support.story_plan import CALLERS, HUMANS, Step, StoryPlan
from tests.support.story_steps import ACTS
from tests.support.told_application import Application

T = TypeVar("T")
OVER = 400.0
"""Seconds within which every story is over: its own time limits are 60 s each."""
LOUD = ("warning", "error", "critical", "exception")
OF_STEPS = {
    "drain": ("drain_deadline",),
    "place is taken": ("unknown_source",),
    "kill": ("calls_left_behind",),
    "store fails": ("store_unavailable",),
}
"""What may be in the log where there was such a step: who asks in vain for the place of somebody may be a stranger."""


class Told:
    """All that the feed tells, in order."""

    def __init__(self) -> None:
        self.events: list[FeedEvent] = []
        self.handoffs: dict[str, list[HandoffChanged]] = {}

    def listen(self, feed: Feed) -> None:
        """Hear what the process of this feed tells."""
        feed.listen(self, EVERY_KIND)

    def hear(self, entry: Entry) -> None:
        """Write it down."""
        event = entry.event
        self.events.append(event)
        if isinstance(event, HandoffChanged):
            self.handoffs.setdefault(event.handoff_id, []).append(event)

    def of(self, call_id: str) -> list[FeedEvent]:
        """What was told of a call."""
        return [event for event in self.events if event.call_id == call_id]

    @property
    def started(self) -> list[str]:
        """Ids of calls that were let in."""
        return [event.call_id for event in self.events if isinstance(event, CallStarted)]

    @property
    def ended(self) -> list[CallEnded]:
        """The ends of calls."""
        return [event for event in self.events if isinstance(event, CallEnded)]


@dataclass
class Stage:
    """Where a story is played."""

    world: World
    wire: RoughWire
    plan: StoryPlan
    phones: dict[str, StoryPhone] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Ids of the handoffs that the API took."""
    deleted: set[str] = field(default_factory=set)
    """Ids of the calls that it was asked to end."""
    notes: list[str] = field(default_factory=list)
    """What was done, for whoever reads a failure."""
    told: Told = field(init=False)
    audio: Audio = field(init=False)
    application: Application = field(default_factory=Application)
    watched: Watched = field(init=False)
    kills: Kills = field(init=False)
    configurations: list[Configuration] = field(init=False)
    """Those that a reload may bring."""
    logged: list[str] = field(default_factory=list)
    """Lines of the log that nobody should have had to write."""

    async def play(self) -> None:
        """Every step at its moment; then everything is left to come to its end."""
        self.told, self.audio = Told(), Audio(self.world, self.plan.seed)
        self.told.listen(self.world.registry.services.feed)
        media = self.world.media
        media.outlives = media.records_nothing = self.plan.outlives  # as of rtpengine
        self.watched = Watched(self.world)
        self.kills = Kills(self, self.watched)
        self.watched.tell(self.application)
        used = self.world.configuration
        self.configurations = [used, replace(used, policy=Policy()), replace(used, routes=used.routes[:1])]
        ForkingProxy(self.world.network)
        for host in (*CALLERS, ASSISTANT, *HUMANS):
            phone = self.phones[host] = StoryPhone(self.world, host, self.plan.seed)
            self.world.phones[host] = phone
            await phone.stack.start([Listen("udp", host, 5060)])
        with self._listening_to_the_log():
            async with asyncio.TaskGroup() as group:
                audio = group.create_task(self.audio.run())
                await asyncio.gather(*(self._take(step) for step in self.plan.steps))
                await self.world.until(self._nothing_goes_on, OVER)
                audio.cancel()
            await self.watched.close()
            with suppress(AssertionError):  # the verdict finds who is left
                await self.world.until(self._everybody_knows, OVER)

    @property
    def operations(self) -> Operations:
        """The API of the process that there is, or was last."""
        return self.watched.keeping.operations

    def _nothing_goes_on(self) -> bool:
        return not (self.kills.under_way or self.watched.recovering or self.world.registry.calls)

    def _everybody_knows(self) -> bool:
        return all(party.over.is_set() for phone in self.phones.values() for party in phone.parties)

    async def _take(self, step: Step) -> None:
        await asyncio.sleep(step.at)
        await ACTS[step.what](self, step.source(self.plan.seed))

    async def wait(self, seconds: float) -> None:
        """Let time go by."""
        await asyncio.sleep(seconds)

    def somebody(self, source: random.Random, hosts: tuple[str, ...]) -> StoryParty | None:
        """One who talks at one of these hosts."""
        parties = [party for host in hosts for party in self.phones[host].talking()]
        return source.choice(parties) if parties else None

    def note(self, what: str) -> None:
        """Write down what is done."""
        self.notes.append(f"{self.world.stack.now():9.3f} {what}")

    async def ask(self, request: Awaitable[T]) -> T | None:
        """Something over the API, which may refuse."""
        try:
            return await self.kills.ask(request)
        except ControlError as error:
            self.note(f"  refused: {error.code} {error.message}")
            return None

    @contextmanager
    def _listening_to_the_log(self) -> Iterator[None]:
        handler = _Heard(self.logged)
        logging.getLogger().addHandler(handler)
        try:
            with capture_logs() as lines:
                yield
        finally:
            logging.getLogger().removeHandler(handler)
            expected = {name for step in self.plan.steps for name in OF_STEPS.get(step.what, ())}
            expected |= {"not_recorded"} if self.plan.outlives else set()
            loud = [line for line in lines if line["log_level"] in LOUD]
            self.logged += [
                str(line) for line in loud if line["event"] not in expected and not self._lost(line)
            ]

    def _lost(self, line: Mapping[str, object]) -> bool:
        """Whether it tells that a call does not go on which had lost somebody in the moment of a kill."""
        return line["event"] == "not_taken_over" and line["call_id"] in self.kills.lost_legs


class _Heard(logging.Handler):
    """What `sip_stack` and `media` have to complain about."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))
