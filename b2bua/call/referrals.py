"""REFERs of ours to one far end, what it tells of them, and how it takes what we tell of its own (RFC 3515)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from b2bua.call import events
from sip_stack.dialog.refer import event_package, is_terminated, read_sipfrag

if TYPE_CHECKING:
    from b2bua.call.leg import Leg
    from b2bua.headers import Header
    from sip_stack.message import Request, Response
    from sip_stack.transaction import ServerTransaction


class Referrals:
    """Of one leg."""

    __slots__ = ("_leg", "_open", "accepted")

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self._open = 0
        self.accepted: set[str] = set()
        """CSeqs of those that the far end took."""

    def send(self, refer_to: str, headers: Iterable[Header]) -> None:
        """REFER the far end to somebody else; `ReferAnswered` and `ReferNotified` follow."""
        leg = self._leg
        self._open += not leg.over
        leg.request("REFER", [("Refer-To", refer_to), ("Referred-By", leg.session.contact), *headers])

    def answered(self, response: Response | None) -> None:
        """Tell of the final response to one; not of silence after one that nobody waits for any more."""
        self._open -= 1
        if response is not None:
            number = str(response.cseq.number)
            self._leg.tell(events.ReferAnswered(self._leg, response.status, response.reason, number))
        elif self._open == 0:
            self._leg.tell(events.ReferAnswered(self._leg, None, None, ""))


def receive_notify(leg: Leg, transaction: ServerTransaction, request: Request) -> None:
    """Hear what became of a REFER of ours; other packages nobody subscribed to (RFC 6665 section 4.1.3)."""
    package = event_package(request)
    if package is None:
        leg.respond(transaction, 400)
    elif package[0] != "refer":
        leg.respond(transaction, 489, [("Allow-Events", "refer")])
    else:
        leg.respond(transaction, 200)
        status, number = read_sipfrag(request.body), package[1] or ""
        leg.tell(events.ReferNotified(leg, status, is_terminated(request), number))


def notify_answered(leg: Leg, response: Response | None) -> None:
    """A NOTIFY of ours about the REFER of the far end has its final response; None: it will have none."""
    subscription = None if leg.call.handoff is None else leg.call.handoff.subscription
    if (
        response is not None
        and response.status == 481
        and subscription is not None
        and subscription.leg is leg
    ):
        subscription.over = True
    leg.tell(events.NotifyAnswered(leg))
