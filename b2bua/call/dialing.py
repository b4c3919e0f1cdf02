"""Dialling a destination: its routes in order, each an attempt, each attempt over the addresses its name resolves to.

The timers of an attempt (docs/design.md "Timers of an attempt"):
`connect_timeout` from an INVITE without credentials to the first response of any kind, then the next address;
`auth_timeout` from the INVITE with credentials to any response, then the attempt is over (4250);
`ring_timeout` from the attempt's first INVITE to its final response, challenges included (6010).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.agent_leg import AgentLeg
from b2bua.call.events import Answered, CallEvent, Challenged, Failed, LegEvent, Progress
from b2bua.call.record import AttemptRecord
from b2bua.headers import Header, HeaderRefused, Variables, combine, render
from media.engine import PortsExhausted
from sip_stack.errors import SipError

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.config import Destination, Timers
    from b2bua.identity import Caller
    from sip_stack.transport import Target


class DialFailed(Exception):
    """Nobody answered; `outcome` is the last attempt's."""

    def __init__(self, outcome: cause.Outcome) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome


@dataclass(slots=True)
class _Deadlines:
    """When the attempt in hand stops waiting, and for what (loop time, seconds)."""

    ring: float
    connect: float | None = None
    auth: float | None = None

    def next(self) -> float:
        return min(moment for moment in (self.ring, self.connect, self.auth) if moment is not None)

    def expired(self, now: float) -> str:
        """The cause of what ran out at `now`; silence is told before the ring timeout, being the more precise."""
        if self.auth is not None and now >= self.auth:
            return "auth_timeout"
        if self.connect is not None and now >= self.connect:
            return "network_error"
        return "ring_timeout"


class Dialing:
    """Dials on behalf of one call; every attempt made is added to the call's record."""

    def __init__(self, call: Call, caller: Caller, alert: Callable[[AgentLeg, Progress], None]) -> None:
        """`caller` is who is shown to the destination; `alert` is told when it rings or sends early media."""
        self._call = call
        self._caller = caller
        self._alert = alert
        self._services = call.services

    async def dial(self, destination: Destination) -> AgentLeg:
        """An answered leg at `destination`. Raises `DialFailed`, and `CallOver` when the caller left meanwhile."""
        outcome = cause.local("network_error")
        for uri in destination.route:
            record = self._record(destination, uri)
            try:
                return await self._attempt(destination, uri, record)
            except DialFailed as failed:
                outcome = failed.outcome
                self._close(record, outcome)
        raise DialFailed(outcome)

    def _record(self, destination: Destination, uri: str) -> AttemptRecord:
        record = AttemptRecord(
            destination=destination.name,
            method=destination.method,
            target=uri,
            encryption=destination.encryption,
            started=self._services.now(),
        )
        self._call.record.attempts.append(record)
        return record

    def _close(self, record: AttemptRecord, outcome: cause.Outcome) -> None:
        record.close(self._services.now(), outcome)
        self._call.log.info(
            "attempt_failed",
            destination=record.destination,
            target=record.target,
            cause=outcome.name,
            code=outcome.code,
            sip_status=outcome.sip_status,
        )

    async def _attempt(self, destination: Destination, uri: str, record: AttemptRecord) -> AgentLeg:
        timers = self._call.configuration.timers_for(destination)
        try:
            targets = await self._services.resolver.resolve(uri, timeout=timers.connect_timeout)
        except SipError as error:
            raise DialFailed(cause.local("network_error", detail=str(error))) from error
        headers = self._headers(destination)
        deadlines = _Deadlines(ring=self._services.now() + timers.ring_timeout)
        failure = cause.local("network_error")
        for target in targets:
            leg = self._invite(destination, uri, target, headers)
            try:
                await self._until_answered(leg, record, timers, deadlines)
            except _NextTarget as why:
                failure = why.outcome
                self._give_up(leg, failure)
            except DialFailed as failed:
                self._give_up(leg, failed.outcome)
                raise
            else:
                return leg
        raise DialFailed(failure)

    def _give_up(self, leg: AgentLeg, outcome: cause.Outcome) -> None:
        """Let a leg go that nobody will hear; its ports need not wait for the end of the call."""
        leg.hang_up(outcome)
        self._call.media.close_leg(leg.media)

    def _headers(self, destination: Destination) -> list[Header]:
        """The caller's headers that may pass, and the destination's own with their variables filled in."""
        variables = Variables(
            call_id=self._call.id,
            caller_id=self._caller.user,
            called=self._call.record.called,
            received=self._caller.variables,
        )
        try:
            rendered = render(destination.headers, {}, variables)
        except HeaderRefused as error:
            raise DialFailed(cause.local("routing_error", source="b2bua", detail=str(error))) from error
        for dropped in rendered.dropped:
            self._call.log.info("header_dropped", header=dropped.name, why=dropped.reason)
        return combine(self._caller.headers, rendered)

    def _invite(self, destination: Destination, uri: str, target: Target, headers: list[Header]) -> AgentLeg:
        try:
            media = self._call.media.open_leg("agent")
        except PortsExhausted as error:
            raise DialFailed(cause.local("ports_exhausted")) from error
        try:
            leg = AgentLeg(self._call, media, destination, uri, target, self._caller, headers)
        except SipError as error:
            self._call.media.close_leg(media)
            raise DialFailed(cause.local("network_error", detail=str(error))) from error
        self._call.add_leg(leg)
        self._call.log.info(
            "dialing", leg=leg.role, destination=destination.name, target=uri, address=target.host
        )
        return leg

    async def _until_answered(
        self, leg: AgentLeg, record: AttemptRecord, timers: Timers, deadlines: _Deadlines
    ) -> None:
        deadlines.connect = self._services.now() + timers.connect_timeout
        while True:
            event = await self._next_event(deadlines)
            if not isinstance(event, LegEvent) or event.leg is not leg:
                continue  # an echo of an attempt that is over
            now = self._services.now()
            deadlines.connect = deadlines.auth = None  # any event of the leg is a sign of life
            match event:
                case Challenged():
                    record.challenged = record.challenged or now
                    self._call.log.info("challenged", leg=leg.role)
                    deadlines.auth = now + timers.auth_timeout
                case Progress():
                    record.ringing = record.ringing or now
                    self._call.log.info(
                        "ringing", leg=leg.role, status=event.status, early_media=event.early_media
                    )
                    self._alert(leg, event)
                case Answered():
                    record.answered = now
                    return
                case Failed(_, outcome) if outcome.try_next_target:
                    raise _NextTarget(outcome)
                case Failed(_, outcome):
                    raise DialFailed(outcome)

    async def _next_event(self, deadlines: _Deadlines) -> CallEvent:
        try:
            return await self._call.next_event(deadlines.next())
        except TimeoutError:
            expired = deadlines.expired(self._services.now())
        if expired == "network_error":
            raise _NextTarget(cause.local(expired, detail="no response"))
        raise DialFailed(cause.local(expired))


class _NextTarget(Exception):
    """This address is not answering; another address of the same name may (RFC 3263 section 4.3)."""

    def __init__(self, outcome: cause.Outcome) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome
