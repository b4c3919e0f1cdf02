"""Phones that rang for a call when its process was killed: they are told that nobody is there any more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pydantic import TypeAdapter

from b2bua.call import cause
from b2bua.call.dialled_leg import DialledLeg
from b2bua.telemetry.logs import get_logger
from sip_stack.dialog.snapshot import InviteSnapshot
from sip_stack.errors import SipError
from sip_stack.transport import DEFAULT_TERMS, Target

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.services import Services
    from b2bua.journal.entry import JournalEntry
    from b2bua.journal.reaching import Reaching


class Ringing(NamedTuple):
    """A leg whose INVITE has no final response."""

    role: str
    place: str
    """The destination or assistant that was dialled."""
    transport: str
    host: str
    """Where the INVITE went, and its CANCEL has to go."""
    port: int
    tls_name: str
    """What its certificate had to name."""
    invite: InviteSnapshot


def ringing_of(call: Call) -> tuple[Ringing, ...]:
    """Those of its legs."""
    return tuple(
        Ringing(
            leg.role,
            leg.place.name,
            flow.transport,
            *flow.remote,
            "" if flow.peer is None else flow.peer.name,
            invite,
        )
        for leg in call.own_legs()
        if isinstance(leg, DialledLeg) and not leg.over and (pending := leg.session.pending) is not None
        for flow, invite in (pending,)
    )


def read(plain: object) -> tuple[Ringing, ...]:
    """What was written down. Raises `ValueError` for what is none of ours."""
    return _ADAPTER.validate_python(plain)


_ADAPTER = TypeAdapter(tuple[Ringing, ...])


def take_back(services: Services, reaching: Reaching, entry: JournalEntry) -> None:
    """Send CANCEL to those who ring for a call. One who has answered meanwhile is hung up; nobody is waited for."""
    stack, reason = services.stack, cause.local("process_lost").reason_headers()
    for each in entry.ringing:
        log = get_logger().bind(call_id=entry.call_id, leg=each.role, destination=each.place)
        place = reaching.place(entry, each.role, each.place)
        target = Target(each.transport, each.host, each.port)
        if each.transport == "tls":
            terms = DEFAULT_TERMS if place is None or place.tls is None else place.tls.terms
            target = replace(target, name=each.tls_name, terms=terms)
        credentials = None if place is None or place.auth is None else place.auth.credentials
        try:
            session = stack.endpoint.take_back(
                services.now(),
                flow=stack.flow_to(target),
                invite=each.invite,
                headers=reason,
                credentials=credentials,
            )
        except SipError as error:
            log.warning("not_taken_back", error=str(error))
            continue
        log.info("taken_back", sip_call_id=session.call_id)
    stack.flush()
