"""A far end that called us, and may have no final response to its INVITE when the process is killed: the next one gives
it one. It is the caller, or a phone that takes the place of another.

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
    from b2bua.call.leg import Leg
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
    """One of them."""

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

    @property
    def call_id(self) -> str:
        """Of their leg."""
        return self.left.invite.call_id

    def flow(self, services: Services) -> Flow:
        """Over which their response goes. Raises `TransportError`."""
        target = Target(self.transport, self.host, self.port, self.tls_name)
        like = Flow(self.transport, self.ours, (self.host, self.port), self.ours)
        return services.stack.flow_to(target, like)


def waiting_of(call: Call) -> tuple[Waiting, ...]:
    """Those of a call."""
    found = (_waiting(leg) for leg in call.own_legs() if not leg.over)
    return tuple(each for each in found if each is not None)


def _waiting(leg: Leg) -> Waiting | None:
    """None where it has its final response, or we called."""
    session, answered = leg.session, leg.record.answered
    found = session.unanswered if isinstance(session, AnsweringSession) else None
    if found is None:
        return None
    flow, target, left = found
    until = None
    if answered is not None:
        late = answered + leg.call.services.stack.endpoint.settings.timeout - LATE
        until = leg.call.record.clock.seconds(late)
    return Waiting(target.transport, target.host, target.port, target.name, flow.local, left, until)


def still_waiting(entry: JournalEntry, now: float) -> JournalEntry:
    """An entry as it is read at `now`, seconds since 1970."""
    still = tuple(each for each in entry.waiting if each.until is None or now < each.until)
    return entry._replace(waiting=still)


def read(plain: object) -> tuple[Waiting, ...]:
    """What was written down. Raises `ValueError` for what is none of ours."""
    return _ADAPTER.validate_python(plain)


_ADAPTER: TypeAdapter[tuple[Waiting, ...]] = TypeAdapter(tuple[Waiting, ...])


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


def take_up(services: Services, entry: JournalEntry) -> list[TakenUp]:
    """The INVITEs of those who wait in an entry, and whom something can be sent to."""
    taken: list[TakenUp] = []
    for waiting in entry.waiting:
        try:
            taken.append(TakenUp(services, entry, waiting))
        except SipError as error:
            get_logger().warning("caller_not_refused", call_id=entry.call_id, why=str(error))
    return taken
