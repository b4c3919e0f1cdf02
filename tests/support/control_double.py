"""A `Control` without calls behind it: what the API asked of it, and answers made of the program's own values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from b2bua.call import cause
from b2bua.call.clock import CallClock
from b2bua.call.record import AttemptRecord, CallRecord, JsonObject, LegRecord, RecordingRecord
from b2bua.call.recording import RecordVerb
from b2bua.call_order import CallOrder
from b2bua.config import Configuration, Destination, ReloadResult
from b2bua.control import Control, ControlError, Drain
from b2bua.feed import Feed
from b2bua.handoff.consultation import ConsultPhase, ConsultVerb
from b2bua.handoff.handoff import Handoff, HandoffRequest, HandoffState
from b2bua.headers import HeaderRefused, Variables, render
from b2bua.history import Annotation, Context, Page, Resolution
from b2bua.store import Place, StoreStatus
from b2bua.trace import Ladder, Step
from b2bua.trace.ladder import Participant


class ControlDouble:
    """One answered call `call-1`, one unanswered `call-2`, one that has ended `call-3`."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.draining = False
        self.feed = Feed()
        self.reload_result = ReloadResult(configuration)
        self.reloads = 0
        self.requests: list[HandoffRequest] = []
        self.orders: list[CallOrder] = []
        self.live: dict[str, Handoff] = {}
        self.hung_up: list[str] = []
        self.contexts: dict[str, JsonObject] = {}
        self.resolutions: dict[str, JsonObject] = {}
        self.annotations: dict[str, list[JsonObject]] = {}
        self.store = StoreStatus("sqlite", available=True, waiting=0, written=3, lost=0, failures=0)
        self.rtpengine: JsonObject | None = {"nodes": 2, "up": 1}
        self.asked_page: tuple[Place | None, int] | None = None
        self.asked_limit = 0
        self.defect: Exception | None = None
        self._numbers = count(1)
        self._clock = CallClock(0.0)
        self._records = {f"call-{number}": self._record(f"call-{number}") for number in (1, 2, 3)}
        self._records["call-1"].answered = 1.0
        self._records["call-3"].ended = 2.0
        self._records["call-3"].outcome = cause.local("normal_hangup")

    async def calls(self, *, limit: int) -> list[JsonObject]:
        if self.defect is not None:
            raise self.defect
        self.asked_limit = limit
        names = ("call_id", "trunk", "caller", "called", "started", "answered", "ended", "outcome")
        full = [record.as_json() for record in self._records.values()]
        return [{name: call[name] for name in names} for call in full][:limit]

    async def call(self, call_id: str) -> JsonObject:
        record = self._known(call_id)
        handoffs = [self._shown(handoff) for handoff in self.live.values() if handoff.call_id == call_id]
        notes = self.annotations.get(call_id, [])
        timeline = [{"at": None, "event": "received"}]
        return {**record.as_json(), "handoffs": handoffs, "annotations": notes, "timeline": timeline}

    async def trace(self, call_id: str) -> Ladder:
        self._known(call_id)
        if call_id == "call-3":
            raise ControlError(404, "trace_not_found", "none is kept")
        step = Step(
            at=1.0,
            stamp="1970-01-01T00:00:01.000Z",
            elapsed=0.0,
            whom=0,
            sent=False,
            transport="udp",
            local=("192.0.2.1", 5060),
            remote=("192.0.2.2", 5060),
            again=False,
            title="INVITE",
            data=b"INVITE sip:x SIP/2.0\r\n\r\n",
        )
        return Ladder(call_id, (Participant("caller", "192.0.2.2:5060"),), (step,), 0)

    async def hang_up(self, call_id: str) -> None:
        if self._known(call_id).ended is not None:
            raise ControlError(409, "call_ended", "the call has ended")
        self.hung_up.append(call_id)

    async def place_call(self, order: CallOrder) -> JsonObject:
        self.orders.append(order)
        if order.call_id:
            await self.hand_off(order.call_id, order.request)
            return await self.call(order.call_id)
        self._check(order.request)
        return await self.call("call-1")

    async def bridge(self, call_id: str, other: str) -> JsonObject:
        for each in (self._known(call_id), self._known(other)):
            if each.ended is not None:
                raise ControlError(409, "call_ended", "the call has ended")
            if each.answered is None:
                raise ControlError(409, "call_not_answered", "nobody has answered the call")
        return await self.call(call_id)

    async def record(self, call_id: str, verb: RecordVerb) -> JsonObject:
        record = self._known(call_id)
        if record.ended is not None:
            raise ControlError(409, "call_ended", "the call has ended")
        if verb == "start":
            if record.answered is None:
                raise ControlError(409, "call_not_answered", "nobody has answered the call")
            record.recordings.append(RecordingRecord(f"recordings/{call_id}.wav", started=1.0))
        if not record.recordings:
            raise ControlError(409, "not_recording", "the call is not being recorded")
        if verb != "start":
            record.recordings[-1].state = "paused" if verb == "pause" else "recording"
        made = record.recordings.pop() if verb == "stop" else record.recordings[-1]
        return made.as_json(record.clock)

    async def hand_off(self, call_id: str, request: HandoffRequest) -> JsonObject:
        record = self._known(call_id)
        self.requests.append(request)
        if record.ended is not None:
            raise ControlError(409, "call_ended", "the call has ended")
        if record.answered is None:
            raise ControlError(409, "call_not_answered", "nobody has answered the call")
        self._check(request)
        running = next((h for h in self.live.values() if not h.state.final), None)
        if running is not None:
            if request.idempotency_key and running.request.idempotency_key == request.idempotency_key:
                return self._shown(running)
            raise ControlError(409, "handoff_running", "a handoff of this call is running")
        return self._shown(self._begin(call_id, request))

    async def handoff(self, handoff_id: str) -> JsonObject:
        if handoff_id in self.contexts:
            return self._with_resolution(self.contexts[handoff_id])
        return self._shown(self._handoff(handoff_id))

    async def handoffs(self, shared_id: str, *, before: Place | None, limit: int) -> Page:
        self.asked_page = before, limit
        found = [self._shown(each) for each in self.live.values() if each.request.shared_id == shared_id]
        found += [each for each in self.contexts.values() if each["shared_id"] == shared_id]
        following = Place(17, "handoff1") if len(found) > limit else None
        return Page(found[::-1][:limit], following, complete=self.store.available)

    async def cancel_handoff(self, handoff_id: str) -> JsonObject:
        handoff = self._handoff(handoff_id)
        if handoff.state.final:
            raise ControlError(409, "handoff_final", "the handoff has ended")
        handoff.state = HandoffState.CANCELLED
        handoff.outcome = cause.local("normal_hangup", source="api")
        return self._shown(handoff)

    async def add_context(self, context: Context) -> tuple[JsonObject, bool]:
        handoff_id = f"context{next(self._numbers)}"
        at = "2026-01-01T00:00:00.000Z"
        self.contexts[handoff_id] = {**context.as_json(handoff_id, "node", at), "resolution": None}
        return self.contexts[handoff_id], self.store.available

    async def resolve(self, handoff_id: str, resolution: Resolution) -> tuple[JsonObject, bool]:
        await self.handoff(handoff_id)
        self.resolutions[handoff_id] = resolution.as_json("2026-01-01T00:00:00.000Z")
        return await self.handoff(handoff_id), self.store.available

    async def annotate(self, call_id: str, annotation: Annotation) -> tuple[JsonObject, bool]:
        self._known(call_id)
        notes = self.annotations.setdefault(call_id, [])
        if len(notes) == 100:
            raise ControlError(409, "too_many_annotations", "the call has 100 annotations")
        notes.append(annotation.as_json(f"note-{next(self._numbers)}", "2026-01-01T00:00:00.000Z"))
        return notes[-1], self.store.available

    async def consult(self, handoff_id: str, verb: ConsultVerb) -> JsonObject:
        handoff = self._handoff(handoff_id)
        if handoff.state.final:
            raise ControlError(409, "handoff_final", "the handoff has ended")
        if handoff.consult is None:
            raise ControlError(409, "not_consulting", "without consult")
        handoff.consult = {
            "brief": ConsultPhase.BRIEFING,
            "introduce": ConsultPhase.INTRODUCING,
            "accept": ConsultPhase.ACCEPTED,
            "decline": ConsultPhase.DECLINED,
        }[verb]
        return self._shown(handoff)

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        return b"# HELP up 1.\n# TYPE up gauge\nup 1.0\n", "text/plain; version=0.0.4; charset=utf-8"

    def trunks(self) -> list[JsonObject]:
        registration = {
            "registrar": "sip:gw.acme.example",
            "address_of_record": "sip:us@gw.acme.example",
            "state": "failed",
            "expires": None,
            "next": self._clock.stamp(30.0),
            "failures": 1,
            "sip_status": None,
            "sip_reason": "no response",
        }
        names = self.configuration.trunks
        return [{"name": name, "reachability": "up", "registrations": [registration]} for name in names]

    def reachability(self, destination: Destination) -> str | None:
        return None

    def drain(self) -> Drain:
        self.draining = True
        return Drain(len(self._records), 30.0)

    async def reload(self) -> ReloadResult:
        self.reloads += 1
        return self.reload_result

    # -- behind it -----------------------------------------------------------------------------------------------

    def finish(self, handoff_id: str) -> None:
        """Let the human and the caller have talked."""
        handoff = self.live[handoff_id]
        handoff.state, handoff.outcome = HandoffState.COMPLETED, cause.local("normal_hangup")
        for attempt in handoff.attempts:
            attempt.close(3.0, handoff.outcome)

    def _handoff(self, handoff_id: str) -> Handoff:
        if handoff_id not in self.live:
            if not self.store.available:
                raise ControlError(503, "store_unavailable", "the store does not answer")
            raise ControlError(404, "handoff_not_found", "no such handoff")
        return self.live[handoff_id]

    def _shown(self, handoff: Handoff) -> JsonObject:
        return self._with_resolution({"channel": "voice", "node": "node", **handoff.as_json()})

    def _with_resolution(self, handoff: JsonObject) -> JsonObject:
        return {**handoff, "resolution": self.resolutions.get(str(handoff["id"]))}

    def _known(self, call_id: str) -> CallRecord:
        if call_id not in self._records:
            raise ControlError(404, "call_not_found", "no such call")
        return self._records[call_id]

    def _check(self, request: HandoffRequest) -> None:
        if request.destination is not None and request.destination not in self.configuration.destinations:
            raise ControlError(400, "unknown_destination", "no such destination", "destination")
        for index, uri in enumerate(request.route):
            if not self.configuration.policy.allows(uri):
                raise ControlError(400, "policy_refused", "not allowed by policy", f"route[{index}]")

    def _begin(self, call_id: str, request: HandoffRequest) -> Handoff:
        destination = request.destination or ""
        handoff = Handoff(
            id=f"handoff-{next(self._numbers)}",
            call_id=call_id,
            request=request,
            first=next(iter(self.configuration.destinations.values())),
            method="invite",
            destination=destination,
            created=1.0,
            updated=1.0,
            clock=self._clock,
            state=HandoffState.DIALING,
            consult=ConsultPhase.WAITING if request.consult else None,
        )
        try:
            rendered = render({}, request.sip_headers, Variables())
        except HeaderRefused as error:
            raise AssertionError("the API has let a header through that cannot be sent") from error
        handoff.headers_sent, handoff.headers_dropped = rendered.sent, rendered.dropped
        for uri in _targets(request):
            handoff.attempts.append(AttemptRecord(destination, "invite", uri, "udp/rtp", started=1.0))
        self.live[handoff.id] = handoff
        return handoff

    def _record(self, call_id: str) -> CallRecord:
        return CallRecord(
            call_id=call_id,
            session_id="session",
            node="node",
            trunk="sbc",
            # What a careless phone sends in ISO 8859-1 arrives as surrogates.
            caller="sip:j\udcfcrgen@192.0.2.1",
            called="support",
            started=0.0,
            clock=self._clock,
            legs=[LegRecord("caller", "id", "a", "b", "192.0.2.1:5060", "udp", started=0.0)],
        )


def _targets(request: HandoffRequest) -> Sequence[str]:
    return request.route or ("sip:operator@pbx.example.com",)


def as_control(double: ControlDouble) -> Control:
    """The double as what it stands for; a type checker compares them here."""
    return double
