"""BYE to a far end of an earlier process, in a dialog that does not go on here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.inquiry import Inquiry
from b2bua.telemetry.logs import get_logger
from sip_stack.errors import SipError

if TYPE_CHECKING:
    from b2bua.call import cause
    from b2bua.call.services import Services
    from b2bua.journal.entry import JournalEntry, LegEntry
    from b2bua.journal.reaching import Reaching
    from sip_stack.dialog.core import HeaderLines

PATIENCE = 5.0
"""Seconds that a far end has to answer the BYE."""


async def say_farewell(
    services: Services,
    reaching: Reaching,
    entry: JournalEntry,
    leg: LegEntry,
    outcome: cause.Outcome,
    headers: HeaderLines = (),
) -> int | None:
    """Send BYE to one far end, with `headers` beside why; the status it answers with, None for none."""
    stack, inquiry, place = services.stack, Inquiry(), reaching.place(entry, leg.role, leg.place)
    try:
        dialog = leg.dialog.restored()
        target = await reaching.target(leg, dialog.next_hop, place)
        stack.endpoint.farewell(
            services.now(),
            flow=stack.flow_to(target),
            dialog=dialog,
            headers=[*headers, *outcome.reason_headers()],
            credentials=reaching.credentials(leg, place),
            owner=inquiry,
        )
        stack.flush()
        response = await inquiry.response(PATIENCE)
        return None if response is None else response.status
    except SipError as error:
        get_logger().warning(
            "farewell_failed",
            call_id=entry.call_id,
            leg=leg.role,
            sip_call_id=leg.dialog.call_id,
            error=str(error),
        )
    return None
