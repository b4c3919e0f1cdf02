"""A caller who may have no final response to their INVITE when the process is killed: the next one gives them one.

Nobody had answered, or our 200 was not acknowledged. Where the call goes on, it is that 200 again (`takeover.py`). Else
it is 503, and no Retry-After. 503 has an SBC try another node, or this one, which is there again (RFC 3263 section
4.3): the caller has waited for somebody, and may still get them. With a Retry-After it would send us no other call
either for so long, and 500 ends the call at many (RFC 3261 section 21.5.4). Who has our 200 after all takes no other
response, and hears the BYE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from b2bua.call import cause
from b2bua.telemetry.logs import get_logger
from sip_stack.dialog.answering import AnsweringSession
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


LATE = 5.0
"""Seconds before the end of 64*T1 from which on a 200 is taken for acknowledged. The ACK may have come after the entry
was written: the caller sends it again, but for 64*T1 only (RFC 3261 section 13.2.2.4), and without it we would hang up.
"""


class Waiting(NamedTuple):
    """A caller whose INVITE may have no final response."""

    transport: str
    host: str
    """Where that has to go."""
    port: int
    tls_name: str
    """Whom a TLS connection to there is made for; empty for none."""
    ours: tuple[str, int]
    """Our socket toward the caller."""
    left: UnansweredSnapshot
    until: float | None
    """Where they were answered: from then on, in seconds since 1970, they do not wait any more."""

    def flow(self, services: Services) -> Flow:
        """Over which their response goes. Raises `TransportError`."""
        target = Target(self.transport, self.host, self.port, self.tls_name)
        like = Flow(self.transport, self.ours, (self.host, self.port), self.ours)
        return services.stack.flow_to(target, like)


def waiting_of(call: Call) -> Waiting | None:
    """The caller of a call; None where they have their final response, or we called."""
    caller = call.caller
    if caller is None or caller.over or not isinstance(caller.session, AnsweringSession):
        return None
    found, answered = caller.session.unanswered, caller.record.answered
    if found is None:
        return None
    flow, target, left = found
    until = None
    if answered is not None:
        until = call.record.clock.seconds(answered + call.services.stack.endpoint.settings.timeout - LATE)
    return Waiting(target.transport, target.host, target.port, target.name, flow.local, left, until)


def still_waiting(entry: JournalEntry, now: float) -> JournalEntry:
    """An entry as it is read at `now`, seconds since 1970."""
    waiting = entry.waiting
    if waiting is None or waiting.until is None or now < waiting.until:
        return entry
    return entry._replace(waiting=None)


def read(plain: object) -> Waiting | None:
    """What was written down. Raises `ValueError` for what is none of ours."""
    return _ADAPTER.validate_python(plain)


_ADAPTER: TypeAdapter[Waiting | None] = TypeAdapter(Waiting | None)


class TakenUp:
    """The INVITE of a call that does not go on; a CANCEL finds it from now on."""

    def __init__(self, services: Services, entry: JournalEntry, waiting: Waiting) -> None:
        """Raises `SipError` when the caller cannot be reached, and when the INVITE came again and is a call by now."""
        self._services = services
        self._log = get_logger().bind(call_id=entry.call_id)
        flow = waiting.flow(services)
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
