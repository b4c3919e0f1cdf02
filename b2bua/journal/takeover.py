"""A call of an earlier process goes on here: its audio goes on at a media engine that outlived that process.

Nothing is sent to either side. Whatever is missing, the audio, a far end that cannot be reached, leaves the call to
those who end it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.call import Call
from b2bua.call.far_end import FarEnd
from b2bua.call.inbox import Inbox
from b2bua.call.new_leg import describe
from b2bua.call.restored_leg import RestoredLeg
from b2bua.encryption import media_protection
from b2bua.journal.reopened import reopened_handoff, reopened_record
from b2bua.telemetry.logs import get_logger
from media.engine import MediaError
from sip_stack.errors import SipError
from sip_stack.transport import Flow

if TYPE_CHECKING:
    from b2bua.call.events import CallEvent
    from b2bua.call.record import CallRecord, JsonObject, LegRecord
    from b2bua.call.services import Services
    from b2bua.config import Dialled
    from b2bua.journal.entry import JournalEntry, LegEntry
    from b2bua.journal.going_on import LegState
    from b2bua.journal.journal import Journal
    from b2bua.journal.reaching import Reaching
    from b2bua.sdp_bridge import LegDescription
    from media.engine import MediaLeg

GoOn = Callable[[Call], None]


class Takeover:
    """Restores calls one at a time, each in one step once its audio is found."""

    def __init__(self, services: Services, journal: Journal, reaching: Reaching, go_on: GoOn) -> None:
        """`go_on` gets each call that is restored."""
        self._services = services
        self._journal = journal
        self._reaching = reaching
        self._go_on = go_on
        self._log = get_logger()

    async def take(self, entry: JournalEntry) -> bool:
        """Go on with a call; False when it can only be ended."""
        if entry.state is None:
            return False
        log = self._log.bind(call_id=entry.call_id)
        services, configuration = self._services, self._reaching.configuration
        try:
            record = reopened_record(entry.record, services.now())
        except (KeyError, TypeError, ValueError) as error:
            log.warning("not_taken_over", why=repr(error))
            return False
        inbox: Inbox[CallEvent] = Inbox(asyncio.get_running_loop())
        call = Call(services, configuration, record, inbox, log)
        try:
            await self._restore(call, entry)
        except (MediaError, SipError, KeyError, TypeError, ValueError) as error:
            for leg in call.legs:
                leg.hang_up(cause.local("process_lost"))
            call.media.close()
            log.warning("not_taken_over", why=str(error))
            return False
        self._journal.take_over(entry)
        self._go_on(call)
        for handoff in call.handoffs:
            if not handoff.is_connected:  # Whoever rang for it has nobody to answer to.
                handoff.close(cause.local("process_lost"), services.now())
        call.note_up()
        log.info("taken_over", run=entry.run)
        return True

    async def _restore(self, call: Call, entry: JournalEntry) -> None:
        """Raises `MediaError` when its audio is gone, `SipError` when a far end cannot be reached, and what values that
        are none of ours raise."""
        assert entry.state is not None, "looked for before"
        pairs = list(zip(entry.legs, entry.state.legs, strict=True))
        found = [await self._find(call, entry, leg, state) for leg, state in pairs]
        # From here on nothing is waited for: nobody sees half a call.
        restored = [
            self._leg(call, leg, state, *there) for (leg, state), there in zip(pairs, found, strict=True)
        ]
        caller = restored.pop(entry.state.caller)
        (peer,) = restored
        handoffs = _objects(entry.record["handoffs"])
        feed = self._services.feed
        call.handoffs += [
            reopened_handoff(each, call.record.clock, call.configuration, feed) for each in handoffs
        ]
        call.caller, call.peer, call.answered = caller, peer, True
        call.join(caller, peer)
        for leg in (caller, peer):
            leg.agree()
        call.watch(peer)
        caller.wait_for_keys(peer.hangs_up_on_star)

    async def _find(
        self, call: Call, entry: JournalEntry, leg: LegEntry, state: LegState
    ) -> tuple[MediaLeg, Flow, Dialled | None]:
        """Its audio, the way to its far end, and where it was dialled."""
        place = self._reaching.place(entry, leg)
        latching = call.configuration.latching_for(leg.trunk)
        media = await call.media.take_over(state.media, leg.role, latching)
        target = await self._reaching.target(leg, leg.dialog.restored().next_hop, place)
        ours = (state.host, state.port)
        like = Flow(target.transport, ours, (target.host, target.port), ours)
        return media, self._services.stack.flow_to(target, like), place

    def _leg(
        self,
        call: Call,
        leg: LegEntry,
        state: LegState,
        media: MediaLeg,
        flow: Flow,
        place: Dialled | None,
    ) -> RestoredLeg:
        configuration = call.configuration
        protection = (
            media_protection(place.encryption) if place is not None else configuration.srtp_for(leg.trunk)
        )
        far_end = FarEnd(leg.trunk, protection, self._reaching.credentials(leg, place))
        description = _described(call, media, flow, far_end, place, state)
        session = self._services.stack.endpoint.restore(
            self._services.now(),
            flow=flow,
            dialog=leg.dialog,
            session=state.session,
            credentials=far_end.credentials,
            extensions=configuration.extensions_for(leg.trunk, place),
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
        )
        restored.keys_in_audio = state.keys_in_audio
        restored.keys_by_info.taken, restored.keys_by_info.named = state.takes_info, state.names_info
        call.take_leg(restored)
        return restored


def _described(
    call: Call, media: MediaLeg, flow: Flow, far_end: FarEnd, place: Dialled | None, state: LegState
) -> LegDescription:
    description = describe(call, media, flow, far_end.protection, place)
    description.resume(state.agreed)
    return description


def _record_of(record: CallRecord, leg: LegEntry) -> LegRecord:
    """Raises `KeyError` when it is not there."""
    for each in record.legs:
        if each.sip_call_id == leg.dialog.call_id and each.role == leg.role:
            return each
    raise KeyError(leg.dialog.call_id)


def _objects(value: object) -> list[JsonObject]:
    assert isinstance(value, list), "its record has been read"
    return value
