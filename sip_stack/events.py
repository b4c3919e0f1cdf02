"""What the endpoint tells its user, in order. Past facts, never requests for permission.

Every event but the out-of-dialog ones and `InviteRefused` carries `.session`; `session.owner` is the user's to set.
Each session ends with exactly one terminal event: `Cancelled`, `Rejected`, `Failed` or `Ended`. The one exception is a
`ServerSession` that its user rejects: the user knows, so nothing is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sip_stack.errors import LossReason
from sip_stack.value_class import value_class

if TYPE_CHECKING:
    from sip_stack.dialog.requests import OutOfDialogRequest
    from sip_stack.dialog.session import Session
    from sip_stack.dialog.uac import ClientSession
    from sip_stack.dialog.uas import ServerSession
    from sip_stack.message import Request, Response
    from sip_stack.transaction import ServerTransaction

FailureReason = Literal["timeout"] | LossReason
"""Why no response came: silence for 64*T1, or nothing can be sent."""

EndedBy = Literal["remote", "local", "no_ack", "no_prack", "expired"]
"""Who ended an answered session; `no_ack`: our 2xx was never acknowledged; `expired`: it was not refreshed;
`no_prack`: a reliable provisional response of ours was never acknowledged."""


@value_class
class InviteReceived:
    """A new call came in. 100 Trying is sent; merged requests, limits and refusals are already dealt with."""

    session: ServerSession
    request: Request


@value_class
class Cancelled:
    """Terminal. The caller gave up: 200 to its CANCEL and 487 to its INVITE are sent."""

    session: ServerSession
    request: Request


@value_class
class Progress:
    """Any 1xx to our INVITE, 100 included, in the order received."""

    session: ClientSession
    response: Response


@value_class
class Challenged:
    """A 401 or 407 to our INVITE was answered by a new INVITE with credentials."""

    session: ClientSession
    response: Response
    attempt: int
    """How many times credentials have now been sent for this INVITE, from 1."""


@value_class
class Answered:
    """The first 2xx to our INVITE; its ACK is sent. Repeats and forks never reach the user."""

    session: ClientSession
    response: Response


@value_class
class Rejected:
    """Terminal. A final response >= 300 to our INVITE; its ACK is sent."""

    session: ClientSession
    response: Response
    auth: str | None = None
    """`AuthRejected.reason` when credentials failed (401, 407, or 403 after credentials), else None."""


@value_class
class Failed:
    """Terminal. No final response to our INVITE will come."""

    session: ClientSession
    reason: FailureReason
    detail: str = ""
    """For people."""


@value_class
class ProvisionalAcknowledged:
    """The PRACK that answers the offer in a reliable provisional response of ours; 200 is sent."""

    session: ServerSession
    request: Request


@value_class
class AnswerSent:
    """Our 200, which waited for the PRACK of what was said before it, is on its way."""

    session: ServerSession


@value_class
class Acknowledged:
    """The first ACK to one of our 2xx (the INVITE's or a re-INVITE's)."""

    session: Session
    request: Request


@value_class
class Ended:
    """Terminal. An answered session is over, or a session we cancelled is settled.

    `remote`: their BYE, answered 200 (`message` is it), or a 481 that says that the dialog is gone (`message`
    is it). `local`: our BYE or CANCEL is finished (`message` is the last response, None after silence).
    `no_ack`: our 2xx was never acknowledged, BYE is sent. `no_prack`: a reliable provisional response was not, 504 is
    sent. `expired`: nobody refreshed the session in time, or a refresh of ours was answered by nobody (RFC 4028), BYE
    is sent.
    """

    session: Session
    by: EndedBy
    message: Request | Response | None = None


@value_class
class RefreshDue:
    """The session has to be refreshed by a re-INVITE with the description in force: say `session.reoffer`.

    Comes again if nothing is done; one that is under way already will do. Only where the peer takes no UPDATE.
    """

    session: Session


@value_class
class TermsChanged:
    """The far end's Contact, or what is agreed on for the session timer, is another one since an UPDATE without an
    offer, of either side. Nothing is to be done; whoever writes a session down does so anew."""

    session: Session


@value_class
class ReofferReceived:
    """A re-INVITE, or an UPDATE with a body, waits for `answer_reoffer` or `refuse`. Glare is already dealt
    with."""

    session: Session
    transaction: ServerTransaction
    request: Request


@value_class
class ReofferCompleted:
    """The final response to our re-INVITE (a 2xx is acknowledged); None: no response came."""

    session: Session
    response: Response | None


@value_class
class RequestReceived:
    """Another in-dialog request of a method in `settings.allow`; answer it with `session.respond`."""

    session: Session
    transaction: ServerTransaction
    request: Request


@value_class
class RequestCompleted:
    """The final response to `session.request`; None: no response came."""

    session: Session
    method: str
    response: Response | None


@value_class
class OutOfDialogReceived:
    """A request outside any dialog, of a method in `settings.out_of_dialog`; answer it with
    `endpoint.respond`."""

    transaction: ServerTransaction
    request: Request


@value_class
class OutOfDialogCompleted:
    """The final response to `endpoint.request`; None: no response came, for `reason`."""

    request: OutOfDialogRequest
    response: Response | None
    reason: FailureReason | None = None


@value_class
class InviteRefused:
    """An INVITE that would have begun a call was refused without asking: malformed, or not to be served by anybody.

    Not those that the gate refused or that met a limit. What it says may be unreadable, its From too.
    """

    request: Request
    source: str
    """The IP address that it came from."""
    status: int
    reason: str


SessionEvent = (
    InviteReceived
    | Cancelled
    | Progress
    | Challenged
    | Answered
    | Rejected
    | Failed
    | ProvisionalAcknowledged
    | AnswerSent
    | Acknowledged
    | Ended
    | RefreshDue
    | TermsChanged
    | ReofferReceived
    | ReofferCompleted
    | RequestReceived
    | RequestCompleted
)
"""Events of one session."""

Event = SessionEvent | OutOfDialogReceived | OutOfDialogCompleted | InviteRefused
"""All that `Endpoint.events()` returns."""
