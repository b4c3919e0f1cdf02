"""The running calls: where a SIP event finds its leg, and where a new call is let in or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING

from b2bua.call import cause, story
from b2bua.call.audio_protection import unusable
from b2bua.call.call import Call
from b2bua.call.codecs import of_call
from b2bua.call.events import CallEvent, ShutDown
from b2bua.call.far_end import caller_of_trunk
from b2bua.call.inbox import Inbox
from b2bua.call.joining import lasting
from b2bua.call.leg import Leg, deliver_to_leg
from b2bua.call.limits import Limits
from b2bua.call.new_leg import open_leg, read_offer
from b2bua.call.new_record import record_of_invite
from b2bua.call.placing import errand_of, placed_call
from b2bua.call.received_leg import ReceivedLeg
from b2bua.call.record import CallRecord
from b2bua.call.replacing import is_dialled_at, replace_leg
from b2bua.control import ControlError
from b2bua.feed import HandoffChanged, RecordingChanged
from b2bua.handoff.begin import place_of
from b2bua.handoff.referral import receive_refer
from b2bua.headers import MAX_HOPS, hops_of
from b2bua.inquiry import Inquiry
from b2bua.telemetry.logs import Logger, get_logger
from b2bua.trunks import Trunks
from media.engine import NoAddress, PortsExhausted
from sip_stack.dialog.replaces import Replaces
from sip_stack.errors import RemoteError
from sip_stack.events import Event, InviteReceived, InviteRefused, OutOfDialogCompleted
from sip_stack.refusals import Refusal

if TYPE_CHECKING:
    from b2bua.call.services import Services
    from b2bua.call_order import CallOrder
    from b2bua.config import Configuration, Route, Trunk
    from b2bua.handoff.handoff import Handoff
    from sip_stack.dialog.uas import ServerSession
    from sip_stack.message import Request

RETRY_AFTER = "5"
"""Seconds a refused peer is asked to wait (RFC 3261 section 20.33)."""


LAST_WORDS = 10.0
"""Seconds that calls get to end once they are told to: what they wait for then, a look-up at most, takes no longer."""


class Refused(Exception):
    """A new call is not let in; `headers` go into the refusal."""

    def __init__(self, outcome: cause.Outcome, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome
        self.headers = headers


def _overload(limit: str) -> Refused:
    return Refused(cause.local("overload", detail=limit), (("Retry-After", RETRY_AFTER),))


class CallRegistry:
    """Owns every running call and its task.

    `configuration` may be replaced at any time: it is what the next call starts with.
    """

    def __init__(self, services: Services, configuration: Configuration) -> None:
        self.services = services
        self.trunks = Trunks(configuration, services.now, services.bindings)
        self.calls: dict[str, Call] = {}
        self.on_handoff: Callable[[Handoff], None] = lambda handoff: None
        """Told of every handoff that begins in any call."""
        self.failures = 0
        self._limits = Limits()
        services.feed.listen(services.counters, [HandoffChanged, RecordingChanged])
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._log = get_logger()

    @property
    def draining(self) -> bool:
        """True when new calls are refused, and OPTIONS too. To be set."""
        return self.services.stack.endpoint.draining

    @draining.setter
    def draining(self, draining: bool) -> None:
        self.services.stack.endpoint.draining = draining

    @property
    def configuration(self) -> Configuration:
        """What the next call starts with."""
        return self.trunks.configuration

    @configuration.setter
    def configuration(self, configuration: Configuration) -> None:
        self.trunks.configuration = configuration

    @property
    def running(self) -> Mapping[str, int]:
        """How many calls run, by trunk."""
        return self._limits.per_trunk

    def deliver(self, event: Event) -> None:
        """Take one event of the SIP stack: a new call, or something a leg has to hear."""
        if isinstance(event, InviteReceived):
            self._admit(event)
        elif isinstance(event, InviteRefused):
            self._note_unserved(event)
        elif isinstance(event, OutOfDialogCompleted):
            if isinstance(event.request.owner, Inquiry):
                event.request.owner.completed(event.response)
        else:
            deliver_to_leg(event)

    def record_of(self, call_id: str) -> CallRecord | None:
        """What is written down of a running call."""
        call = self.calls.get(call_id)
        return None if call is None else call.record

    async def drain(self, seconds: float) -> None:
        """Refuse new calls, give the running ones `seconds` to end, then end them."""
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            self._log.warning("drain_deadline", calls=len(self.calls))
            self.end_all()
            await self._wait_for_the_last()

    async def _wait_for_the_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORDS):
                await self._idle.wait()
        except TimeoutError:
            self._log.error("calls_left", calls=len(self.calls))

    def end_all(self) -> None:
        """Tell every running call to end now."""
        for call in self.calls.values():
            call.inbox.put(ShutDown())

    # -- letting a call in ---------------------------------------------------------------------------------------

    def _admit(self, event: InviteReceived) -> None:
        session, request = event.session, event.request
        if "Replaces" in request.headers:
            self._replace(session, request)
            return
        trunk = self._identify(session, request)
        if isinstance(trunk, Refusal):
            session.reject(self.services.now(), trunk.status, headers=trunk.headers)
            return
        try:
            session.use(self.configuration.extensions_for(trunk.name))
        except RemoteError as error:
            if error.status_hint == 422:
                self._refuse_interval(trunk, session, error)
            else:
                self._refuse_unfit(trunk, session, request, error)
            return
        record, log = self._begin_record(trunk, session, request)
        try:
            if hops_of(request) >= MAX_HOPS:
                raise Refused(cause.local("loop_detected", source="b2bua"))
            route = self._route(trunk, record.called)
            call = self._open(record, session, request, route, log)
        except Refused as refused:
            self._refuse(record, session, refused)
            return
        assert isinstance(call.caller, ReceivedLeg), "an admitted call has its caller"
        self._start(call, story.of_caller(call, call.caller, route))

    def _refuse_interval(self, trunk: Trunk, session: ServerSession, error: RemoteError) -> None:
        """422. As with a challenge there is no call yet: who is told what is too short tries again."""
        session.reject(self.services.now(), 422, reason=error.reason, headers=error.headers)
        self._log.info("interval_refused", trunk=trunk.name, source=session.source.remote[0], status=422)

    def _refuse_unfit(
        self, trunk: Trunk, session: ServerSession, request: Request, error: RemoteError
    ) -> None:
        """An INVITE that requires what its trunk does not have, or lacks what it has to: a call that failed."""
        record, _ = self._begin_record(trunk, session, request)
        outcome = cause.from_refusal(error.status_hint, error.reason)
        self._refuse(record, session, Refused(outcome, error.headers))

    def _begin_record(
        self, trunk: Trunk, session: ServerSession, request: Request
    ) -> tuple[CallRecord, Logger]:
        """The record of a new call and its log, which says that it is there."""
        record = record_of_invite(self.services, trunk.name, request)
        log = self._log.bind(call_id=record.call_id)
        log.info(
            "received",
            trunk=trunk.name,
            source=session.source.remote[0],
            caller=record.caller,
            called=record.called,
            session_id=record.session_id,
        )
        return record, log

    def _identify(self, session: ServerSession, request: Request) -> Trunk | Refusal:
        # Not `session.flow`: that leads to the Contact, which anybody may write.
        source = session.source
        return self.trunks.identify(request, source.remote[0], self.services.now(), source.subjects)

    def _replace(self, session: ServerSession, request: Request) -> None:
        """Somebody wants the place of another in one of the calls (RFC 3891)."""
        try:
            replace_leg(self._replaced_leg(session, request), session, request)
        except RemoteError as error:
            headers = (*error.headers, ("Warning", f'399 b2bua "{error.reason}"'))
            session.reject(self.services.now(), error.status_hint, headers=headers)
            self._log.info(
                "replaces_refused",
                source=session.source.remote[0],
                status=error.status_hint,
                why=error.reason,
            )

    def _replaced_leg(self, session: ServerSession, request: Request) -> Leg:
        """The leg that an INVITE names and whose place its sender may have: they are of the same trunk, or at the host
        that was dialled. Raises `RemoteError`; who may not hears the same whether there is such a leg or not."""
        named = Replaces.of(request)
        assert named is not None, "looked for before"
        missing = RemoteError(481, "No such dialog")
        leg: object = None
        try:
            leg = self.services.stack.endpoint.find_replaced(named).owner
        except RemoteError as error:
            missing = error
        if isinstance(leg, Leg) and is_dialled_at(leg, session):
            return leg
        trunk = self._identify(session, request)
        if isinstance(trunk, Refusal):
            raise RemoteError(trunk.status, "Not one of ours", trunk.headers)
        if not isinstance(leg, Leg):
            raise missing
        if leg.far_end.trunk != trunk.name:
            raise RemoteError(403, "The dialog is not yours")
        return leg

    def place(self, order: CallOrder) -> Call:
        """Place a call of our own; it is dialled when this returns. Raises `ControlError`."""
        destination = place_of(self.configuration, order.request)
        if destination.method != "invite":
            raise ControlError(400, "invalid_request", f"not with method {destination.method}", "destination")
        limits = self.configuration.limits
        if self.draining:
            raise ControlError(503, "draining", "new calls are refused")
        if not self._limits.admits("", trunk_limit=None, total_limit=limits.max_calls):
            raise ControlError(503, "too_many_calls", f"there are {limits.max_calls} already")
        call = placed_call(self.services, self.configuration, self._log, order, destination)
        call.on_refer, call.on_handoff = receive_refer, self.on_handoff
        self._start(call, story.of_placed(call, destination, errand_of(order, call), record=order.record))
        return call

    def go_on(self, call: Call) -> None:
        """Take a call over that an earlier process began."""
        call.on_refer, call.on_handoff = receive_refer, self.on_handoff
        for handoff in call.handoffs:
            self.on_handoff(handoff)
        record = call.record
        # Where nobody called us there is nobody to be found for them.
        route = None if record.placed else call.configuration.route_for(record.trunk, record.called)
        self._start(call, story.of_restored(call, route))

    def _start(self, call: Call, told: Coroutine[None, None, cause.Outcome]) -> None:
        self._limits.enter(call.record.trunk)
        self.calls[call.id] = call
        self._idle.clear()
        supervised = self._supervise(call, told)
        self._tasks[call.id] = asyncio.get_running_loop().create_task(supervised, name=f"call {call.id}")

    def _route(self, trunk: Trunk, called: str) -> Route:
        self._check_room(trunk)
        route = self.configuration.route_for(trunk.name, called)
        if route is None:
            raise Refused(cause.local("no_route"))
        return route

    def _check_room(self, trunk: Trunk) -> None:
        """Raises `Refused` when a trunk may not start another call now."""
        if self.draining:
            raise Refused(cause.local("draining"), (("Retry-After", RETRY_AFTER),))
        doorkeeper, limits = self.trunks.doorkeeper, self.configuration.limits
        if not doorkeeper.start_call(trunk, self.services.now()):
            raise _overload("max_calls_per_second of the trunk")
        if not self._limits.admits(trunk.name, trunk_limit=trunk.max_calls, total_limit=limits.max_calls):
            doorkeeper.counters.over_calls += 1
            ours = limits.max_calls is not None and self._limits.running >= limits.max_calls
            raise _overload(
                f"limits.max_calls is {limits.max_calls}"
                if ours
                else f"max_calls of the trunk is {trunk.max_calls}"
            )

    def _open(
        self, record: CallRecord, session: ServerSession, request: Request, route: Route, log: Logger
    ) -> Call:
        """The call with its caller leg: the offer is understood and has a port. Raises `Refused`."""
        inbox: Inbox[CallEvent] = Inbox(asyncio.get_running_loop())
        call = Call(self.services, self.configuration, record, inbox, log)
        call.codecs = of_call(self.configuration, route, request)
        try:
            call.caller = _caller_leg(call, session, request)
        except Refused:
            # The media call tells this one of its events: while it is open, they keep each other in memory.
            call.media.close()
            raise
        call.add_leg(call.caller)
        call.on_refer, call.on_handoff = receive_refer, self.on_handoff
        return call

    def _refuse(self, record: CallRecord, session: ServerSession, refused: Refused) -> None:
        outcome, status = refused.outcome, refused.outcome.caller_status or 500
        if self.services.trace is not None:
            self.services.trace.claim(session.call_id, record.call_id, "caller")
        session.reject(self.services.now(), status, headers=(*refused.headers, *outcome.reason_headers()))
        why = {"why": outcome.detail[:200]} if outcome.detail else {}
        self._close_refused(record, outcome, status, **why)

    def _note_unserved(self, event: InviteRefused) -> None:
        """An INVITE of a trunk that the stack has refused is a call that failed. Not so those of strangers, who may
        send as many as they like."""
        now = self.services.now()
        trunk = self.trunks.doorkeeper.trunk_at(event.source, now)
        if trunk is None or not self.trunks.doorkeeper.start_call(trunk, now):
            return
        record = record_of_invite(self.services, trunk.name, event.request)
        outcome = cause.from_refusal(event.status, event.reason)
        self._close_refused(record, outcome, event.status, why=event.reason)

    def _close_refused(self, record: CallRecord, outcome: cause.Outcome, status: int, **more: str) -> None:
        record.outcome, record.ended = outcome, self.services.now()
        self._log.info(
            "refused",
            call_id=record.call_id,
            trunk=record.trunk,
            cause=outcome.name,
            code=outcome.code,
            status=status,
            **more,
        )
        self.services.counters.ended(record)
        self.services.records.write(record)

    async def _supervise(self, call: Call, told: Coroutine[None, None, cause.Outcome]) -> None:
        """Run a call; whatever goes wrong in it ends that call and no other."""
        try:
            await call.live(lasting(call, told))
        except Exception:
            self.failures += 1
            call.log.exception("internal_error")
            call.end(cause.local("internal_error"))
            await call.conclude()
        finally:
            call.let_go()
            self._limits.leave(call.record.trunk)
            del self.calls[call.id], self._tasks[call.id]
            if not self.calls:
                self._idle.set()


def _caller_leg(call: Call, session: ServerSession, request: Request) -> ReceivedLeg:
    """The caller's leg: their offer is understood and has a port. Raises `Refused`."""
    try:
        offer = read_offer(request)
        media = open_leg(call, "caller", call.record.trunk, session.flow.remote[0], offer)
        return ReceivedLeg(call, "caller", media, caller_of_trunk(call), session, request, offer)
    except PortsExhausted:
        raise Refused(cause.local("ports_exhausted"), (("Retry-After", RETRY_AFTER),)) from None
    except NoAddress as error:
        raise Refused(cause.local("media_not_acceptable", source="b2bua", detail=str(error))) from None
    except RemoteError as error:
        malformed = error.status_hint == 400
        outcome = cause.from_refusal(400, error.reason) if malformed else unusable(error, "caller")
        raise Refused(outcome, error.headers) from None
