"""Dialling a place: its routes in order or all together, each an attempt, each over the addresses its name resolves to.

The timers of an attempt (docs/configuration.md, "timers"):
`connect_timeout` from an INVITE without credentials to the first response of any kind, then the next address;
`auth_timeout` from the INVITE with credentials to any response, then the attempt is over (4250);
`ring_timeout` from the attempt's first INVITE to its final response, challenges included (6010).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from b2bua.acceptance.acceptance import Acceptance
from b2bua.call import cause
from b2bua.call.dialled_leg import DialledLeg
from b2bua.call.events import Answered, Challenged, Failed, LegEvent, PickedUp, Progress, Responded
from b2bua.call.new_leg import open_leg
from b2bua.call.record import AttemptRecord
from b2bua.call.redirects import Detour
from b2bua.config import Destination
from b2bua.encryption import needs_tls
from b2bua.headers import NOTHING, HeaderRefused, RenderedHeaders, Variables, combine, render
from b2bua.identity import headers_to
from b2bua.preloaded_route import Way, way_to
from media.engine import NoAddress, PortsExhausted
from sip_stack.errors import SipError

if TYPE_CHECKING:
    from b2bua.acceptance.step import Verdict
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.config import Dialled, Timers
    from b2bua.identity import Caller
    from sip_stack.transport import Target


class DialFailed(Exception):
    """Nobody answered; `outcome` is the last attempt's."""

    def __init__(self, outcome: cause.Outcome) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome


def _nobody(leg: DialledLeg, progress: Progress) -> None:
    """Whom a call without a caller tells that it rings."""


@dataclass(slots=True)
class Errand:
    """On whose behalf a place is dialled, and where that is written down."""

    role: str
    """What the leg will be: `assistant` or `agent`."""
    caller: Caller
    """Who is shown to the far end."""
    attempts: list[AttemptRecord]
    """Each attempt made is added here."""
    variables: Variables = field(default_factory=Variables)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Custom headers that came with the request; they win over the place's own."""
    rendered: RenderedHeaders = NOTHING
    """What became of the custom headers of the last place dialled."""
    alert: Callable[[DialledLeg, Progress], None] = _nobody
    """Told when a far end rings or sends early media."""
    reached: Callable[[], None] = lambda: None
    """Told when a far end gave a provisional response."""
    lost: Callable[[Leg], None] = lambda leg: None
    """Told when a far end is given up, and its media leg closed."""
    held_back: Callable[[Leg], None] = lambda leg: None
    """Told when a far end has answered and must accept first: nobody may hear it until then."""
    unattended: bool = False
    """Nobody is to be bridged: whoever answers need not accept anything."""


@dataclass(slots=True)
class _Attempt:
    """One attempt under way. Deadlines are loop times (seconds)."""

    record: AttemptRecord
    timers: Timers
    targets: Iterator[Target]
    place: Dialled
    uri: str
    way: Way
    ring: float
    detour: Detour
    """Whom redirects have named."""
    connect: float | None = None
    auth: float | None = None
    acceptance: Acceptance | None = None
    """From the answer on, where that is not enough."""
    failure: cause.Outcome = field(default_factory=lambda: cause.local("network_error"))
    """What the last address said; the outcome when no other is left."""

    def deadline(self) -> float:
        if self.acceptance is not None:
            return self.acceptance.deadline
        deadline = self.ring
        for moment in (self.connect, self.auth):
            if moment is not None and moment < deadline:
                deadline = moment
        return deadline

    def expired(self, now: float) -> Verdict:
        """What ran out at `now`; silence is told before the ring timeout, being the more precise."""
        if self.acceptance is not None:
            return self.acceptance.expire()
        now = max(now, self.deadline())  # a loop may wake us a rounding error before it
        if self.auth is not None and now >= self.auth:
            return cause.local("auth_timeout")
        if self.connect is not None and now >= self.connect:
            return cause.local("network_error", detail="no response")
        return cause.local("ring_timeout")


