"""`b2bua call DESTINATION`: a call of our own, to see at 3 a.m. whether a destination answers and what it says."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

from rich.console import Console

from b2bua.app import FAREWELL
from b2bua.assembly import build_services, listens
from b2bua.call import story
from b2bua.call.call import Call
from b2bua.call.clock import CallClock
from b2bua.call.dialing import Errand
from b2bua.call.events import CallEvent
from b2bua.call.inbox import Inbox
from b2bua.call.leg import deliver_to_leg
from b2bua.call.record import AttemptRecord, CallRecord
from b2bua.config import Configuration
from b2bua.headers import Variables
from b2bua.identity import Caller
from b2bua.telemetry.logs import get_logger
from b2bua.tls import contexts_of


class _NoRecords:
    """A probe leaves no trace in the call records."""

    def write(self, record: CallRecord) -> None:
        """Forget the record."""


async def place_probe_call(configuration: Configuration, destination: str, seconds: float) -> int:
    """Call `destination` and its fallbacks from a port of its own, print each attempt; 0 if answered, else 1."""
    services = build_services(lambda: configuration, _NoRecords())
    console = Console(highlight=False)
    await services.engine.start()
    services.stack.tls = contexts_of(configuration)
    await services.stack.start([replace(where, port=0) for where in listens(configuration)])
    services.stack.on_event = deliver_to_leg
    try:
        now = services.now()
        record = CallRecord(
            call_id=uuid.uuid4().hex,
            session_id=uuid.uuid4().hex,
            node=services.node,
            trunk="",
            caller="sip:probe",
            called=destination,
            started=now,
            clock=CallClock(now),
        )
        inbox: Inbox[CallEvent] = Inbox(asyncio.get_running_loop())
        call = Call(services, configuration, record, inbox, get_logger().bind(call_id=record.call_id))
        caller = Caller(user="probe", display="b2bua probe", private=False, max_forwards=70)
        errand = Errand("agent", caller, record.attempts, Variables(call_id=call.id), unattended=True)
        await call.live(story.of_placed(call, configuration.destinations[destination], errand, seconds))
        for attempt in record.attempts:
            console.print(told(attempt), markup=False, soft_wrap=True)
        return 0 if record.answered is not None else 1
    finally:
        await services.stack.settle(FAREWELL)
        await services.stack.close()
        await services.engine.close()
        await services.resolver.close()


def told(attempt: AttemptRecord) -> str:
    """An attempt in one line: whom it called, how that ended, and the far end's words or ours for why."""
    outcome = attempt.outcome
    ended = attempt.answered or attempt.ended or attempt.started
    words = [
        f"{attempt.destination} {attempt.target}: {_ending(attempt)} after {round((ended - attempt.started) * 1000)} ms"
    ]
    if outcome is not None and attempt.answered is None:
        if outcome.sip_status:
            words.append(f"SIP {outcome.sip_status} {outcome.sip_reason or ''}".rstrip())
        if outcome.detail:
            words.append(outcome.detail)
    return "; ".join(words)


def _ending(attempt: AttemptRecord) -> str:
    if attempt.answered is not None:
        return "answered"
    return "no end" if attempt.outcome is None else f"{attempt.outcome.name} {attempt.outcome.code}"
