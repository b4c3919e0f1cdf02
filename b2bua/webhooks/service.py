"""Who listens to the feed and sends webhooks: a lane for each call, so many requests at once, and no more waiting.

Bounds keep receivers apart. One that is dead or slow fills its own places, and what is too much for them is lost,
counted and logged; requests to others, and calls, do not notice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from b2bua.config.callback_url import CallbackUrl, parse_callback_url
from b2bua.feed import DigitPressed, Entry, Feed, HandoffChanged, LegAnswered, LegEnded, LegRinging
from b2bua.handoff.handoff import HandoffState
from b2bua.store import StoreUnavailable
from b2bua.telemetry.logs import OncePerInterval, get_logger
from b2bua.webhooks.delivery import Delivery, Lost, deliver, id_of
from b2bua.webhooks.parameters import Series
from b2bua.webhooks.signature import Parameters

if TYPE_CHECKING:
    from b2bua.call.record import CallRecord
    from b2bua.config.webhooks import Webhooks as Settings
    from b2bua.handoff.handoff import Handoff, HandoffRequest
    from b2bua.journal.told import Up
    from b2bua.webhooks.outbox import Left, Outbox
    from b2bua.webhooks.sender import Sender

MAX_WAITING = 10_000
"""Requests that are waiting or under way, in all; some 20 MB."""
MAX_WAITING_OF_RECEIVER = 2_000
MAX_WAITING_OF_CALL = 100
"""A caller who presses keys without end."""
AT_ONCE = 64
"""Requests under way, in all."""
AT_ONCE_TO_RECEIVER = 16
RETRY = 2.0
"""Seconds between two questions to a store that does not answer."""
TRIES = 300
LOG_INTERVAL = 60.0
"""Seconds between lines about one receiver."""

KINDS = (HandoffChanged, LegRinging, LegAnswered, LegEnded, DigitPressed)


@dataclass(slots=True)
class Counters:
    """What became of requests since the start."""

    taken: int = 0
    tried_again: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Receiver:
    """Who is called: one host and port."""

    waiting: int = 0
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE_TO_RECEIVER))


@dataclass(slots=True)
class _Followed:
    """A handoff whose application wants to hear of it."""

    series: Series
    callback_url: str | None
    action_url: str | None
    record: CallRecord
    final: HandoffChanged | None = None
    """It is over, but somebody still talks to its human: who has transferred them is told first."""


class Webhooks:
    """Sends what the feed tells of handoffs to the URLs that they came with, from `start` to `close`."""

    def __init__(
        self,
        feed: Feed,
        settings: Callable[[], Settings],
        call_of: Callable[[str], CallRecord | None],
        open_sender: Callable[[], Sender],
        outbox: Outbox,
    ) -> None:
        """`settings` are asked for again before each request; `call_of` knows the running calls.

        `open_sender` is called once, in a thread, when there is something to send.
        """
        self.counters = Counters()
        self._feed = feed
        self._settings = settings
        self._call_of = call_of
        self._open_sender = open_sender
        self._outbox = outbox
        self._sender: Sender | None = None
        self._opening = asyncio.Lock()
        self._followed: dict[str, _Followed] = {}
        self._known: set[str] = set()
        """Ids of what was found in the outbox: it is not sent anew."""
        self._resumed: set[str] | None = None
        """Calls that an earlier process began, while the outbox is read; None: it is."""
        self._held: list[tuple[_Followed, str, Parameters]] = []
        """What is to be told of them, behind what stands there."""
        self._lanes: dict[str, deque[Delivery]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._receivers: dict[str, _Receiver] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._log = get_logger()
        self._once: OncePerInterval | None = None

    def start(self) -> None:
        """Listen."""
        self._once = OncePerInterval(LOG_INTERVAL, asyncio.get_running_loop().time)
        self._feed.listen(self, KINDS)

    def catch_up(self) -> None:
        """Send what a process before this one has left in the outbox, before anything that is told of those calls now:
        the outbox gives its pages the newest first."""
        self._resumed = set()
        task = asyncio.get_running_loop().create_task(self._catch_up(), name="webhooks left behind")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _catch_up(self) -> None:
        for call_id, delivery in await self._left_behind():
            self._known.add(delivery.id)
            self._put(call_id, delivery)
        self._resumed, held, self._held = None, self._held, []
        for request in held:
            self._send(*request)

    async def _left_behind(self) -> list[Left]:
        """What is in the outbox, once the store answers; nothing when it does not."""
        for _ in range(TRIES):
            try:
                return await self._outbox.left_behind()
            except StoreUnavailable:
                await asyncio.sleep(RETRY)
        return []

    def go_on(self, record: CallRecord, handoffs: list[Handoff], humans: list[Up]) -> None:
        """Follow the handoffs of a call that an earlier process began, as if they had been heard of from the
        beginning."""
        if self._resumed is not None:
            self._resumed.add(record.call_id)
        legs = [each for each in record.legs if each.role == "agent"]
        for handoff in handoffs:
            there = [each for each in humans if each.leg.handoff_id == handoff.id]
            if handoff.state.final and not there:
                continue
            if not self._follow(handoff.id, handoff.request, record):
                continue
            if handoff.state.final:
                self._followed[handoff.id].final = handoff.change()
            series = self._followed[handoff.id].series
            series.rang = any(each.ringing is not None for each in handoff.attempts)
            own = [each for each in legs if each.started >= handoff.created - 0.001]
            series.positions = {each.sip_call_id: number for number, each in enumerate(own, 1)}
            for human in there:
                series.answered, series.talking[human.leg.id] = human.leg, human.answered

    async def close(self, patience: float) -> None:
        """Listen no more, let requests that wait be sent for `patience` seconds, count the rest as lost."""
        self._feed.leave(self)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        left = self._waiting + len(self._held)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if left:
            self.counters.lost += left
            self._log.error("webhooks_lost", why="the program ends", requests=left)
        if self._sender is not None:
            await self._sender.close()

    @property
    def waiting(self) -> int:
        """Requests that are waiting or under way."""
        return self._waiting

    # -- from events to requests -----------------------------------------------------------------------------------

    def hear(self, entry: Entry) -> None:
        """Turn an event into a request that waits in its call's lane, where somebody wants one."""
        event = entry.event
        if isinstance(event, HandoffChanged):
            self._hear_handoff(event)
            return
        assert isinstance(event, LegRinging | LegAnswered | LegEnded | DigitPressed), (
            "no other kind is asked for"
        )
        handoff_id = event.handoff_id if isinstance(event, DigitPressed) else event.leg.handoff_id
        followed = self._followed.get(handoff_id)
        if followed is None:
            return
        series = followed.series
        match event:
            case LegRinging():
                series.ringing(event)
            case LegAnswered():
                self._call_back(followed, series.answer(event))
            case LegEnded():
                self._call_back(followed, series.hangup(event))
                self._finish(followed)
            case DigitPressed():
                self._call_back(followed, series.digit(event))

    def _hear_handoff(self, event: HandoffChanged) -> None:
        if event.state is HandoffState.REQUESTED:
            record = self._call_of(event.call_id)
            if record is not None:
                self._follow(event.handoff_id, event.request, record)
            return
        followed = self._followed.get(event.handoff_id)
        if followed is None:
            return
        if event.state is HandoffState.CONNECTED:
            self._call_back(followed, followed.series.connected())
        elif event.state.final:
            followed.final = event
            self._finish(followed)

    def _finish(self, followed: _Followed) -> None:
        """Say what became of a handoff once it is over and its human has hung up."""
        event = followed.final
        if event is None or followed.series.talking:
            return
        del self._followed[event.handoff_id]
        recordings = followed.record.recordings
        recorded = recordings[-1].path if recordings else ""
        self._send(followed, followed.action_url, followed.series.final(event, recorded))

    def _follow(self, handoff_id: str, request: HandoffRequest, record: CallRecord) -> bool:
        """Whether there is somebody to be told."""
        if request.callback_url is None and request.action_url is None:
            return False
        who = (record.caller, record.called)
        series = Series(handoff_id, record.call_id, *who, request.shared_id, record.placed)
        self._followed[handoff_id] = _Followed(series, request.callback_url, request.action_url, record)
        return True

    def _call_back(self, followed: _Followed, parameters: Parameters) -> None:
        self._send(followed, followed.callback_url, parameters)

    def _send(self, followed: _Followed, url: str | None, parameters: Parameters) -> None:
        """Have it sent, by this process or the next one; nothing where nobody wants it, or an earlier process has left
        the same request."""
        if url is None:
            return
        call_id, said = followed.series.call_id, _readable(parameters)
        is_early = self._resumed is not None and call_id in self._resumed
        if is_early and len(self._held) < MAX_WAITING:
            self._held.append((followed, url, said))
            return
        if (identity := id_of(said)) in self._known:
            return
        delivery = Delivery(parse_callback_url(url), said, identity)
        self._outbox.keep(call_id, delivery, url)
        self._put(call_id, delivery)

    # -- lanes -----------------------------------------------------------------------------------------------------

    def _put(self, call_id: str, delivery: Delivery) -> None:
        url, lane = delivery.url, self._lanes.get(call_id)
        receiver = self._receivers.get(url.receiver)
        if (
            self._waiting >= MAX_WAITING
            or (receiver is not None and receiver.waiting >= MAX_WAITING_OF_RECEIVER)
            or (lane is not None and len(lane) >= MAX_WAITING_OF_CALL)
        ):
            self._lose(call_id, delivery, "too many are waiting")
            return
        self._waiting += 1
        self._receivers.setdefault(url.receiver, _Receiver()).waiting += 1
        if lane is not None:
            lane.append(delivery)
            return
        lane = self._lanes[call_id] = deque([delivery])
        task = asyncio.get_running_loop().create_task(self._run(call_id, lane), name=f"webhooks {call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, call_id: str, lane: deque[Delivery]) -> None:
        """Send what is in a lane, one after the other, until it is empty."""
        try:
            while lane:
                await self._deliver(call_id, lane.popleft())
        finally:
            del self._lanes[call_id]

    async def _deliver(self, call_id: str, delivery: Delivery) -> None:
        name = delivery.url.receiver
        receiver = self._receivers[name]
        try:
            sender = _Turn(await self._sender_of_all(), receiver.places, self._places)
            await deliver(delivery, self._settings(), sender, self._note_retry)
            self.counters.taken += 1
            self._outbox.settled(delivery)
        except Lost as lost:
            self._lose(call_id, delivery, str(lost))
        except Exception:
            # A defect costs this request and no other.
            self.counters.lost += 1
            self._log.exception("webhook_defect", call_id=call_id, receiver=name)
        self._waiting -= 1
        receiver.waiting -= 1
        if not receiver.waiting:
            del self._receivers[name]

    async def _sender_of_all(self) -> Sender:
        """The sender; the first to ask waits until it is there, in a thread: libraries and certificates take 0.1 s."""
        if self._sender is None:
            async with self._opening:
                if self._sender is None:
                    self._sender = await asyncio.to_thread(self._open_sender)
        return self._sender

    def _note_retry(self) -> None:
        self.counters.tried_again += 1

    def _lose(self, call_id: str, delivery: Delivery, why: str) -> None:
        """Count a request as lost; one line per receiver and `LOG_INTERVAL`."""
        self.counters.lost += 1
        self._outbox.settled(delivery)
        assert self._once is not None, "started"
        receiver = delivery.url.receiver
        if (held := self._once.allow(receiver)) is not None:
            self._log.error(
                "webhook_lost",
                call_id=call_id,
                receiver=receiver,
                why=why,
                webhook_event=dict(delivery.parameters)["Event"],
                lost=self.counters.lost,
                held=held,
            )


def _readable(parameters: Parameters) -> Parameters:
    """What SIP brings may be no Unicode; what is signed must be what is sent."""
    return [(name, value.encode("utf-8", "replace").decode()) for name, value in parameters]


class _Turn:
    """A sender that sends when there is a place for one more request, to its receiver and in all."""

    def __init__(self, sender: Sender, of_receiver: asyncio.Semaphore, of_all: asyncio.Semaphore) -> None:
        self._sender = sender
        self._of_receiver = of_receiver
        self._of_all = of_all

    async def post(
        self,
        url: CallbackUrl,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        connect_timeout: float,
        read_timeout: float,
    ) -> int:
        """Wait for a place, then send."""
        async with self._of_receiver, self._of_all:
            return await self._sender.post(
                url, headers, body, connect_timeout=connect_timeout, read_timeout=read_timeout
            )

    async def close(self) -> None:
        """Nothing: the sender is everybody's."""