class Dialing:
    """Dials on behalf of one call."""

    def __init__(self, call: Call, errand: Errand) -> None:
        self._call = call
        self._errand = errand
        self._services = call.services

    async def dial(self, place: Dialled, *, together: bool = False) -> Leg:
        """An answered leg at `place`. Raises `DialFailed`, and `CallOver` when the call ended meanwhile.

        `together` rings all routes at once, and the first answer wins; else each has its turn.
        """
        route = self._reachable(place)
        if together:
            return await self._contest(place, route)
        outcome = cause.local("network_error")
        for uri in route:
            try:
                return await self._contest(place, (uri,))
            except DialFailed as failed:
                outcome = failed.outcome
        raise DialFailed(outcome)

    def _reachable(self, place: Dialled) -> tuple[str, ...]:
        """The URIs of `place` without those that pings find dead.

        When none is left, a fallback is better than waiting for one of them; without a fallback they are dialled.
        """
        alive = self._services.reachability.alive(place.route, tls=needs_tls(place.encryption))
        if alive == place.route:
            return alive
        self._call.log.info("skipped", destination=place.name, unreachable=len(place.route) - len(alive))
        if alive or not (isinstance(place, Destination) and place.fallback):
            return alive or place.route
        now, outcome = self._services.now(), cause.local("network_error", detail="unreachable by OPTIONS")
        record = AttemptRecord(place.name, place.method, place.route[0], place.encryption, now)
        record.close(now, outcome)
        self._errand.attempts.append(record)
        self._services.counters.attempted(record)
        raise DialFailed(outcome)

    async def _contest(self, place: Dialled, uris: tuple[str, ...]) -> Leg:
        """The first of these attempts to be answered; the others lose the race."""
        attempts = self._errand.attempts
        before = len(attempts)
        try:
            return await self._race(place, uris)
        finally:
            # However it went, and when the caller left meanwhile too.
            for record in attempts[before:]:
                self._services.counters.attempted(record)

    async def _race(self, place: Dialled, uris: tuple[str, ...]) -> Leg:
        running: dict[Leg, _Attempt] = {}
        outcome = cause.local("network_error")
        for uri in uris:
            attempt = await self._prepare(place, uri, Detour(place, uri))
            outcome = self._next_target(attempt, running) or outcome
        while running:
            leg, verdict = await self._next_verdict(running)
            attempt = running.pop(leg)
            if verdict == "done":
                for loser, lost in running.items():
                    self._give_up(loser, lost, cause.local("lost_race"))
                    lost.record.close(self._services.now(), cause.local("lost_race"))
                if isinstance(leg, DialledLeg):
                    self._services.avoided.forgive(leg.target)
                return leg
            self._give_up(leg, attempt, verdict)
            dialled = leg if isinstance(leg, DialledLeg) else None
            if dialled is not None and (verdict.try_next_target or dialled.retry_after is not None):
                self._services.avoided.avoid(dialled.target, self._services.now(), dialled.retry_after)
            if dialled is not None and verdict.try_next_target:
                failure = self._next_target(attempt, running)
            else:
                failure = self._close(attempt, verdict)
            if failure is not None:
                outcome = await self._go_on(attempt, leg, failure, running)
        raise DialFailed(outcome)

    async def _go_on(
        self, attempt: _Attempt, leg: Leg, outcome: cause.Outcome, running: dict[Leg, _Attempt]
    ) -> cause.Outcome:
        """Dial the next of those that redirects have named; each is an attempt of its own, in the time that is left of
        the first. The last outcome when there is nobody left; a 6xx speaks for all of them (section 21.6)."""
        if isinstance(leg, DialledLeg):
            attempt.detour.add(leg.contacts, self._call.configuration.policy)
        while (outcome.sip_status or 0) < 600 and (following := attempt.detour.next()) is not None:
            place, uri = following
            self._call.log.info("redirected", destination=place.name, target=uri)
            attempt = await self._prepare(place, uri, attempt.detour, ring=attempt.ring)
            failure = self._next_target(attempt, running)
            if failure is None:
                break
            outcome = failure
        return outcome

    async def _prepare(
        self, place: Dialled, uri: str, detour: Detour, *, ring: float | None = None
    ) -> _Attempt:
        """The attempt at one URI with the addresses it leads to; none when it cannot be resolved. `ring`: until when it
        may last."""
        timers = self._call.configuration.timers_for(place)
        record = AttemptRecord(place.name, place.method, uri, place.encryption, self._services.now())
        self._errand.attempts.append(record)
        way = way_to(place, uri, self._services.bindings)
        targets: list[Target] = []
        failure = cause.local("network_error")
        try:
            targets = await self._services.resolver.resolve(
                way.next_hop, tls=needs_tls(place.encryption), timeout=timers.connect_timeout
            )
        except SipError as error:
            failure = cause.local("network_error", detail=str(error))
        if ring is None:
            ring = self._services.now() + timers.ring_timeout
        targets = self._services.avoided.last(targets, self._services.now())
        if place.tls is not None:
            targets = [replace(target, terms=place.tls.terms) for target in targets]
        if targets and (refused := self._refusal(place, uri)) is not None:
            targets, failure = [], cause.local(refused, detail="a limit against toll fraud")
        return _Attempt(record, timers, iter(targets), place, uri, way, ring, detour, failure=failure)

    def _refusal(self, place: Dialled, uri: str) -> str | None:
        """Why a number or a destination may not be dialled now; the call counts when it may."""
        policy = self._call.configuration.policy
        if policy.bars(uri):
            return "prefix_barred"
        if not isinstance(place, Destination):
            return None
        limits = place if place.name else policy
        if limits.max_calls is None and limits.max_calls_per_hour is None:
            return None
        return self._services.outgoing.admit(
            place.name,
            self._services.now(),
            at_once=limits.max_calls,
            per_hour=limits.max_calls_per_hour,
        )

    def _next_target(self, attempt: _Attempt, running: dict[Leg, _Attempt]) -> cause.Outcome | None:
        """INVITE the attempt's next address; its outcome when there is none left or it cannot be dialled."""
        target = next(attempt.targets, None)
        if target is None:
            return self._close(attempt, attempt.failure)
        try:
            leg = self._invite(attempt, target)
        except NoAddress as error:
            # Another of its addresses may be of the version that there is.
            attempt.failure = cause.local("media_not_acceptable", source="b2bua", detail=str(error))
            return self._next_target(attempt, running)
        except DialFailed as failed:
            return self._close(attempt, failed.outcome)
        attempt.connect = self._services.now() + attempt.timers.connect_timeout
        attempt.auth = None
        running[leg] = attempt
        return None

    def _invite(self, attempt: _Attempt, target: Target) -> DialledLeg:
        call, errand, place, uri = self._call, self._errand, attempt.place, attempt.uri
        headers = [*attempt.way.headers, *self._headers(place)]
        try:
            media = open_leg(call, errand.role, place.trunk, target.host)
        except PortsExhausted as error:
            raise DialFailed(cause.local("ports_exhausted")) from error
        try:
            leg = DialledLeg(call, errand.role, media, place, uri, target, errand.caller, headers)
        except SipError as error:
            call.media.close_leg(media)
            raise DialFailed(cause.local("network_error", detail=str(error))) from error
        call.add_leg(leg)
        call.log.info("dialing", leg=leg.role, destination=place.name, target=uri, address=target.host)
        return leg

    def _headers(self, place: Dialled) -> list[tuple[str, str]]:
        """The caller's headers that may pass, and the place's own with their variables filled in."""
        errand = self._errand
        try:
            own, variables = place.headers_of("invite"), errand.variables
            if own:
                hidden = errand.caller.private and not place.is_trusted
                caller_id = "" if hidden else variables.caller_id
                variables = replace(variables, destination=place.name, caller_id=caller_id)
            errand.rendered = render(own, errand.headers, variables)
        except HeaderRefused as error:
            raise DialFailed(cause.local("routing_error", source="b2bua", detail=str(error))) from error
        for dropped in errand.rendered.dropped:
            self._call.log.info("header_dropped", header=dropped.name, why=dropped.reason)
        return combine(headers_to(errand.caller, place), errand.rendered)

    async def _next_verdict(
        self, running: dict[Leg, _Attempt]
    ) -> tuple[Leg, cause.Outcome | Literal["done"]]:
        """The next leg that is decided: `done` for answered and accepted, else why not."""
        while True:
            due, attempt = min(running.items(), key=lambda item: item[1].deadline())
            try:
                event = await self._call.next_event(attempt.deadline())
            except TimeoutError:
                if (verdict := attempt.expired(self._services.now())) is not None:
                    return due, verdict
                continue
            if not isinstance(event, LegEvent) or event.leg not in running:
                continue  # of a leg whose attempt is over, or that has nothing to do with this
            if isinstance(event, PickedUp):
                running[event.by] = running.pop(event.leg)
                self._let_go(event.leg, cause.local("lost_race"))
                event = Answered(event.by)
            if (verdict := self._note(event, running[event.leg])) is not None:
                return event.leg, verdict

    def _note(self, event: LegEvent, attempt: _Attempt) -> Verdict:
        """Note what happened on a leg; None when that does not decide it."""
        if attempt.acceptance is not None:
            return attempt.acceptance.hear(event)
        now, record, errand = self._services.now(), attempt.record, self._errand
        if isinstance(event, (Responded, Progress)):
            errand.reached()
        attempt.connect = attempt.auth = None  # any event of the leg is a sign of life
        match event:
            case Challenged():
                record.challenged = record.challenged or now
                attempt.auth = now + attempt.timers.auth_timeout
                self._call.log.info("challenged", leg=event.leg.role, target=record.target)
            case Progress(leg, status, early_media):
                record.ringing = record.ringing or now
                self._call.log.info(
                    "ringing", leg=leg.role, target=record.target, status=status, early_media=early_media
                )
                assert isinstance(leg, DialledLeg)
                errand.alert(leg, event)
            case Answered(leg):
                record.answered = now
                return self._accept(leg, attempt)
            case Failed(_, outcome):
                return outcome
        return None

    def _accept(self, leg: Leg, attempt: _Attempt) -> Verdict:
        """Begin what stands between an answer and the caller, if there is anything."""
        place = leg.place
        if self._errand.unattended or not (isinstance(place, Destination) and place.must_accept):
            return "done"
        self._errand.held_back(leg)
        attempt.acceptance = Acceptance(self._call, leg, place)
        return attempt.acceptance.begin()

    def _give_up(self, leg: Leg, attempt: _Attempt, outcome: cause.Outcome) -> None:
        """Let a leg go that nobody will hear; its ports need not wait for the end of the call."""
        attempt.failure = outcome
        if attempt.acceptance is not None:
            attempt.acceptance.end()
        self._let_go(leg, outcome)
        if isinstance(leg, DialledLeg) and leg.picked_up_by is not None:
            # In the moment in which this attempt was over.
            self._let_go(leg.picked_up_by, outcome)

    def _let_go(self, leg: Leg, outcome: cause.Outcome) -> None:
        leg.hang_up(outcome)
        self._call.media.close_leg(leg.media)
        self._errand.lost(leg)

    def _close(self, attempt: _Attempt, outcome: cause.Outcome) -> cause.Outcome:
        record = attempt.record
        record.close(self._services.now(), outcome)
        self._call.log.info(
            "attempt_failed",
            leg=self._errand.role,
            destination=record.destination,
            target=record.target,
            cause=outcome.name,
            code=outcome.code,
            sip_status=outcome.sip_status,
            detail=outcome.why,
        )
        return outcome
