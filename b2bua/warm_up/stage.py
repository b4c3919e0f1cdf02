"""A B2BUA beside the one that will serve, of the same parts: on loopback, with records and a store of its own in a
folder that goes with it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path

from b2bua.assembly import build_services, listens
from b2bua.call.registry import CallRegistry
from b2bua.config import Configuration, ReloadResult, load_configuration
from b2bua.control import ControlError
from b2bua.feed import CallAnswered, Entry, HandoffChanged
from b2bua.handoff.begin import begin
from b2bua.handoff.handoff import HandoffRequest
from b2bua.history import History
from b2bua.journal import Journal
from b2bua.operations import Operations
from b2bua.record_writer import RecordWriter
from b2bua.store import open_store
from b2bua.warm_up.load import ASSISTANT, HOST
from sip_stack.transport import Address

PATIENCE = 2.0
"""Seconds that threads get to write what waits."""
NODE = "warm-up"


class Stage:
    """From `open` to `close` it takes calls from this machine, and hands those for `assistant` to `human`."""

    def __init__(self, folder: Path, callee: Address, like: Configuration) -> None:
        """`like`: what is written down of calls, and said in them, is as it is configured there. Opens nothing yet."""
        self._configuration = _configuration(folder, callee, like)
        self._loop = asyncio.get_running_loop()
        self._records = RecordWriter(self._configuration.records.cdr)
        self._records.on_settled = self._note_recorded
        self._store = open_store(self._configuration.store)
        self._journal = Journal(self._store)
        history = History(self._store, NODE, lambda: self._configuration.context_ttl)
        self._operations = Operations(self._records, self._store, history, self._journal, _never)
        kept = like.api is not None
        self._services = build_services(
            lambda: self._configuration, self._operations if kept else self._records, self._journal
        )
        self._registry = self._operations.registry = CallRegistry(self._services, self._configuration)
        if kept:
            self._registry.on_handoff = self._operations.remember
            self._services.feed.listen(self._operations, [HandoffChanged])
        self._services.feed.listen(self, [CallAnswered])

    async def open(self) -> Address:
        """Start; where it takes calls. Raises `OSError`, `SipError` or `MediaError`; `close` is due in any case."""
        self._records.start()
        self._store.start()
        await self._services.engine.start()
        services = self._services
        services.stack.on_event = self._registry.deliver
        services.stack.endpoint.gate = self._registry.trunks.doorkeeper
        (bound,) = await services.stack.start(listens(self._configuration))
        self._journal.open(NODE)
        return bound.host, bound.port

    async def close(self) -> None:
        """End the calls that are up, and let go of everything."""
        await self._registry.drain(0.0)
        self._journal.close()
        await self._services.stack.close()
        await self._services.engine.close()
        await self._services.resolver.close()
        await asyncio.to_thread(self._records.close, PATIENCE)
        await self._store.close(PATIENCE)

    def hear(self, entry: Entry) -> None:
        """Hand a call over that an assistant has answered."""
        event = entry.event
        if isinstance(event, CallAnswered) and event.role == "assistant":
            # Later: the call is still being told of it.
            self._loop.call_soon(self._hand_over, event.call_id)

    def _hand_over(self, call_id: str) -> None:
        call = self._registry.calls.get(call_id)
        if call is not None:
            with suppress(ControlError):  # It has ended meanwhile.
                begin(call, HandoffRequest(destination="human", reason="warm-up", data={"attempt": 1}))

    def _note_recorded(self, call_ids: list[str]) -> None:
        with suppress(RuntimeError):  # The loop has ended.
            self._loop.call_soon_threadsafe(self._journal.recorded, call_ids)


async def _never() -> ReloadResult:
    """Nobody edits the files of a stage."""
    raise AssertionError


def _configuration(folder: Path, callee: Address, like: Configuration) -> Configuration:
    """Written to `folder` and read from there, like any other."""
    at = f"{callee[0]}:{callee[1]}"
    dialled = {"method": "invite", "encryption": "udp/rtp"}
    main = {
        "sip": {"listen": [f"udp:{HOST}:0"], "session_id": like.sip.session_id},
        "media": {"address": HOST, "ports": 0},
        "trunks": {"peers": {"accept": {"addresses": f"{HOST}/32"}}},
        "routes": [
            {"to": ASSISTANT, "assistant": {"route": f"sip:{ASSISTANT}@{at}"}},
            {"to": "guarded", "destination": "guarded"},
            {"to": "desk", "destination": "desk"},
        ],
        "destinations": "destinations.yaml",
        "telemetry": {"trace": "2MB" if like.telemetry.trace else "disabled"},
        # Whatever kind it is: documents are made for all of them alike.
        "store": "disabled" if like.store.kind == "disabled" else "sqlite:b2bua.db",
    }
    destinations = {
        "desk": {**dialled, "default": True, "route": f"sip:desk@{at}"},
        "human": {**dialled, "route": f"sip:human@{at}"},
        "guarded": {
            **dialled,
            "route": f"sip:guarded@{at}",
            "auth": {"username": "warm-up", "password": "nobody's"},
        },
    }
    # JSON is YAML.
    (folder / "b2bua.yaml").write_text(json.dumps(main))
    (folder / "destinations.yaml").write_text(json.dumps(destinations))
    return load_configuration(folder / "b2bua.yaml", {})
