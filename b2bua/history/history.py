"""Keeping and telling what became of calls and handoffs, over the store.

What this process does is kept as it happens; what any node did is told, also after the call, and after a restart. No
call waits for any of it. While the store does not answer, what this process did last is still told.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from b2bua.history.timeline import timeline, with_notes
from b2bua.store import Document, Kind, Place, Removal, Store, StoreUnavailable
from b2bua.telemetry.json_text import json_text

if TYPE_CHECKING:
    from b2bua.call.record import CallRecord, JsonObject
    from b2bua.handoff.handoff import Handoff
    from b2bua.history.notes import Annotation, Context, Resolution
    from b2bua.journal.closing import ClosedCall

TRANSFER_SECONDS = 300
"""How long `transfer:<call_id>` stands when nobody clears it."""
ENDED = "ended"
"""The group of all calls that have ended."""
MAX_ANNOTATIONS = 100
"""Of one call."""
_UNDER_WAY = ("requested", "dialing", "ringing")
_CONTEXTS = uuid.UUID("6d5c2f0e-6f1b-4b44-9b4e-2d7a3c0f9a11")
"""Where the ids of contexts with an idempotency key come from: the same key has the same id on every node."""


class Page(NamedTuple):
    """Some handoffs of a shared id, newest first."""

    handoffs: list[JsonObject]
    following: Place | None
    """Behind which the next page begins; None when this is the last."""
    complete: bool
    """False when the store did not answer, and these are the ones that this process knows by itself."""


class History:
    """Of one process."""

    def __init__(
        self, store: Store, node: str, seconds_kept: Callable[[], float], *, asked: bool = True
    ) -> None:
        """`seconds_kept` is asked for `context_ttl` whenever something is kept. `asked`: somebody can ask for calls; if
        nobody can, none is kept."""
        self._store = store
        self._node = node
        self._seconds_kept = seconds_kept
        self._asked = asked

    # -- keeping -------------------------------------------------------------------------------------------------------

    def keep_handoff(self, handoff: Handoff) -> None:
        """Keep a handoff as it is now, and the flag of its call for as long as it is under way."""
        created = handoff.clock.milliseconds(handoff.created)
        self._put(Kind.HANDOFF, handoff.id, self.shown(handoff), created, handoff.request.shared_id)
        if handoff.state == "requested":
            flag = {"handoff_id": handoff.id, "destination": handoff.destination, "node": self._node}
            expires = self._store.now_ms() + TRANSFER_SECONDS * 1000
            self._store.put(Document(Kind.TRANSFER, handoff.call_id, json_text(flag), created, expires))
        elif handoff.state not in _UNDER_WAY:
            self._store.put(Removal(Kind.TRANSFER, handoff.call_id))

    def keep_call(self, record: CallRecord, handoffs: Sequence[Handoff]) -> None:
        """Keep the story of a call that has ended."""
        if not self._asked:
            return
        ended = record.ended if record.ended is not None else record.started
        self._put(
            Kind.CALL, record.call_id, self.story(record, handoffs), record.clock.milliseconds(ended), ENDED
        )

    def keep_closed(self, call: ClosedCall) -> None:
        """Keep the story of a call that another process carried, and how its handoffs ended."""
        self._put(Kind.CALL, call.call_id, call.story, call.started, ENDED)
        # Also where the journal had not yet heard of the handoff that had set it.
        self._store.put(Removal(Kind.TRANSFER, call.call_id))
        for handoff in call.handoffs:
            created = round(datetime.fromisoformat(str(handoff["created"])).timestamp() * 1000)
            self._put(Kind.HANDOFF, str(handoff["id"]), handoff, created, str(handoff["shared_id"]))

    async def keep_context(self, context: Context) -> tuple[JsonObject, bool]:
        """Keep a handoff without a call; as it is shown, and whether the store has it.

        One with the same idempotency key is joined. Raises `StoreUnavailable` when it cannot be known if there is one.
        """
        key = context.idempotency_key
        handoff_id = uuid.uuid5(_CONTEXTS, key).hex if key else uuid.uuid4().hex
        if key and (known := await self.handoff(handoff_id)) is not None:
            return known, True
        now = self._store.now_ms()
        shown = context.as_json(handoff_id, self._node, _stamp(now))
        document = self._document(Kind.HANDOFF, handoff_id, shown, now, context.shared_id)
        kept = await self._store.keep(document)
        return {**shown, "resolution": None}, kept

    async def keep_resolution(self, handoff_id: str, resolution: Resolution) -> bool:
        """Keep what the human side says of a handoff, in the place of what it said before; whether the store has it."""
        now = self._store.now_ms()
        said = resolution.as_json(_stamp(now))
        return await self._store.keep(self._document(Kind.RESOLUTION, handoff_id, said, now))

    async def keep_annotation(self, call_id: str, annotation: Annotation) -> tuple[JsonObject, bool]:
        """Keep a note on a call; as it is shown, and whether the store has it."""
        now, annotation_id = self._store.now_ms(), uuid.uuid4().hex
        shown = annotation.as_json(annotation_id, _stamp(now))
        return shown, await self._store.keep(
            self._document(Kind.ANNOTATION, annotation_id, shown, now, call_id)
        )

    # -- telling -------------------------------------------------------------------------------------------------------

    def shown(self, handoff: Handoff) -> JsonObject:
        """A handoff as it is now."""
        return {"channel": "voice", "node": self._node, **handoff.as_json()}

    def story(self, record: CallRecord, handoffs: Sequence[Handoff]) -> JsonObject:
        """A call as it is now, without the notes on it."""
        whole = record.as_json()
        whole["handoffs"] = [self.shown(handoff) for handoff in handoffs]
        whole["timeline"] = timeline(record, handoffs)
        return whole

    async def handoff(self, handoff_id: str) -> JsonObject | None:
        """A handoff that is kept. Raises `StoreUnavailable`."""
        found = await self._store.read(Kind.HANDOFF, [handoff_id])
        if handoff_id not in found:
            return None
        (handoff,) = await self.with_resolutions([_decode(found[handoff_id])])
        return handoff

    async def handoffs(self, shared_id: str, before: Place | None, limit: int) -> Page:
        """A page of the handoffs that carry this id. Raises `StoreUnavailable` when none of them is known here."""
        try:
            found = await self._store.find(Kind.HANDOFF, shared_id, before=before, limit=limit + 1)
            complete = True
        except StoreUnavailable:
            found = self._store.remembered_of(Kind.HANDOFF, shared_id, before=before, limit=limit + 1)
            complete = False
            if not found:
                raise
        shown = await self.with_resolutions(_decode(each.body) for each in found[:limit])
        return Page(shown, found[limit - 1].place if len(found) > limit else None, complete)

    async def with_resolutions(self, handoffs: Iterable[JsonObject]) -> list[JsonObject]:
        """Handoffs with what the human side said of them, as far as it is known."""
        shown = list(handoffs)
        if not shown:
            return []
        ids = [str(handoff["id"]) for handoff in shown]
        try:
            said = await self._store.read(Kind.RESOLUTION, ids)
        except StoreUnavailable:
            said = self._store.remembered(Kind.RESOLUTION, ids)
        return [_resolved(handoff, said.get(str(handoff["id"]))) for handoff in shown]

    async def call(self, call_id: str) -> JsonObject | None:
        """A call that has ended, with the notes on it. Raises `StoreUnavailable`."""
        found = await self._store.read(Kind.CALL, [call_id])
        return None if call_id not in found else await self.with_notes(_decode(found[call_id]))

    async def with_notes(self, story: JsonObject) -> JsonObject:
        """A call with what was said about it, as far as it is known."""
        handoffs = await self.with_resolutions(cast("list[JsonObject]", story["handoffs"]))
        notes = await self.annotations(str(story["call_id"]))
        whole = {**story, "handoffs": handoffs, "annotations": notes}
        whole["timeline"] = with_notes(whole)
        return whole

    async def annotations(self, call_id: str) -> list[JsonObject]:
        """The notes on a call, the oldest first, as far as they are known."""
        try:
            found = await self._store.find(Kind.ANNOTATION, call_id, limit=MAX_ANNOTATIONS)
        except StoreUnavailable:
            found = self._store.remembered_of(Kind.ANNOTATION, call_id, limit=MAX_ANNOTATIONS)
        return [_decode(each.body) for each in reversed(found)]

    async def ended_calls(self, limit: int) -> list[JsonObject]:
        """Calls that have ended, of all nodes, the last one first; those of this process while the store is gone."""
        try:
            found = await self._store.find(Kind.CALL, ENDED, limit=limit)
        except StoreUnavailable:
            found = self._store.remembered_of(Kind.CALL, ENDED, limit=limit)
        return [_decode(each.body) for each in found]

    def _put(self, kind: Kind, key: str, body: JsonObject, created: int, group: str) -> None:
        self._store.put(self._document(kind, key, body, created, group))

    def _document(self, kind: Kind, key: str, body: JsonObject, created: int, group: str = "") -> Document:
        expires = created + round(self._seconds_kept() * 1000)
        return Document(kind, key, json_text(body), created, expires, group)


def _resolved(handoff: JsonObject, said: str | None) -> JsonObject:
    resolution = None if said is None else _decode(said)
    # A conversation that is no call has no other end than what the human side says.
    state = "completed" if resolution and handoff["channel"] != "voice" else handoff["state"]
    return {**handoff, "state": state, "resolution": resolution}


def _decode(body: str) -> JsonObject:
    return cast("JsonObject", json.loads(body))


def _stamp(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds") + "Z"
