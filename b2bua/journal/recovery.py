"""What a process does about the calls that the one before it left behind: BYE toward every side, and a record.

The audio of such a call stopped with the process that relayed it, so there is nothing to go on with: both sides hear
soon that it is over, and do not wait for their own timers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.inquiry import Inquiry
from b2bua.journal.closing import closed
from b2bua.store import StoreUnavailable
from b2bua.telemetry.logs import get_logger
from sip_stack.errors import SipError
from sip_stack.transport import DEFAULT_TERMS, Target

if TYPE_CHECKING:
    from b2bua.call.services import Services
    from b2bua.config import Configuration
    from b2bua.history import History
    from b2bua.journal.entry import JournalEntry, LegEntry
    from b2bua.journal.journal import Journal
    from b2bua.record_writer import RecordWriter
    from sip_stack.auth import Credentials

PATIENCE = 5.0
"""Seconds that a far end has to answer the BYE."""
AT_ONCE = 50
"""Calls that are ended at the same time."""
RETRY = 2.0
"""Seconds between two questions to a store that does not answer."""
TRIES = 300
"""Questions before what is in it is left alone: after ten minutes the far ends have given up as well."""


class Recovery:
    """Ends what is found in the journal, once, in the background of a process that has started."""

    def __init__(
        self,
        services: Services,
        journal: Journal,
        history: History,
        records: RecordWriter,
        configuration: Callable[[], Configuration],
    ) -> None:
        self._services = services
        self._journal = journal
        self._history = history
        self._records = records
        self._configuration = configuration
        self._log = get_logger()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the stack must be able to send."""
        self._task = asyncio.create_task(self._recover(), name="recovery")

    async def close(self) -> None:
        """Stop; what is not done is found by the next process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _recover(self) -> None:
        try:
            left_behind = await self._read()
            if left_behind:
                self._log.warning("calls_left_behind", calls=len(left_behind))
            free = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for entry in left_behind:
                    await free.acquire()
                    ending = group.create_task(self._end(entry), name=f"recovery of {entry.call_id}")
                    ending.add_done_callback(lambda _: free.release())
        except Exception:
            # A defect here must not take the new calls with it.
            self._log.exception("recovery_failed")

    async def _read(self) -> list[JournalEntry]:
        for _ in range(TRIES):
            try:
                return await self._journal.left_behind()
            except StoreUnavailable:
                await asyncio.sleep(RETRY)
        self._log.error("journal_unreadable")
        return []

    async def _end(self, entry: JournalEntry) -> None:
        """End one call toward every side, record it, and strike it out: in this order, so that it is never lost."""
        outcome = cause.local("process_lost")
        answers = await asyncio.gather(*(self._farewell(leg, outcome) for leg in entry.legs))
        call = closed(entry, outcome, time.time())
        self._records.write(call)
        self._services.counters.count(str(entry.record["trunk"]), outcome)
        self._history.keep_closed(call)
        self._journal.strike(entry)
        self._log.info(
            "ended",
            call_id=entry.call_id,
            cause=outcome.name,
            code=outcome.code,
            source=outcome.source,
            byes=[
                {"leg": leg.role, "status": status} for leg, status in zip(entry.legs, answers, strict=True)
            ],
        )

    async def _farewell(self, leg: LegEntry, outcome: cause.Outcome) -> int | None:
        """Send BYE to one far end; the status it answers with, None for none."""
        stack, inquiry = self._services.stack, Inquiry()
        try:
            dialog = leg.dialog.restored()
            target = await self._target(leg, dialog.next_hop)
            stack.endpoint.farewell(
                self._services.now(),
                flow=stack.flow_to(target),
                dialog=dialog,
                headers=outcome.reason_headers(),
                credentials=self._credentials(leg),
                owner=inquiry,
            )
            stack.flush()
            response = await inquiry.response(PATIENCE)
            return None if response is None else response.status
        except SipError as error:
            self._log.warning(
                "farewell_failed", leg=leg.role, sip_call_id=leg.dialog.call_id, error=str(error)
            )
        return None

    async def _target(self, leg: LegEntry, next_hop: str) -> Target:
        """Where its BYE goes: over UDP to where its packets came from, past any NAT; a connection that is gone is made
        anew to where the dialog leads."""
        if leg.transport == "udp":
            return Target("udp", leg.host, leg.port)
        place = self._configuration().destinations.get(leg.place)
        terms = DEFAULT_TERMS if place is None or place.tls is None else place.tls.terms
        over_tls = leg.transport == "tls"
        target = (await self._services.resolver.resolve(next_hop, tls=over_tls, timeout=PATIENCE))[0]
        return replace(target, name=leg.tls_name or target.name, terms=terms)

    def _credentials(self, leg: LegEntry) -> Credentials | None:
        """What answers a challenge: the destination's, else its trunk's."""
        configuration = self._configuration()
        place = configuration.destinations.get(leg.place)
        trunk = configuration.trunks.get(leg.trunk)
        auth = place.auth if place is not None else None
        if auth is None and trunk is not None and trunk.outbound is not None:
            auth = trunk.outbound.auth
        return None if auth is None else auth.credentials
