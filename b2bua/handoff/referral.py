"""Somebody asks by REFER, the assistant or a human who may: whether it is done, and the NOTIFYs that tell how it goes.

RFC 3515, RFC 4488, RFC 6665. Refer-To names a destination (`sip:billing@<us>`) or a URI that `policy` allows; its
headers become the handoff's. Whatever is not allowed is 603 with a Warning, and never passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from b2bua.config.dial_uri import least_encryption
from b2bua.control import ControlError
from b2bua.handoff.attended import join_by_replaces
from b2bua.handoff.begin import begin
from b2bua.handoff.handoff import Handoff, HandoffRequest, HandoffState
from sip_stack.dialog.refer import (
    SIPFRAG,
    ReferTo,
    read_refer_to,
    sipfrag,
    subscription_state,
    wants_no_subscription,
)
from sip_stack.errors import RemoteError

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from sip_stack.message import Request
    from sip_stack.transaction import ServerTransaction

_STATUS_OF = {HandoffState.DIALING: 100, HandoffState.RINGING: 180, HandoffState.CONNECTED: 200}


def receive_refer(call: Call, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
    """Answer a REFER at once; when it is accepted, the handoff waits in the call's inbox."""
    handoff: Handoff | None = None
    try:
        target = read_refer_to(request)
        if target.replaces is not None:
            join_by_replaces(leg, target)
        else:
            handoff = _accept(call, leg, target)
    except RemoteError as error:
        leg.respond(transaction, error.status_hint, error.headers)
        call.log.info("refer_declined", leg=leg.role, status=error.status_hint, why=error.reason)
        return
    silent = wants_no_subscription(request)
    leg.respond(transaction, 202, [("Refer-Sub", "false")] if silent else [])
    if silent:
        return
    if handoff is None:
        # It is done already, and there is nothing more to tell.
        headers = [("Event", "refer"), ("Subscription-State", subscription_state(active=False))]
        leg.request("NOTIFY", headers, sipfrag(200), SIPFRAG)
    else:
        handoff.subscription = Subscription(leg, _event_of(call, handoff, request.cseq.number))
        handoff.subscription.begin()


def _accept(call: Call, leg: Leg, target: ReferTo) -> Handoff:
    if leg is not call.peer or not leg.may_refer:
        raise _declined(
            "Only the assistant may refer the caller, and a human where agent_may_transfer says so"
        )
    if call.handoff is not None:
        raise RemoteError(491, "A handoff is under way")
    if target.method != "INVITE":
        raise _declined("Only a plain INVITE can be referred to")
    try:
        return begin(call, _request(call, leg, target))
    except ControlError as error:
        raise _declined(error.message) from error


def _request(call: Call, leg: Leg, target: ReferTo) -> HandoffRequest:
    headers = dict(target.headers)
    asked_by: Literal["assistant", "agent"] = "agent" if leg.role == "agent" else "assistant"
    flow = leg.session.flow
    ours = {flow.sent_by[0], flow.advertised[0], flow.local[0]}
    if target.host in ours or target.host == "":
        if target.user in call.configuration.destinations:
            return HandoffRequest(destination=target.user, sip_headers=headers, asked_by=asked_by)
        if target.host:
            raise _declined("No such destination")
    return HandoffRequest(
        route=(target.uri,),
        encryption=least_encryption(target.uri),
        sip_headers=headers,
        asked_by=asked_by,
    )


def _declined(why: str) -> RemoteError:
    text = why.replace("\\", "").replace('"', "'")
    return RemoteError(603, why, [("Warning", f'399 b2bua "{text}"')])


def _event_of(call: Call, handoff: Handoff, cseq: int) -> str:
    """The id is needed from the second REFER of a dialog on (RFC 3515 section 2.4.6); some peers know only the bare
    package name, so the first does without."""
    same = [each for each in call.handoffs if each.request.asked_by == handoff.request.asked_by]
    return "refer" if len(same) == 1 else f"refer;id={cseq}"


class Subscription:
    """The implicit subscription of one REFER: one NOTIFY per change of the handoff, the last with its outcome."""

    def __init__(self, leg: Leg, event: str, told: int = 0) -> None:
        """`event` is what its NOTIFYs say in Event, `told` the status that the last of them told."""
        self.leg = leg
        """Who has asked, whom the caller talked to then."""
        self.event = event
        self.told = told
        self.over = False

    def begin(self) -> None:
        """The first NOTIFY, which says that it was heard."""
        self._notify(100, active=True)

    def tell(self, handoff: Handoff) -> None:
        """Notify whoever asked of where the handoff is now."""
        if handoff.state in (HandoffState.FAILED, HandoffState.CANCELLED):
            self._notify(_failure_status(handoff), active=False)
        elif (status := _STATUS_OF.get(handoff.state, 200)) > self.told:
            self._notify(status, active=status < 200)

    def _notify(self, status: int, *, active: bool) -> None:
        if self.over or self.leg.over:
            return
        self.told, self.over = status, not active
        headers = [("Event", self.event), ("Subscription-State", subscription_state(active))]
        self.leg.request("NOTIFY", headers, sipfrag(status), SIPFRAG)


def _failure_status(handoff: Handoff) -> int:
    """What the far end said, else the status its cause has toward a caller."""
    outcome = handoff.outcome
    if outcome is None:
        return 500
    if handoff.state is HandoffState.CANCELLED:
        return 487
    status = outcome.sip_status or outcome.caller_status or 500
    return status if status >= 300 and status not in (401, 407) else outcome.caller_status or 500
