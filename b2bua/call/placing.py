"""Calls of our own: what is asked for, and the call that comes of it. They are dialled as any handoff is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from b2bua.call.call import Call
from b2bua.call.clock import CallClock
from b2bua.call.dialing import Errand
from b2bua.call.events import CallEvent
from b2bua.call.inbox import Inbox
from b2bua.call.record import CallRecord
from b2bua.headers import Variables
from b2bua.identity import Caller

if TYPE_CHECKING:
    from b2bua.call.services import Services
    from b2bua.call_order import CallOrder
    from b2bua.config import Configuration, Destination
    from b2bua.telemetry.logs import Logger


def errand_of(order: CallOrder, call: Call) -> Errand:
    """On whose behalf it is dialled."""
    request = order.request
    variables = Variables(
        reason=request.reason,
        shared_id=request.shared_id,
        call_id=call.id,
        caller_id=order.from_user,
        called=call.record.called,
        data=request.data,
    )
    caller = Caller(user=order.from_user, display="", private=False, max_forwards=70)
    return Errand("agent", caller, call.record.attempts, variables, request.sip_headers)


def placed_call(
    services: Services, configuration: Configuration, log: Logger, order: CallOrder, destination: Destination
) -> Call:
    """The call, not dialled yet."""
    now, token = services.now(), services.stack.token
    record = CallRecord(
        call_id=token(),
        session_id=token(),
        node=services.node,
        trunk=destination.trunk or "",
        caller=order.from_user,
        called=destination.name or destination.route[0],
        started=now,
        clock=CallClock(now),
        placed=True,
    )
    inbox: Inbox[CallEvent] = Inbox(asyncio.get_running_loop())
    log = log.bind(call_id=record.call_id)
    log.info("placed", called=record.called)
    call = Call(services, configuration, record, inbox, log)
    record.session_id = call.uuid or record.session_id
    return call
