"""The call: one caller and whoever they talk to.

What is here holds in every phase: the legs, who the caller talks to, the events, and the one `end`. The phases read
as a story in `story.py` and in `b2bua.handoff`. That the caller may leave at any moment is no part of any story:
`next_event` raises `CallOver` in every phase.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING

from b2bua.call import attempts, cause, recording, telling
from b2bua.call.bridge import Bridge
from b2bua.call.codecs import understood
from b2bua.call.dialing import DialFailed
from b2bua.call.events import (
    AnswerJudged,
    AudioLost,
    AudioStarted,
    CallEvent,
    Cancelled,
    Digit,
    Ended,
    HandoffStopped,
    HangUp,
    MediaLost,
    Moved,
    PromptOver,
    Quiet,
    Replaced,
    ShutDown,
    Switched,
)
from b2bua.call.inbox import Inbox
from b2bua.call.left import Left
from media.events import AnswerJudged as MediaAnswerJudged
from media.events import DtmfDigit, EngineLost, FirstPacket, MediaTimeout, PromptEnded, RecordingEnded
from media.events import Quiet as MediaQuiet
from media.events import Switched as MediaSwitched
from sip_stack.message.session_id import new_uuid

if TYPE_CHECKING:
    from b2bua.call.leg import Leg
    from b2bua.call.record import CallRecord, LegRecord
    from b2bua.call.services import Services
    from b2bua.config import Configuration
    from b2bua.handoff.handoff import Handoff
    from b2bua.telemetry.logs import Logger
    from media.engine import LegStatistics, MediaCall, MediaLeg, Prompt
    from media.events import MediaEvent
    from sip_stack.message import Request
    from sip_stack.transaction import ServerTransaction

    OnRefer = Callable[["Call", Leg, ServerTransaction, Request], None]


def _decline_refer(call: Call, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
    leg.respond(transaction, 603, [("Warning", '399 b2bua "Nobody may refer here"')])


class CallOver(Exception):
    """The call is over, whatever it was doing: the caller left, time is up, somebody hung up."""

    def __init__(self, outcome: cause.Outcome, leg: Leg | None = None) -> None:
        super().__init__(outcome.name)
        self.outcome = outcome
        self.leg = leg
        """The leg whose far end left, if that was it."""


class MovedOn(Exception):
    """The leg that the call is there for was brought to another call, or whom it talked to was."""

    def __init__(self, leg: Leg, host: Call, *, lasts: bool) -> None:
        super().__init__(host.id)
        self.leg = leg
        self.host = host
        self.lasts = lasts


class HandoffCancelled(Exception):
    """The handoff in hand is no longer wanted."""


class Call:
    """One call from admission to record, under the `configuration` that it began with: a reload never changes that."""

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
        self.id = record.call_id
        """Our name for the call, in every log line and record."""
        self.media: MediaCall = services.engine.open_call(self.deliver_media)
        self.inbox = inbox
        self.log = log
        self.codecs = understood(configuration)
        """What its legs may have."""
        self.uuid = new_uuid(services.stack.token) if configuration.sip.session_id else ""
        """Ours in Session-ID (RFC 7989), toward whom talks to nobody else; empty where there are none."""
        self.caller: Leg | None = None
        """Whom it is there for; None in a call of our own until somebody joins whom we called."""
        self.peer: Leg | None = None
        """Whom the caller talks to: the assistant, later the human; None while that is nobody."""
        self.newcomer: Leg | None = None
        """The human who has answered and is about to be heard in the place of `peer`; nothing else is in the way."""
        self.left: Left | None = None
        """Whom they talked to before."""
        self.peer_outcome = cause.local("normal_hangup")
        """How that ended."""
        self.handoff: Handoff | None = None
        """The handoff under way; one at a time."""
        self.replacement: Replaced | None = None
        """Who is taking the place of the caller or of whom they talk to."""
        self.handoffs: list[Handoff] = []
        self.leaving: list[Leg] = []
        """Who has left those they talked to with each other, and is let go once they have heard so."""
        self.on_refer: OnRefer = _decline_refer
        """What answers a REFER on one of the legs."""
        self.on_handoff: Callable[[Handoff], None] = lambda handoff: None
        """Told of every handoff that begins."""
        self.legs: list[Leg] = []
        self._leg_records: list[LegRecord] = []
        """Of each of them, as it stands in the record of this call."""
        self.bridge: Bridge | None = None
        self.recording: recording.Running | None = None
        self.on_alone: Callable[[], None] | None = None
        """What is done for a caller whom somebody leaves; None: they hear silence."""
        self.answered = False
        self.recorded = False
        """It has ended, and its record is written."""

    @property
    def over(self) -> bool:
        """True once the call has ended."""
        return self.record.outcome is not None

    def own_legs(self) -> list[Leg]:
        """Its legs without those that were brought to another call."""
        return [leg for leg in self.legs if leg.call is self]

    def add_leg(self, leg: Leg) -> None:
        """Keep a leg: its events are heard, its end is this call's business, its record is written."""
        self.record.legs.append(leg.record)
        self.take_leg(leg)

    def take_leg(self, leg: Leg, record: LegRecord | None = None) -> None:
        """Keep a leg that stands in the record already, as `record` where it is in another call now."""
        self.legs.append(leg)
        self._leg_records.append(record or leg.record)
        if self.services.trace is not None:
            self.services.trace.claim(leg.record.sip_call_id, self.id, leg.record.role)

    async def live(self, story: Coroutine[None, None, cause.Outcome]) -> None:
        """Live through a story to its end, however it ends."""
        if not self.answered:  # Else it has begun in another process.
            telling.call_started(self)
        try:
            outcome = await story
        except CallOver as over:
            outcome = over.outcome
        except DialFailed as failed:
            outcome = failed.outcome
            if self.answered:
                # They have talked, and now nobody is left: that is a hang-up, whatever the last attempt said.
                outcome = cause.local("normal_hangup", source="b2bua", detail=failed.outcome.name)
        self.end(outcome)
        await self.conclude()

    # -- events --------------------------------------------------------------------------------------------------------

    def deliver_media(self, event: MediaEvent) -> None:
        """Hear one event of the media engine."""
        match event:
            case EngineLost():
                self.inbox.put(MediaLost())
            case RecordingEnded():
                recording.ended(self, event)
            case FirstPacket(media):
                self._tell(media, AudioStarted)
            case MediaTimeout(media):
                self._tell(media, AudioLost)
            case MediaQuiet(media):
                self._tell(media, Quiet)
            case PromptEnded(media):
                self._tell(media, PromptOver)
            case MediaAnswerJudged(media, machine):
                self._tell(media, lambda leg: AnswerJudged(leg, machine))
            case MediaSwitched(media, heard):
                self._tell(media, lambda leg: Switched(leg, heard))
            case DtmfDigit(media, digit, duration_ms, in_band):
                self._tell(media, lambda leg: Digit(leg, digit, duration_ms, True, in_band))

    def _tell(self, media: MediaLeg, event: Callable[[Leg], CallEvent]) -> None:
        for leg in self.legs:
            if leg.media is media:
                self.inbox.put(event(leg))

    async def next_event(self, deadline: float) -> CallEvent:
        """The next event a phase has to look at.

        Raises `TimeoutError` at `deadline` (loop time), `CallOver` when the call ended meanwhile and
        `HandoffCancelled` when the handoff in hand did, so that no phase can forget that they may.
        """
        event = await self.inbox.get(deadline)
        match event:
            case ShutDown():
                raise CallOver(cause.local("shutdown"))
            case MediaLost():
                raise CallOver(cause.local("media_engine_lost"))
            case HangUp(source):
                raise CallOver(cause.local("normal_hangup", source=source))
            case Cancelled(leg, outcome) | Ended(leg, outcome) if leg is self.caller:
                raise CallOver(outcome, leg)
            case AudioLost(leg) if self.answered and leg in (self.caller, self.peer):
                raise CallOver(cause.local("media_timeout", source=leg.role))
            case Moved(leg, host, lasts):
                raise MovedOn(leg, host, lasts=lasts)
            case HandoffStopped(handoff) if handoff is self.handoff and handoff.take_back():
                raise HandoffCancelled
            case Ended(leg, outcome) if leg is self.peer:
                # Whatever is under way goes on without them; who tells the story looks at `peer` when it is done.
                self.lose_peer(outcome)
            case Digit(leg, digit, duration_ms):
                telling.digit_pressed(self, leg, digit, duration_ms)
        if self.bridge is not None:
            self.bridge.hear(event)
        return event

    def ringback(self) -> Prompt:
        """The ringing tone for a caller who waits, as configured when the call began."""
        return self.services.engine.ringback(self.configuration.media.ringback)

    # -- who hears whom ------------------------------------------------------------------------------------------------

    def join(self, one: Leg, other: Leg, *, heard_already: bool = False) -> None:
        """Let two legs hear each other from now on, and know of each other's hold.

        `heard_already`: the media engine joined them before, only the signalling side is left to do.
        """
        self.bridge = Bridge(self.media, one, other, joined=heard_already)
        self.note_up()

    def note_up(self) -> None:
        """Write down for the next process who is there, if there is a journal: after every change of that."""
        if self.services.journal is not None:
            self.services.journal.keep(self)

    def note_answered(self, peer: Leg) -> None:
        """The caller talks to `peer` now: it was answered, its audio is watched."""
        self.peer = peer
        attempts.tie(self, peer)
        self.watch(peer)
        if self.caller is not None:
            self.caller.wait_for_keys(peer.hangs_up_on_star)
        if self.caller is None or not self.caller.answer_is_held:
            self.note_caller_answered()
        recording.begin_if_asked(self, peer.is_recorded)
        self.note_up()

    def note_caller_answered(self) -> None:
        """The caller has been sent our 200, or whom we called has answered; only the first counts."""
        who = self.peer or self.left
        if self.answered or who is None:
            return
        now = self.services.now()
        self.answered = True
        self.record.answered = now
        self.services.counters.answered(self.record)
        self.log.info("answered", setup_ms=round((now - self.record.started) * 1000))
        telling.call_answered(self, now, who)

    def watch(self, peer: Leg) -> None:
        """End the call when the caller or `peer` sends no audio for `media_timeout`."""
        peer.watch_audio(peer.timers.media_timeout)
        if self.caller is not None:
            self.caller.watch_audio(peer.timers.media_timeout)

    def stop_watching(self) -> None:
        """From now on silence means nothing."""
        for leg in (self.caller, self.peer):
            if leg is not None:
                leg.watch_audio(0)

    def release_peer(self, outcome: cause.Outcome) -> None:
        """Hang up on whom the caller talks to; the caller stays."""
        if self.peer is not None:
            self.peer.hang_up(outcome)
            self.lose_peer(outcome)

    def drop_dialled(self, outcome: cause.Outcome) -> None:
        """Let go of every leg that is being dialled, and of none that the caller talks to."""
        for leg in self.legs:
            if leg.call is self and leg not in (self.caller, self.peer) and not leg.over:
                leg.hang_up(outcome)
                self.media.close_leg(leg.media)

    def lose_peer(self, outcome: cause.Outcome) -> None:
        """The caller talks to nobody from now on."""
        assert self.peer is not None
        peer, self.peer, self.bridge = self.peer, None, None
        self.left, self.peer_outcome = Left(peer.role, peer.place, peer.media), outcome
        self.note_up()
        for handoff in self.handoffs:
            if handoff.is_connected:
                handoff.close(outcome, self.services.now())
        if self.caller is not None:
            # Nobody watches the audio of a caller who waits: there is nobody they would talk to.
            self.caller.watch_audio(0)
            self.caller.wait_for_keys(False)
            if self.on_alone is None:
                self.media.hear(self.caller.media, None)
            else:
                self.on_alone()

    def note_statistics(self) -> list[tuple[Leg, LegStatistics]]:
        """Write down how the audio of each leg is by now."""
        return [(leg, leg.note_statistics(record)) for leg, record in self.recorded_legs()]

    def recorded_legs(self) -> Iterator[tuple[Leg, LegRecord]]:
        """Each leg it has had in this process, and what its record says of it."""
        return zip(self.legs, self._leg_records, strict=True)

    # -- the end -------------------------------------------------------------------------------------------------------

    def end(self, outcome: cause.Outcome) -> None:
        """The one end of a call: every leg is let go, ports are freed. Only the first counts."""
        if self.over:
            return
        now = self.services.now()
        self.record.outcome = outcome
        self.record.ended = now
        for leg in self.own_legs():
            leg.hang_up(outcome)
        recording.end_with(self)
        for attempt in self.record.attempts:
            attempt.close(now, outcome)
        for handoff in self.handoffs:
            handoff.close(outcome, now)
            self.record.handoffs.append(handoff.as_record())
        self.media.close()
        self.log.info(
            "ended",
            cause=outcome.name,
            code=outcome.code,
            source=outcome.source,
            sip_status=outcome.sip_status,
            duration_ms=self.record.duration_ms,
        )

    async def conclude(self) -> None:
        """Write the record of the call that has ended, once it is known how its audio was. Only the first counts."""
        if self.recorded:
            return
        await self.media.settle()
        self.recorded = True
        for leg, statistics in self.note_statistics():
            if leg.call is self:
                self.services.counters.heard(leg.role, statistics)
        self.services.counters.ended(self.record)
        self.services.records.write(self.record)
        if self.services.journal is not None:
            self.services.journal.forget(self.id)
        telling.call_ended(self)

    def let_go(self) -> None:
        """Untie the ended call from its legs, and them from their sessions: nothing is delivered to it any more.

        They name each other in circles, which only the garbage collector finds: at thousands of calls it would stop
        everything for longer than anything else a call waits for. Untied, each is freed at once.
        """
        for leg in self.own_legs():
            leg.let_go()
        self.inbox.close()
        self.legs.clear()
        self.leaving.clear()
        self._leg_records.clear()
        self.caller = self.peer = self.newcomer = self.left = self.replacement = None
        self.bridge = self.on_alone = None
