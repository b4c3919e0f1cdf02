"""A call of an earlier process goes on here: its audio goes on at a media engine that outlived that process.

Nothing is sent to either side. Whatever is missing, the audio, a far end that cannot be reached, leaves the call to
those who end it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from b2bua.call import cause
from b2bua.call.call import Call
from b2bua.call.far_end import FarEnd
from b2bua.call.inbox import Inbox
from b2bua.call.joining import bring_again
from b2bua.call.left import Left
from b2bua.call.new_leg import describe
from b2bua.call.restored_leg import RestoredLeg
from b2bua.encryption import media_protection
from b2bua.handoff.handoff import Referred
from b2bua.handoff.referral import Subscription
from b2bua.journal.brought import OfOrigin, origins_of
from b2bua.journal.reopened import reopened_handoffs, reopened_record
from b2bua.journal.settling import There, settle
from b2bua.journal.told import Follow, facts_of
from b2bua.telemetry.logs import get_logger
from media.engine import MediaError
from sip_stack.errors import SipError
from sip_stack.transport import Flow

if TYPE_CHECKING:
    from b2bua.call.events import CallEvent
    from b2bua.call.leg import Leg
    from b2bua.call.record import CallRecord, LegRecord
    from b2bua.call.services import Services
    from b2bua.config import Dialled
    from b2bua.journal.entry import JournalEntry, LegEntry
    from b2bua.journal.going_on import HomeState, LegState
    from b2bua.journal.journal import Journal
    from b2bua.journal.reaching import Reaching
    from b2bua.sdp_bridge import LegDescription, LocalOffer
    from media.engine import MediaLeg
    from sip_stack.dialog.snapshot import UnansweredSnapshot

GoOn = Callable[[Call], None]


class Stranger(NamedTuple):
    """A far end that is to be let go, and of which no leg is here."""

    entry: JournalEntry
    leg: LegEntry


class Found(NamedTuple):
    """What a leg is made of beside its entry."""

    state: LegState
    media: MediaLeg
    flow: Flow
    place: Dialled | None
    unanswered: tuple[UnansweredSnapshot, Flow] | None
    """Its INVITE, where it may not have our 200, and where that goes."""


class Takeover:
    """Restores calls one at a time, each in one step once its audio is found."""

    def __init__(
        self, services: Services, journal: Journal, reaching: Reaching, go_on: GoOn, follow: Follow
    ) -> None:
        """`go_on` gets each call that is restored, `follow` its handoffs."""
        self._services = services
        self._journal = journal
        self._reaching = reaching
        self._go_on = go_on
        self._follow = follow
        self._log = get_logger()
        self.strangers: list[Stranger] = []
        """Far ends without whom calls go on, and who have not been told."""
        self._brought: dict[str, tuple[Leg, HomeState]] = {}
        """Legs that were brought to calls that go on, by the calls that they were brought from."""

    async def take(self, entry: JournalEntry) -> bool:
        """Go on with a call; False when it can only be ended."""
        if entry.state is None:
            return False
        call = self._open(entry)
        if call is None:
            return False
        try:
            there = await self._restore(call, entry)
            known = (self._services.now(), self._reaching.configuration, self._services.feed)
            origins = origins_of(entry, call.record, *known)
        except (MediaError, SipError, KeyError, TypeError, ValueError) as error:
            for leg in call.legs:
                leg.hang_up(cause.local("process_lost"))
            call.media.close()
            call.log.warning("not_taken_over", why=str(error))
            return False
        self._begin(call, entry, origins)
        settle(call, there)
        return True

    def take_home(self, entry: JournalEntry) -> bool:
        """Go on with a call that is there for a leg in another one, which goes on already; False when there is none."""
        leg, home = self._brought.get(entry.call_id, (None, None))
        if leg is None or home is None or leg.over:
            return False
        call = self._open(entry)
        if call is None:
            return False
        call.answered, call.record.placed = True, home.placed
        bring_again(leg, call)
        self._begin(call, entry)
        call.note_up()
        return True

    def _open(self, entry: JournalEntry) -> Call | None:
        """The call with what is recorded of it, and no legs; None for what is none of ours."""
        services, configuration = self._services, self._reaching.configuration
        log = self._log.bind(call_id=entry.call_id)
        try:
            record = reopened_record(entry.record, services.now())
            handoffs = reopened_handoffs(
                entry.record, entry.asked, record.clock, configuration, services.feed
            )
        except (KeyError, TypeError, ValueError) as error:
            log.warning("not_taken_over", why=repr(error))
            return None
        inbox: Inbox[CallEvent] = Inbox(asyncio.get_running_loop())
        call = Call(services, configuration, record, inbox, log)
        call.handoffs += handoffs
        return call

    def _begin(self, call: Call, entry: JournalEntry, origins: Iterable[OfOrigin] = ()) -> None:
        """From here on it is a call as any."""
        self._journal.take_over(entry)
        self._go_on(call)
        self._follow(call.record, call.handoffs, facts_of(entry, call.record, call.handoffs))
        legs = {leg.session.call_id: leg for leg in call.legs}
        for call_id, origin, up in origins:
            if call_id in legs:
                legs[call_id].origin = origin
                self._follow(origin.record, [origin.handoff], [up])
        call.log.info("taken_over", run=entry.run)

    async def _restore(self, call: Call, entry: JournalEntry) -> There:
        """Raises `MediaError` when its audio is gone, `SipError` when a far end cannot be reached, and what values that
        are none of ours raise."""
        state = entry.state
        assert state is not None, "looked for before"
        # Whom a newcomer takes the place of may be gone since: the call goes on with either.
        needed = [state.caller, state.peer if state.newcomer is None else None]
        found = [await self._found(call, entry, n, needed=n in needed) for n in range(len(entry.legs))]
        # From here on nothing is waited for: nobody sees half a call.
        restored = [
            None if one is None else self._leg(call, leg, *one)
            for leg, one in zip(entry.legs, found, strict=True)
        ]
        caller, peer, newcomer = (
            None if n is None else restored[n] for n in (state.caller, state.peer, state.newcomer)
        )
        if peer is None and newcomer is None and state.left is None:
            raise MediaError("the human is gone")
        call.caller, call.peer, call.answered = caller, peer, True
        call.record.placed = state.placed
        if state.left is not None:
            role, name, said = state.left
            call.left = Left(role, self._reaching.place(entry, role, name), None)
            call.peer_outcome = cause.of_record(said) or call.peer_outcome
        if state.subscription is not None:
            subscriber = restored[state.subscription.leg]
            if subscriber is not None:
                _, event, told = state.subscription
                call.handoffs[-1].subscription = Subscription(subscriber, event, told)
        if state.referred is not None:
            call.handoffs[-1].referred = Referred(frozenset(state.referred.earlier), state.referred.accepted)
        self.strangers += [
            Stranger(entry, leg) for leg, one in zip(entry.legs, restored, strict=True) if one is None
        ]
        return There(caller, newcomer, [leg for leg in restored if leg not in (None, caller, peer, newcomer)])

    async def _found(self, call: Call, entry: JournalEntry, number: int, *, needed: bool) -> Found | None:
        """What is there of a leg; None when nothing is and the call can go on without it. Else it raises as
        `_restore`."""
        assert entry.state is not None, "looked for before"
        leg, state = entry.legs[number], entry.state.legs[number]
        if state is None:
            return None
        try:
            place = self._reaching.place(entry, leg.role, leg.place)
            latching = call.configuration.latching_for(leg.trunk)
            media = await call.media.take_over(state.media, leg.role, latching)
            target = await self._reaching.target(leg, leg.dialog.restored().next_hop, place)
        except (MediaError, SipError):
            if needed:
                raise
            return None
        ours = (state.host, state.port)
        like = Flow(target.transport, ours, (target.host, target.port), ours)
        waiting = next((each for each in entry.waiting if each.call_id == leg.dialog.call_id), None)
        if state.agreed is None and (waiting is None or state.offered is None):
            raise MediaError("our offer was not answered")
        unanswered = None if waiting is None else (waiting.left, waiting.flow(self._services))
        return Found(state, media, self._services.stack.flow_to(target, like), place, unanswered)

    def _leg(
        self,
        call: Call,
        leg: LegEntry,
        state: LegState,
        media: MediaLeg,
        flow: Flow,
        place: Dialled | None,
        unanswered: tuple[UnansweredSnapshot, Flow] | None,
    ) -> RestoredLeg:
        configuration = call.configuration
        protection = (
            media_protection(place.encryption) if place is not None else configuration.srtp_for(leg.trunk)
        )
        passes = configuration.passes_of(leg.trunk) if place is None else place.passes
        far_end = FarEnd(leg.trunk, protection, self._reaching.credentials(leg, place), passes)
        description, our_offer = _described(call, media, flow, far_end, place, state)
        session = self._services.stack.endpoint.restore(
            self._services.now(),
            flow=flow,
            dialog=leg.dialog,
            session=state.session,
            credentials=far_end.credentials,
            extensions=configuration.extensions_for(leg.trunk, place),
            unanswered=unanswered,
        )
        restored = RestoredLeg(
            call,
            _record_of(call.record, leg),
            media,
            description,
            far_end,
            place,
            identity=state.identity,
            facts=state.facts,
            session=session,
            moved=flow.sent_by != state.contact,
            our_offer=our_offer,
        )
        restored.keys_in_audio = state.keys_in_audio
        restored.referrals.accepted.update(state.referred)
        restored.keys_by_info.taken, restored.keys_by_info.named = state.takes_info, state.names_info
        call.take_leg(restored)
        if state.home is not None:
            self._brought[state.home.call_id] = restored, state.home
        return restored


def _described(
    call: Call, media: MediaLeg, flow: Flow, far_end: FarEnd, place: Dialled | None, state: LegState
) -> tuple[LegDescription, LocalOffer | None]:
    """Its descriptions, and our offer that waits for its answer."""
    description = describe(call, media, flow, far_end.protection, place)
    if state.agreed is not None:
        description.resume(state.agreed)
        return description, None
    assert state.offered is not None, "looked for before"
    return description, description.resume_offer(state.offered)


def _record_of(record: CallRecord, leg: LegEntry) -> LegRecord:
    """Raises `KeyError` when it is not there."""
    for each in record.legs:
        if each.sip_call_id == leg.dialog.call_id and each.role == leg.role:
            return each
    raise KeyError(leg.dialog.call_id)
