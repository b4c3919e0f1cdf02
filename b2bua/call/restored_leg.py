"""A leg that an earlier process of ours has set up: it is answered, and goes on from what that one wrote down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.call.late_offer import take_answer
from b2bua.call.leg import Leg
from sip_stack import events as sip

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.far_end import FarEnd
    from b2bua.call.record import LegRecord
    from b2bua.config import Dialled
    from b2bua.feed import LegFacts
    from b2bua.headers import Header
    from b2bua.identity import Caller
    from b2bua.sdp_bridge import LegDescription, LocalOffer
    from media.engine import MediaLeg
    from sip_stack.dialog.restored import RestoredSession
    from sip_stack.message import Request


class RestoredLeg(Leg):
    """Either side of a call; whose its INVITE was matters for the record alone."""

    __slots__ = ("moved", "our_offer")

    def __init__(
        self,
        call: Call,
        record: LegRecord,
        media: MediaLeg,
        description: LegDescription,
        far_end: FarEnd,
        place: Dialled | None,
        *,
        identity: Caller,
        facts: LegFacts | None,
        session: RestoredSession,
        moved: bool,
        our_offer: LocalOffer | None,
    ) -> None:
        """`our_offer`: in our 200, where its answer comes in the ACK."""
        super().__init__(call, record.role, media, description, far_end)
        self.record = record
        self.identity = identity
        self.facts = facts
        self.uuid = record.session_id
        self.place = place
        if place is not None:
            self.timers = call.configuration.timers_for(place)
        self._wish = description.wish
        self.session: RestoredSession = session
        self.moved = moved
        """We are at another address than its far end knows."""
        self.our_offer = our_offer
        session.owner = self
        if session.we_called:
            self.count()

    def acknowledged(self, request: Request) -> None:
        offer, self.our_offer = self.our_offer, None
        if offer is not None:
            take_answer(self, offer, request)
        else:
            super().acknowledged(request)

    def hang_up(self, outcome: cause.Outcome, headers: Iterable[Header] = ()) -> None:
        if self.over:
            return
        self.over = True
        ours = outcome.source == self.role and not self.session.we_called
        self.note_end("b2bua" if ours else outcome.source, outcome)
        self.session.bye(self.now(), headers=[*headers, *self.parting(outcome)])
        self.flush()

    def deliver_first(self, event: sip.SessionEvent) -> None:
        """Its session has begun long ago."""
