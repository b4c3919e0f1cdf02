"""The record that a call begins with: what its INVITE says of who calls whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from b2bua.call.clock import CallClock
from b2bua.call.record import CallRecord
from sip_stack.errors import RemoteError
from sip_stack.message import SipUri
from sip_stack.message.session_id import NIL, SessionId, new_uuid

if TYPE_CHECKING:
    from b2bua.call.services import Services
    from sip_stack.message import Request


def record_of_invite(services: Services, trunk: str, request: Request) -> CallRecord:
    """The record of a call that begins now, or is refused: what cannot be read of its INVITE is left empty."""
    now = services.now()
    token = services.stack.token
    return CallRecord(
        call_id=token(),
        session_id=_session_id(services, request),
        node=services.node,
        trunk=trunk,
        caller=_read(lambda: request.from_.uri),
        called=_read(lambda: _called(services, request)),
        started=now,
        clock=CallClock(now),
    )


def _called(services: Services, request: Request) -> str:
    called, uri = services.bindings.called(request), request.request_uri
    if called is not None:
        return called
    return uri.username if isinstance(uri, SipUri) else str(uri)


def _session_id(services: Services, request: Request) -> str:
    """The caller's UUID (RFC 7989), or one that we give them."""
    said = SessionId.parse(request.headers.get("Session-ID"))
    own = None if said is None or said.local == NIL else said.local
    return own or new_uuid(services.stack.token)


def _read(value: Callable[[], str]) -> str:
    try:
        return value()
    except RemoteError:
        return ""
