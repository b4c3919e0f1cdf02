"""A caller whom nobody had answered when the process was killed: the next one gives their INVITE its final response.

That is 503, and no Retry-After. 503 has an SBC try another node, or this one, which is there again (RFC 3263 section
4.3): the caller has waited for somebody, and may still get them. With a Retry-After it would send us no other call
either for so long, and 500 ends the call at many (RFC 3261 section 21.5.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from b2bua.call import cause
from b2bua.call.received_leg import ReceivedLeg
from b2bua.telemetry.logs import get_logger
from sip_stack.dialog.snapshot import UnansweredSnapshot
from sip_stack.errors import SipError
from sip_stack.transport import Flow, Target

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.services import Services
    from b2bua.journal.entry import JournalEntry
    from sip_stack.dialog.unanswered import UnansweredInvite

LOST = cause.local("process_lost_unanswered")
"""How such a call ends."""


class Waiting(NamedTuple):
    """A caller whose INVITE has no final response."""

    transport: str
    host: str
    """Where that has to go."""
    port: int
    tls_name: str
    """Whom a TLS connection to there is made for; empty for none."""
    ours: tuple[str, int]
    """Our socket toward the caller."""
    left: UnansweredSnapshot


def waiting_of(call: Call) -> Waiting | None:
    """The caller of a call; None where they have their final response, or we called."""
    caller = call.caller
    if not isinstance(caller, ReceivedLeg) or caller.over or (found := caller.session.unanswered) is None:
        return None
    flow, target, left = found
    return Waiting(target.transport, target.host, target.port, target.name, flow.local, left)


def read(plain: object) -> Waiting | None:
    """What was written down. Raises `ValueError` for what is none of ours."""
    return _ADAPTER.validate_python(plain)


_ADAPTER: TypeAdapter[Waiting | None] = TypeAdapter(Waiting | None)


class TakenUp:
    """The INVITE of a call that nobody had answered; a CANCEL finds it from now on."""

    def __init__(self, services: Services, entry: JournalEntry, waiting: Waiting) -> None:
        """Raises `SipError` when the caller cannot be reached, and when the INVITE came again and is a call by now."""
        self._services = services
        self._log = get_logger().bind(call_id=entry.call_id)
        target = Target(waiting.transport, waiting.host, waiting.port, waiting.tls_name)
        like = Flow(waiting.transport, waiting.ours, (waiting.host, waiting.port), waiting.ours)
        flow = services.stack.flow_to(target, like)
        self._invite: UnansweredInvite = services.stack.endpoint.take_up(flow=flow, left=waiting.left)

    def refuse(self) -> None:
        """Give it its final response."""
        status = LOST.caller_status
        assert status is not None, "nobody has answered"
        answered = self._invite.refuse(self._services.now(), status, LOST.reason_headers())
        self._log.info("caller_refused", status=status if answered else 487)


def take_up(services: Services, entry: JournalEntry) -> TakenUp | None:
    """The INVITE of the caller of an entry; None where none waits, or nothing can be sent to them."""
    if entry.waiting is None:
        return None
    try:
        return TakenUp(services, entry, entry.waiting)
    except SipError as error:
        get_logger().warning("caller_not_refused", call_id=entry.call_id, why=str(error))
        return None
