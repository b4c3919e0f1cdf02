"""Every offer on a leg after its first: those its far end makes, and ours, which tell it of the other side's hold.

RFC 3261 section 14, RFC 3264 section 8, RFC 3311. A far end's offer is answered at once and by this leg alone; what
the other side must know goes there as an event. Our own offers say nothing but a direction, and when one is refused
the leg stays as it was.

Who may send a re-INVITE when, 491 and its waits are `sip_stack.dialog.session`'s; what is said is `sdp_bridge`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause
from sip_stack.dialog import SessionState
from sip_stack.errors import LocalError, RemoteError

if TYPE_CHECKING:
    from b2bua.call.leg import Leg
    from b2bua.sdp_bridge import LocalOffer
    from sip_stack.message import Request, Response
    from sip_stack.transaction import ServerTransaction

SDP = "application/sdp"


class Reoffers:
    """The offers under way on one leg: at most one of ours, and none while one of theirs waits."""

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self._pending: LocalOffer | None = None
        """In a re-INVITE of ours, on its way or waiting for its turn."""
        self._unacknowledged: tuple[int, LocalOffer] | None = None
        """In our 200 to a re-INVITE without an offer, and its CSeq number: the answer comes in the ACK."""

    def tell(self) -> None:
        """Send a re-INVITE if the far end does not know what the other side of the bridge wants."""
        leg = self._leg
        if leg.over or self._pending is not None or not leg.description.must_tell:
            return
        if leg.session.state is SessionState.EARLY:
            return  # The answer tells, or what is told after it.
        self._pending = leg.description.make_reoffer()
        leg.session.reoffer(leg.now(), self._pending.body)
        leg.flush()

    def refresh(self) -> None:
        """Send a re-INVITE that changes nothing, so that the far end shows that it is there (RFC 4028 section 7.4).

        An offer of ours that is under way, or waits for its turn, does as well.
        """
        leg = self._leg
        if leg.over or self._pending is not None:
            return
        try:
            self._pending = leg.description.make_refresh()
        except LocalError:
            return  # An offer is open; we are reminded.
        leg.session.reoffer(leg.now(), self._pending.body)
        leg.flush()

    def received(self, transaction: ServerTransaction, request: Request) -> None:
        """Answer a re-INVITE or an UPDATE of the far end, or the offer in its PRACK.

        An offer of ours that waits for its turn is given up first: the answer says as much.
        """
        leg = self._leg
        leg.confirm_early(request)
        if self._pending is not None and leg.session.withdraw_reoffer():
            leg.description.withdraw(self._pending, heard=False)
            self._pending = None
        try:
            body = request.body_of_type(SDP)
            if body:
                self._answer(transaction, body)
            elif request.method == "INVITE":
                self._offer_back(transaction, request)
            else:
                leg.session.refuse(leg.now(), transaction, 415, headers=[("Accept", SDP)])
        except RemoteError as error:
            leg.session.refuse(leg.now(), transaction, error.status_hint, headers=error.headers)
            leg.log("reoffer_refused", why=error.reason)
        except LocalError as error:
            # An offer on top of an open one (RFC 3311 section 5.2).
            leg.session.refuse(leg.now(), transaction, 491)
            leg.log("reoffer_refused", why=str(error))
        self.tell()

    def acknowledged(self, request: Request) -> None:
        """Take the answer in the ACK to an offer of ours; without a good one the leg stays as it was."""
        if self._unacknowledged is None or self._unacknowledged[0] != request.cseq.number:
            return
        leg, (_, offer) = self._leg, self._unacknowledged
        self._unacknowledged = None
        try:
            leg.description.receive_acknowledgement(offer, request.body_of_type(SDP))
        except RemoteError as error:
            leg.description.withdraw(offer, heard=True)
            leg.log("answer_unusable", why=error.reason)
        else:
            leg.agree()
        self.tell()

    def completed(self, response: Response | None) -> None:
        """Take the final response to our re-INVITE: the answer is in force, or everything is as before."""
        leg, offer = self._leg, self._pending
        self._pending = None
        if offer is None:
            return
        if response is None or response.status >= 300:
            leg.description.withdraw(offer, heard=True)
            leg.log("our_reoffer_refused", status=None if response is None else response.status)
        else:
            self._take_answer(offer, response)
        if leg.description.changes_codec:
            # The other side has no other codec: they would never hear each other.
            leg.give_up(cause.local("media_not_acceptable", source=leg.role))
        self.tell()

    def _take_answer(self, offer: LocalOffer, response: Response) -> None:
        leg = self._leg
        try:
            leg.description.receive_response(offer, response.status, response.body_of_type(SDP))
        except RemoteError as error:
            leg.description.withdraw(offer, heard=True)
            leg.log("answer_unusable", why=error.reason)
        else:
            leg.agree()
            leg.log("our_reoffer_answered")

    def _answer(self, transaction: ServerTransaction, body: bytes) -> None:
        leg = self._leg
        reoffer = leg.description.receive_reoffer(body)
        leg.session.answer_reoffer(leg.now(), transaction, reoffer.answer)
        leg.agree()
        leg.log("reoffer_answered", change=str(reoffer.change.name or "none").lower(), hold=leg.wish.holds)

    def _offer_back(self, transaction: ServerTransaction, request: Request) -> None:
        leg = self._leg
        offer = leg.description.make_full_reoffer()
        self._unacknowledged = (request.cseq.number, offer)
        leg.session.answer_reoffer(leg.now(), transaction, offer.body)
