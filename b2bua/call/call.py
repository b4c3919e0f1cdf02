"""The call: one caller and whoever they talk to, told as one coroutine.

`Call.run` reads as the story of a call: dial, bridge, wait for the hang-up. That the caller may leave at any moment
is not part of the story: `next_event` raises `CallOver` in every phase, and `run` lets go of everything in one place,
through the one `_end`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.dialing import DialFailed, Dialing
from b2bua.call.events import (
    AudioLost,
    AudioStarted,
    CallEvent,
    Cancelled,
    Digit,
    Ended,
    HangUp,
    MediaLost,
    Progress,
    ShutDown,
)
from b2bua.call.inbox import Inbox
from media.engine import DtmfDigit, EngineLost, FirstPacket, MediaTimeout

if TYPE_CHECKING:
    from b2bua.call.agent_leg import AgentLeg
    from b2bua.call.caller_leg import CallerLeg
    from b2bua.call.leg import Leg
    from b2bua.call.record import CallRecord
    from b2bua.call.services import Services
    from b2bua.config import Configuration, Destination
    from b2bua.identity import Caller
    from b2bua.telemetry.logs import Logger
    from media.engine import MediaCall, MediaEvent, MediaLeg


class CallOver(Exception):
    """The call is over, whatever it was doing: the caller left, time is up, somebody hung up."""

    def __init__(self, outcome: cause.Outcome) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome


class Call:
    """One call from admission to record.

    `configuration` is the snapshot it started with; a reload never changes a call in progress.
    """

    def __init__(
        self,
        services: Services,
        configuration: Configuration,
        record: CallRecord,
        inbox: Inbox[CallEvent],
        log: Logger,
    ) -> None:
        self.services = services
        self.configuration = configuration
        self.record = record
        self.media: MediaCall = services.engine.open_call(self.deliver_media)
        self.inbox = inbox
        self.log = log
        self.caller: CallerLeg | None = None
        self.legs: list[Leg] = []
        self.answered = False

    @property
    def id(self) -> str:
        """Our name for the call, in every log line and record."""
        return self.record.call_id

    def add_leg(self, leg: Leg) -> None:
        """Keep a leg: its events are heard, its end is this call's business, its record is written."""
        self.legs.append(leg)
        self.record.legs.append(leg.record)

    async def connect(self, destination: Destination) -> None:
        """Connect the caller to `destination` (or its fallbacks) and stay until somebody hangs up."""
        assert self.caller is not None, "a caller is connected after its leg was added"
        await self._until_over(self._connect_caller(self.caller, destination))

    async def originate(self, destination: Destination, caller: Caller, seconds: float) -> None:
        """Call `destination` with nobody on our side, stay for `seconds` after the answer, then hang up."""
        await self._until_over(self._place(destination, caller, seconds))

    async def _until_over(self, story: Coroutine[None, None, cause.Outcome]) -> None:
        """Live through a story to its end, however it ends."""
        try:
            outcome = await story
        except (CallOver, DialFailed) as over:
            outcome = over.outcome
        self.end(outcome)

    def deliver_media(self, event: MediaEvent) -> None:
        """Hear one event of the media engine."""
        match event:
            case EngineLost():
                self.inbox.put(MediaLost())
            case FirstPacket(media):
                self._tell(media, AudioStarted)
            case MediaTimeout(media):
                self._tell(media, AudioLost)
            case DtmfDigit(media, digit, _):
                self._tell(media, lambda leg: Digit(leg, digit))

    def _tell(self, media: MediaLeg, event: Callable[[Leg], CallEvent]) -> None:
        for leg in self.legs:
            if leg.media is media:
                self.inbox.put(event(leg))

    async def next_event(self, deadline: float) -> CallEvent:
        """The next event a phase has to look at.

        Raises `TimeoutError` at `deadline` (loop time) and `CallOver` when the call ended meanwhile, so that no
        phase can forget that it may.
        """
        event = await self.inbox.get(deadline)
        match event:
            case ShutDown():
                raise CallOver(cause.local("shutdown"))
            case MediaLost():
                raise CallOver(cause.local("media_engine_lost"))
            case HangUp(source):
                raise CallOver(cause.local("normal_hangup", source=source))
            case Cancelled(leg) if leg is self.caller:
                raise CallOver(cause.local("cancel", source="caller"))
            case Ended(leg, outcome) if leg is self.caller:
                raise CallOver(outcome)
            case AudioLost(leg) if self.answered and leg in self.legs:
                raise CallOver(cause.local("media_timeout", source=leg.role))
        return event

    async def _connect_caller(self, caller: CallerLeg, destination: Destination) -> cause.Outcome:
        agent = await self._dial(destination, caller.identity, self._alert_caller)
        self.media.bridge(caller.media, agent.media)
        caller.answer()
        self._answered_now(agent, caller, agent)
        return await self._until_hang_up(agent, agent.timers.time_limit)

    async def _place(self, destination: Destination, caller: Caller, seconds: float) -> cause.Outcome:
        agent = await self._dial(destination, caller, lambda _leg, _progress: None)
        self._answered_now(agent, agent)
        outcome = await self._until_hang_up(agent, seconds)
        return cause.local("normal_hangup", source="b2bua") if outcome.event == "time_limit" else outcome

    async def _dial(
        self, destination: Destination, caller: Caller, alert: Callable[[AgentLeg, Progress], None]
    ) -> AgentLeg:
        """An answered leg at `destination` or the first of its fallbacks that answers; raises the last failure."""
        dialing = Dialing(self, caller, alert)
        while True:
            try:
                return await dialing.dial(destination)
            except DialFailed:
                if destination.fallback is None:
                    raise
                self.log.info("fallback", destination=destination.name, fallback=destination.fallback)
                destination = self.configuration.destinations[destination.fallback]

    def _answered_now(self, agent: AgentLeg, *watched: Leg) -> None:
        self.answered = True
        now = self.services.now()
        self.record.answered = now
        for leg in watched:
            leg.watch_audio(agent.timers.media_timeout)
        self.log.info("answered", setup_ms=round((now - self.record.started) * 1000))

    def _alert_caller(self, agent: AgentLeg, progress: Progress) -> None:
        """Pass ringing on to the caller, and with early media let them hear it."""
        assert self.caller is not None
        if progress.early_media:
            self.media.bridge(self.caller.media, agent.media)
            self.caller.early_media()
        else:
            self.caller.ring()

    async def _until_hang_up(self, agent: AgentLeg, seconds: float) -> cause.Outcome:
        deadline = self.services.now() + seconds
        while True:
            try:
                event = await self.next_event(deadline)
            except TimeoutError:
                return cause.local("time_limit")
            match event:
                case Ended(leg, outcome) if leg is agent:
                    return outcome

    def end(self, outcome: cause.Outcome) -> None:
        """The one end of a call: every leg is let go, ports are freed, the record is written. Only the first counts."""
        if self.record.outcome is not None:
            return
        now = self.services.now()
        self.record.outcome = outcome
        self.record.ended = now
        for leg in self.legs:
            leg.hang_up(outcome)
            self.record.media[leg.role] = leg.statistics()
        for attempt in self.record.attempts:
            attempt.close(now, outcome)
        self.media.close()
        self.log.info(
            "ended",
            cause=outcome.name,
            code=outcome.code,
            source=outcome.source,
            sip_status=outcome.sip_status,
            duration_ms=self.record.duration_ms,
        )
        self.services.records.write(self.record)
