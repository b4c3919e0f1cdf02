"""The running B2BUA behind the HTTP API: `Control` over the calls, and what is remembered of those that ended."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from b2bua.call.events import HandoffStopped, HangUp
from b2bua.control import ControlError
from b2bua.handoff.begin import begin
from b2bua.handoff.consultation import tell

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.record import CallRecord, JsonObject
    from b2bua.call.registry import CallRegistry
    from b2bua.call.services import Records
    from b2bua.config import Configuration, ReloadResult
    from b2bua.feed import Feed
    from b2bua.handoff.consultation import ConsultVerb
    from b2bua.handoff.handoff import Handoff, HandoffRequest

REMEMBERED = 1000
"""Ended calls, and their handoffs, that the API can still tell about."""

_SHORT = ("call_id", "trunk", "caller", "called", "started", "answered", "ended", "outcome")


class Operations:
    """Implements `Control`. Also stands between the calls and the record file, to remember what passes."""

    def __init__(self, records: Records, reload: Callable[[], Awaitable[ReloadResult]]) -> None:
        self._records = records
        self._reload = reload
        self._ended: OrderedDict[str, tuple[CallRecord, list[Handoff]]] = OrderedDict()
        self._handoffs: OrderedDict[str, Handoff] = OrderedDict()
        self.registry: CallRegistry
        """Set once, before the first call; it tells `remember` of every handoff."""

    def write(self, record: CallRecord) -> None:
        """Pass a finished record on, and remember it: the values only, the call itself is let go."""
        self._records.write(record)
        if self.configuration.api is None:
            return
        call = self.registry.calls.get(record.call_id)
        self._ended[record.call_id] = record, [] if call is None else call.handoffs
        while len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

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

    def calls(self, *, limit: int) -> list[JsonObject]:
        """Live calls, then recent ones, newest first; each in short."""
        live = [call.record for call in reversed(self.registry.calls.values())]
        ended = [record for record, _ in reversed(self._ended.values())]
        records = [*live, *(record for record in ended if record.call_id not in self.registry.calls)]
        shown = [record.as_json() for record in records[:limit]]
        return [{key: whole[key] for key in _SHORT} for whole in shown]

    def call(self, call_id: str) -> JsonObject:
        """One call in full."""
        call = self.registry.calls.get(call_id)
        record, handoffs = (call.record, call.handoffs) if call is not None else self._remembered(call_id)
        whole = record.as_json()
        if call is not None:
            whole["media"] = call.media_statistics()
        whole["handoffs"] = [handoff.as_json() for handoff in handoffs]
        whole["timeline"] = _timeline(record, handoffs)
        return whole

    def hang_up(self, call_id: str) -> None:
        """End a call toward every side."""
        self._live(call_id).inbox.put(HangUp("api"))

    def hand_off(self, call_id: str, request: HandoffRequest) -> Handoff:
        """Begin a handoff, or join the one with the same idempotency key."""
        if call_id not in self.registry.calls and request.idempotency_key:
            for known in self._remembered(call_id)[1]:
                if known.request.idempotency_key == request.idempotency_key:
                    return known
        return begin(self._live(call_id), request)

    def remember(self, handoff: Handoff) -> None:
        """Keep a handoff where its id and shared id find it."""
        self._handoffs[handoff.id] = handoff
        while len(self._handoffs) > REMEMBERED:
            self._handoffs.popitem(last=False)

    def handoff(self, handoff_id: str) -> Handoff:
        """One handoff, live or recent."""
        found = self._handoffs.get(handoff_id)
        if found is None:
            raise ControlError(404, "handoff_not_found", "no such handoff")
        return found

    def handoffs(self, shared_id: str) -> list[Handoff]:
        """The handoffs that carry this id of the application, newest first."""
        return [each for each in reversed(self._handoffs.values()) if each.request.shared_id == shared_id]

    def cancel_handoff(self, handoff_id: str) -> Handoff:
        """Stop a handoff that is not connected yet."""
        handoff = self.handoff(handoff_id)
        if not handoff.can_be_stopped:
            raise ControlError(409, "handoff_final", f"the handoff is {handoff.state}")
        call = self.registry.calls.get(handoff.call_id)
        if call is not None:
            call.inbox.put(HandoffStopped(handoff))
        return handoff

    def consult(self, handoff_id: str, verb: ConsultVerb) -> Handoff:
        """Say what comes next in a consultation."""
        handoff = self.handoff(handoff_id)
        call = self.registry.calls.get(handoff.call_id)
        if call is None:
            raise ControlError(409, "handoff_final", f"the handoff is {handoff.state}")
        tell(call, handoff, verb)
        return handoff

    async def reload(self) -> ReloadResult:
        """Take the edited configuration; a bad one changes nothing."""
        return await self._reload()

    def _live(self, call_id: str) -> Call:
        call = self.registry.calls.get(call_id)
        if call is None or call.over:
            self._remembered(call_id)
            raise ControlError(409, "call_ended", "the call has ended")
        return call

    def _remembered(self, call_id: str) -> tuple[CallRecord, list[Handoff]]:
        found = self._ended.get(call_id)
        if found is None:
            raise ControlError(404, "call_not_found", "no such call")
        return found


def _timeline(record: CallRecord, handoffs: list[Handoff]) -> list[JsonObject]:
    """What happened when, from the times that records keep anyway."""
    clock = record.clock
    moments: list[tuple[float | None, str, str]] = [(record.started, "received", "caller")]
    for attempt in [*record.attempts, *(each for handoff in handoffs for each in handoff.attempts)]:
        moments += [
            (attempt.started, "dialing", attempt.destination),
            (attempt.challenged, "challenged", attempt.destination),
            (attempt.ringing, "ringing", attempt.destination),
            (attempt.answered, "answered", attempt.destination),
            (attempt.ended, "ended", attempt.destination),
        ]
    for handoff in handoffs:
        moments.append((handoff.created, "handoff", handoff.destination))
        if handoff.state.final:
            moments.append((handoff.updated, f"handoff {handoff.state}", handoff.destination))
    moments += [(record.answered, "answered", "caller"), (record.ended, "ended", "caller")]
    known = [(at, event, who) for at, event, who in moments if at is not None]
    return [{"at": clock.stamp(at), "event": event, "who": who} for at, event, who in sorted(known)]
