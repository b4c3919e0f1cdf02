"""The running B2BUA behind the HTTP API: `Control` over the live calls, and over the history of those that ended."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING

from b2bua import far_ends
from b2bua.call import joining, recording
from b2bua.call.clock import CallClock
from b2bua.call.events import HandoffStopped, HangUp
from b2bua.control import ControlError, Drain
from b2bua.feed import Entry, HandoffChanged
from b2bua.handoff.begin import begin
from b2bua.handoff.consultation import tell
from b2bua.handoff.handoff import HandoffState
from b2bua.history.history import MAX_ANNOTATIONS
from b2bua.journal.closing import story_of
from b2bua.store import StoreUnavailable
from b2bua.trace.ladder import Ladder, ladder_of

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.record import CallRecord, JsonObject
    from b2bua.call.recording import RecordVerb
    from b2bua.call.registry import CallRegistry
    from b2bua.call.services import Records
    from b2bua.call_order import CallOrder
    from b2bua.config import Configuration, Destination, ReloadResult
    from b2bua.feed import Feed
    from b2bua.handoff.consultation import ConsultVerb
    from b2bua.handoff.handoff import Handoff, HandoffRequest
    from b2bua.history import Annotation, Context, History, Page, Resolution
    from b2bua.journal import Journal
    from b2bua.metrics.exposition import Exposition
    from b2bua.store import Place, Store, StoreStatus

JOINABLE = 1000
"""Idempotency keys of ended calls that are remembered."""

_SHORT = ("call_id", "trunk", "caller", "called", "started", "answered", "ended", "outcome")


class Operations:
    """Implements `Control`. Also stands between the calls and the record file, and keeps what passes."""

    def __init__(
        self,
        records: Records,
        store: Store,
        history: History,
        journal: Journal,
        reload: Callable[[], Awaitable[ReloadResult]],
    ) -> None:
        self._records = records
        self._store = store
        self._history = history
        self._journal = journal
        self._reload = reload
        self._handoffs: dict[str, Handoff] = {}
        """Those of live calls, by id."""
        self._keys: OrderedDict[tuple[str, str], str] = OrderedDict()
        """Idempotency keys of calls that have ended, and the handoffs they began."""
        self._placed: OrderedDict[str, str] = OrderedDict()
        """Calls of ours by idempotency key."""
        self.registry: CallRegistry
        """Set once, before the first call."""
        self.begin_drain: Callable[[], float]
        """Set once: begins the drain, and says how long it may take."""
        self.exposition: Exposition
        """Set once, before the API serves."""

    # -- what calls tell -----------------------------------------------------------------------------------------------

    def write(self, record: CallRecord) -> None:
        """Pass a finished record on, and keep the story of its call; the call itself is let go."""
        self._records.write(record)
        call = self.registry.calls.get(record.call_id)
        handoffs = [] if call is None else call.handoffs
        self._history.keep_call(record, handoffs)
        for handoff in handoffs:
            self._handoffs.pop(handoff.id, None)
            if handoff.request.idempotency_key:
                self._keys[record.call_id, handoff.request.idempotency_key] = handoff.id
        while len(self._keys) > JOINABLE:
            self._keys.popitem(last=False)

    def remember(self, handoff: Handoff) -> None:
        """Find a handoff by its id from now on, while its call lives."""
        self._handoffs[handoff.id] = handoff

    def hear(self, entry: Entry) -> None:
        """Keep a handoff that has changed."""
        event = entry.event
        if (
            isinstance(event, HandoffChanged)
            and (handoff := self._handoffs.get(event.handoff_id)) is not None
        ):
            self._history.keep_handoff(handoff)

    # -- the process ---------------------------------------------------------------------------------------------------

    @property
    def configuration(self) -> Configuration:
        """The snapshot that the next call starts with."""
        return self.registry.configuration

    @property
    def feed(self) -> Feed:
        """What happens to calls and handoffs, as it happens."""
        return self.registry.services.feed

    @property
    def draining(self) -> bool:
        """True when new calls are refused."""
        return self.registry.draining

    @property
    def store(self) -> StoreStatus:
        """How the store does."""
        return self._store.status

    @property
    def rtpengine(self) -> JsonObject | None:
        """How many daemons there are, and how many of them are up; None without any."""
        return far_ends.rtpengine(self.registry.services)

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """All metrics, and the media type that they are in."""
        return await self.exposition.text(accept)

    def trunks(self) -> list[JsonObject]:
        """Every trunk: whether it can be reached, and how our registrations there do."""
        return far_ends.trunks(self.configuration, self.registry.services)

    def reachability(self, destination: Destination) -> str | None:
        """What pings say of a destination."""
        return far_ends.of_destination(destination, self.registry.services)

    async def reload(self) -> ReloadResult:
        """Take the edited configuration; a bad one changes nothing."""
        return await self._reload()

    # -- calls ---------------------------------------------------------------------------------------------------------

    def drain(self) -> Drain:
        """Refuse new calls, and end the process when those that run have ended."""
        return Drain(len(self.registry.calls), self.begin_drain())

    async def calls(self, *, limit: int) -> list[JsonObject]:
        """Live calls, then recent ones, newest first; each in short."""
        up = (call.record for call in reversed(self.registry.calls.values()) if not call.recorded)
        live = list(islice(up, limit))
        shown = [record.as_json() for record in live]
        if len(live) < limit:
            shown += await self._history.ended_calls(limit - len(live))
        return [{key: whole[key] for key in _SHORT} for whole in shown]

    async def call(self, call_id: str) -> JsonObject:
        """One call in full."""
        call = self.registry.calls.get(call_id)
        if call is None or call.recorded:
            return await self._not_here(call_id)
        call.note_statistics()
        return await self._history.with_notes(self._history.story(call.record, call.handoffs))

    async def trace(self, call_id: str) -> Ladder:
        """The SIP messages of a call."""
        services = self.registry.services
        traced = None if services.trace is None else services.trace.of_call(call_id)
        if traced is not None:
            return ladder_of(traced, CallClock(services.now()))
        await self.call(call_id)
        raise ControlError(404, "trace_not_found", "no trace of this call is kept")

    async def hang_up(self, call_id: str) -> None:
        """End a call toward every side."""
        (await self._live(call_id)).inbox.put(HangUp("api"))

    async def record(self, call_id: str, verb: RecordVerb) -> JsonObject:
        """Begin, pause, resume or end the recording of a call."""
        call = await self._live(call_id)
        return recording.tell(call, verb).as_json(call.record.clock)

    async def annotate(self, call_id: str, annotation: Annotation) -> tuple[JsonObject, bool]:
        """Keep a note on a call, live or ended."""
        if call_id not in self.registry.calls:
            await self._not_here(call_id)
        if len(await self._history.annotations(call_id)) >= MAX_ANNOTATIONS:
            raise ControlError(409, "too_many_annotations", f"the call has {MAX_ANNOTATIONS} annotations")
        return await self._history.keep_annotation(call_id, annotation)

    async def place_call(self, order: CallOrder) -> JsonObject:
        """Place a call, or begin a consultation beside a live one."""
        key = order.request.idempotency_key
        if order.call_id:
            await self.hand_off(order.call_id, order.request)
            return await self.call(order.call_id)
        known = self._placed.get(key)
        if known is None or not key:
            known = self.registry.place(order).id
        if key:
            self._placed[key] = known
        while len(self._placed) > JOINABLE:
            self._placed.popitem(last=False)
        return await self.call(known)

    async def bridge(self, call_id: str, other: str) -> JsonObject:
        """Join two calls."""
        joining.bridge(await self._live(call_id), await self._live(other))
        return await self.call(call_id)

    # -- handoffs ------------------------------------------------------------------------------------------------------

    async def hand_off(self, call_id: str, request: HandoffRequest) -> JsonObject:
        """Begin a handoff, or join the one with the same idempotency key."""
        known = self._keys.get((call_id, request.idempotency_key))
        if known is not None and request.idempotency_key:
            return await self.handoff(known)
        return (await self._shown([begin(await self._live(call_id), request)]))[0]

    async def handoff(self, handoff_id: str) -> JsonObject:
        """One handoff, live or kept."""
        live = self._handoffs.get(handoff_id)
        if live is not None:
            return (await self._shown([live]))[0]
        async with _answering():
            kept = await self._history.handoff(handoff_id)
        if kept is None:
            raise ControlError(404, "handoff_not_found", "no such handoff")
        return kept

    async def handoffs(self, shared_id: str, *, before: Place | None, limit: int) -> Page:
        """The handoffs that carry this id of the application, newest first, of all nodes."""
        async with _answering():
            page = await self._history.handoffs(shared_id, before, limit)
        now = [
            {**kept, **self._history.shown(live)} if (live := self._handoffs.get(str(kept["id"]))) else kept
            for kept in page.handoffs
        ]
        return page._replace(handoffs=now)

    async def consult(self, handoff_id: str, verb: ConsultVerb) -> JsonObject:
        """Say what comes next in a consultation."""
        handoff = await self._of_live_call(handoff_id)
        call = self.registry.calls.get(handoff.call_id)
        if call is None:
            raise ControlError(409, "handoff_final", f"the handoff is {handoff.state}")
        tell(call, handoff, verb)
        return (await self._shown([handoff]))[0]

    async def cancel_handoff(self, handoff_id: str) -> JsonObject:
        """Stop a handoff that is not connected yet."""
        handoff = await self._of_live_call(handoff_id)
        if not handoff.can_be_stopped:
            raise ControlError(409, "handoff_final", f"the handoff is {handoff.state}")
        call = self.registry.calls.get(handoff.call_id)
        if call is not None:
            call.inbox.put(HandoffStopped(handoff))
        return (await self._shown([handoff]))[0]

    async def add_context(self, context: Context) -> tuple[JsonObject, bool]:
        """Keep a handoff of a conversation that is no call."""
        async with _answering():
            return await self._history.keep_context(context)

    async def resolve(self, handoff_id: str, resolution: Resolution) -> tuple[JsonObject, bool]:
        """Keep what the human side says became of a handoff."""
        await self.handoff(handoff_id)
        kept = await self._history.keep_resolution(handoff_id, resolution)
        return await self.handoff(handoff_id), kept

    async def _shown(self, handoffs: Iterable[Handoff]) -> list[JsonObject]:
        return await self._history.with_resolutions([self._history.shown(each) for each in handoffs])

    async def _of_live_call(self, handoff_id: str) -> Handoff:
        handoff = self._handoffs.get(handoff_id)
        if handoff is None:
            kept = await self.handoff(handoff_id)
            if kept["channel"] == "voice" and not HandoffState(str(kept["state"])).final:
                raise ControlError(409, "call_elsewhere", f"its call is up at node {kept['node']}")
            raise ControlError(409, "handoff_final", f"the handoff is {kept['state']}")
        return handoff

    async def _live(self, call_id: str) -> Call:
        call = self.registry.calls.get(call_id)
        if call is None or call.over:
            told = await self.call(call_id)
            if told["ended"] is None:
                raise ControlError(409, "call_elsewhere", f"the call is up at node {told['node']}")
            raise ControlError(409, "call_ended", "the call has ended")
        return call

    async def _not_here(self, call_id: str) -> JsonObject:
        """The story of a call that has ended, or is up on another node."""
        async with _answering():
            found = await self._history.call(call_id)
            if found is None and (record := await self._journal.record_of(call_id)) is not None:
                found = await self._history.with_notes(story_of(record))
        if found is None:
            raise ControlError(404, "call_not_found", "no such call")
        return found


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """What cannot be answered without the store, while that does not answer, is 503."""
    try:
        yield
    except StoreUnavailable:
        raise ControlError(
            503, "store_unavailable", "the store does not answer, and this is not known here"
        ) from None
