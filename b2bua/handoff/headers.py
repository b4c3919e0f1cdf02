"""The custom headers of a handoff: the destination's with their variables, and those that came with the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.handoff.failed import HandoffFailed
from b2bua.headers import HANDOFF_ID, Header, HeaderRefused, Variables, render

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.call.leg import Leg
    from b2bua.config import Destination
    from b2bua.handoff.handoff import Handoff


def variables_of(call: Call, caller: Leg, handoff: Handoff) -> Variables:
    """What `$name` stands for in the headers of this handoff."""
    request = handoff.request
    return Variables(
        reason=request.reason,
        shared_id=request.shared_id,
        call_id=call.id,
        handoff_id=handoff.id,
        caller_id=caller.identity.user,
        called=call.record.called,
        destination=handoff.destination,
        data=request.data,
        received=caller.identity.variables,
    )


def requested_headers(handoff: Handoff) -> dict[str, str]:
    """The headers that came with the request for the handoff, and its id unless they name one."""
    asked = dict(handoff.request.sip_headers)
    named = any(name.lower() == HANDOFF_ID.lower() for name in asked)
    return asked if named else {**asked, HANDOFF_ID: handoff.id}


def custom_headers(call: Call, caller: Leg, handoff: Handoff, destination: Destination) -> list[Header]:
    """What goes out with a REFER or BYE; noted in the handoff. Raises `HandoffFailed` for what must not go out."""
    try:
        rendered = render(
            destination.headers_of(destination.method),
            requested_headers(handoff),
            variables_of(call, caller, handoff),
        )
    except HeaderRefused as error:
        raise HandoffFailed(cause.local("routing_error", source="b2bua", detail=str(error))) from error
    handoff.headers_sent, handoff.headers_dropped = rendered.sent, rendered.dropped
    return rendered.sent
