"""A leg that called us: an INVITE we received, from its offer to our answer or refusal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from b2bua.call import cause, events
from b2bua.call.late_offer import take_answer
from b2bua.call.leg import Leg
from b2bua.call.new_leg import describe, leg_record
from b2bua.crossing import headers_for, reasons_of
from b2bua.headers import P_EARLY_MEDIA
from b2bua.identity import Caller
from sip_stack import events as sip

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.far_end import FarEnd
    from b2bua.headers import Header
    from b2bua.sdp_bridge import LocalOffer, RemoteOffer
    from media.engine import MediaLeg
    from sip_stack.dialog.uas import ServerSession
    from sip_stack.message import Request


class ReceivedLeg(Leg):
    """The leg that a call exists for, or one that came in the place of another.

    Our session description toward the caller is made once and stays the same through early media, attempts and
    the answer. A caller without an offer gets ours in the 200 and answers it in the ACK.
    """

    __slots__ = (
        "_alerted",
        "_answered",
        "_early_media",
        "_offers",
        "_said_early",
        "our_offer",
    )

    def __init__(
        self,
        call: Call,
        role: str,
        media: MediaLeg,
        far_end: FarEnd,
        session: ServerSession,
        request: Request,
        offer: RemoteOffer | None,
    ) -> None:
        """`offer`: what the INVITE offers. Raises `RemoteError` (488) and `NoAddress`."""
        description = describe(call, media, session.flow, far_end.protection, offer=offer)
        if offer is not None:
            # Before there is a leg, whose parts name each other: of one that is refused nothing may be left.
            description.receive_offer(offer)
        super().__init__(call, role, media, description, far_end)
        self.record = leg_record(role, session, self.now())
        self._offers = offer is not None
        if self._offers:
            self.agree()
        self.our_offer: LocalOffer | None = None
        """In our 200 or reliable 18x to an INVITE without an offer, until the ACK or PRACK brings the answer."""
        self._said_early = b""
        """Our description in a reliable provisional response: offer and answer are over with its PRACK."""
        self.session: ServerSession = session
        session.credentials = far_end.credentials
        self.keys_by_info.learn_methods(request)
        self._alerted = False
        self._early_media = False
        self._answered = False
        self.identity = Caller.from_invite(request, call.configuration.passes_of(call.record.trunk))
        session.owner = self
        if role == "caller" and call.caller is None and call.uuid:
            self.uuid = call.record.session_id
        self.learn_uuid(request)
        self.present(call.uuid)

    @property
    def hears_early_media(self) -> bool:
        """True from our 183 on."""
        return self._early_media

    def ring(self, said: Sequence[Header] = ()) -> None:
        """180 to the caller, once, and not over early media they hear already."""
        if self._alerted or self._answered or self.over:
            return
        self._alerted = True
        body = b""
        if not self._offers and self.session.sends_reliably(description=False):
            # RFC 3262 section 5: the first reliable response to an INVITE without an offer holds it.
            body = self._offer_early()
        self.session.progress(self.now(), 180, body=body, headers=headers_for(said, self.passes))
        self.flush()

    def early_media(self, said: Sequence[Header] = ()) -> None:
        """183 with our description to the caller, once: from now on they hear the far end.

        A caller without an offer gets ours in a 183 that is acknowledged, and answers it in the PRACK; who cannot do
        that cannot hear anything yet, and gets ringing.
        """
        if self._early_media or self._answered or self.over:
            return
        reliable = self.session.sends_reliably(description=True)
        if not self._offers and not reliable:
            self.ring(said)
            return
        self._alerted = self._early_media = True
        if not self._offers:
            body = self._offer_early()
        elif reliable:
            body = self._said_early = self.description.make_answer()
            self.agree()
        else:
            body = self.description.preview_answer()
            self.agree()
        headers = headers_for(said, self.passes)
        if self.identity.knows_early_media:
            headers.append((P_EARLY_MEDIA, "sendrecv"))
        self.session.progress(self.now(), 183, body=body, headers=headers)
        self.flush()

    def _offer_early(self) -> bytes:
        """Our offer to a caller without one, once; the answer comes in the PRACK."""
        if self._said_early:
            return b""
        self.our_offer = self.description.make_offer()
        self._said_early = self.our_offer.body
        return self._said_early

    def answer(self, said: Sequence[Header] = ()) -> None:
        """200 to the caller with our description; `said` are headers of who has answered."""
        if self.over:
            return
        self._answered = True
        if self._said_early:
            # The same answer may be said again (RFC 3261 section 13.2.1), and old devices look for it here; but not our
            # offer, nor the answer to another offer that was made since.
            body = self._said_early if self._offers and self._said_early == self.description.body else b""
        elif self._offers:
            body = self.description.make_answer()
            self.agree()
        else:
            self.our_offer = self.description.make_offer()
            body = self.our_offer.body
        self.session.answer(self.now(), body=body, headers=headers_for(said, self.passes))
        if not self.answer_is_held:
            self.record.answered = self.now()
        self.flush()
        self.reoffers.tell()

    @property
    def answer_is_held(self) -> bool:
        return self._answered and self.session.answer_is_held

    def acknowledged(self, request: Request) -> None:
        """Take the answer in the ACK, or the PRACK, if our 200 or 18x had the offer; a call without a good one cannot
        go on."""
        offer, self.our_offer = self.our_offer, None
        if offer is not None:
            take_answer(self, offer, request)
            return
        super().acknowledged(request)
        self.reoffers.tell()

    def hang_up(self, outcome: cause.Outcome, headers: Iterable[Header] = ()) -> None:
        if self.over:
            return
        self.over = True
        self.note_end("b2bua" if outcome.source == self.role else outcome.source, outcome)
        if self._answered and not self.answer_is_held:
            self.session.bye(self.now(), headers=[*headers, *self.parting(outcome)])
        else:
            status = outcome.caller_status or (480 if self._answered else 500)
            self.session.reject(self.now(), status, headers=outcome.reason_headers())
        self.flush()

    def deliver_first(self, event: sip.SessionEvent) -> None:
        match event:
            case sip.ProvisionalAcknowledged(_, request):
                self.acknowledged(request)
            case sip.AnswerSent():
                self.record.answered = self.now()
                if self.call.caller is self:
                    self.call.note_caller_answered()
                self.call.note_up()
            case sip.Cancelled(_, request):
                self.record.end(self.role, self.now())
                outcome = replace(cause.local("cancel", source="caller"), reasons=reasons_of(request))
                self.tell(events.Cancelled(self, outcome))
                self.over = True
