"""A far end that called us without an offer: ours is in our 200, or a reliable 18x, its answer in the ACK, or the PRACK
(RFC 3261 section 13.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call.audio_protection import unusable
from sip_stack.errors import RemoteError

if TYPE_CHECKING:
    from b2bua.call.leg import Leg
    from b2bua.sdp_bridge import LocalOffer
    from sip_stack.message import Request


def take_answer(leg: Leg, offer: LocalOffer, request: Request) -> None:
    """Put the answer to our offer in force; a call without a good one cannot go on."""
    try:
        leg.description.receive_acknowledgement(offer, request.body_of_type("application/sdp"))
    except RemoteError as error:
        outcome = unusable(error, leg.role)
        leg.log("answer_unusable", why=error.reason)
        leg.give_up(outcome)
        return
    leg.agree()
    leg.reoffers.tell()
