"""Plays the demonstration: starts the stand-ins and the B2BUA, places the calls, shows their ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from b2bua.demo import report
from b2bua.demo.application import Application, ApplicationFailed
from b2bua.demo.application_report import show_application
from b2bua.demo.call_log import entries
from b2bua.demo.journal import CallerResult, Entry, Heard, Ready, Referred, ScreenPop, Talks, understand
from b2bua.demo.phone import HOST, PASSWORD
from b2bua.demo.processes import Process, ProcessFailed, process
from b2bua.demo.receiver import Receiver
from b2bua.demo.settings import CONFIG, KEY, overrides
from b2bua.demo.story import ASKS_AFTER, SCENARIOS, Transfer
from b2bua.demo.verdict import JsonObject, PlayedCall

TIME_LIMIT = 60.0
"""Seconds for everything."""
_READY = re.compile(r"ready sip=udp:[^ ,]+:(\d+) api=[^ ]+:(\d+)")


def play(output: Path) -> int:
    """Play all calls; WAV files, records and logs go into `output`. Status 0: all ended as they should."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=132)
    if not CONFIG.is_file():
        console.print(f"[red]there is no {CONFIG}:[/] the demonstration runs in a copy of the repository")
        return 1
    output.mkdir(parents=True, exist_ok=True)
    for old in [
        *output.glob("*.wav"),
        *output.glob("*.log"),
        output / "cdr.jsonl",
        *output.glob("b2bua.db*"),
    ]:
        old.unlink(missing_ok=True)
    demonstration = Demonstration(console, output.resolve())
    started = time.monotonic()
    try:
        asyncio.run(demonstration.run())
    except (ProcessFailed, TimeoutError) as failure:
        console.print(
            f"[red]the demonstration broke off:[/] {failure or f'not done after {TIME_LIMIT:.0f} s'}"
        )
        return 1
    report.show(console, demonstration.calls)
    for call in demonstration.calls:
        show_application(console, call)
    report.show_files(console, output)
    right = sum(not call.problems() for call in demonstration.calls)
    console.print(
        f"{right} of {len(SCENARIOS)} calls ended as they should, in {time.monotonic() - started:.0f} s"
    )
    return 0 if right == len(SCENARIOS) else 1


class Demonstration:
    """Everything that is played, and what became of it."""

    def __init__(self, console: Console, output: Path) -> None:
        self.calls = [PlayedCall(scenario, output / f"{scenario.user}-caller.wav") for scenario in SCENARIOS]
        self._by_user = {call.scenario.user: call for call in self.calls}
        self._console = console
        self._output = output
        self._key = secrets.token_urlsafe(12)
        self._environment = os.environ | {PASSWORD: secrets.token_urlsafe(12), KEY: self._key}
        self._receiver = Receiver()
        self._api = 0
        """The port of the API, once there is one."""
        self._call_ids: asyncio.Queue[str] = asyncio.Queue()
        """What the B2BUA calls the calls that the assistant has answered."""

    async def run(self) -> None:
        """Play the calls one after the other, collect the records. Raises ProcessFailed, TimeoutError."""
        centre = self._stand_in("contact-centre", "b2bua.demo.contact_centre", "--output", str(self._output))
        assistant = self._stand_in("assistant", "b2bua.demo.assistant")
        with self._receiver:
            async with asyncio.timeout(TIME_LIMIT), centre as centre_port, assistant as assistant_port:
                await self._play_all(centre_port, assistant_port)
        self._collect_records()

    @asynccontextmanager
    async def _stand_in(self, name: str, *arguments: str) -> AsyncIterator[int]:
        """Somebody who takes calls; gives the SIP port. All that they told is in when the block is left."""
        async with self._process(name.replace("-", " "), name, *arguments) as running:
            ready = understand(await running.first_line())
            assert isinstance(ready, Ready)
            listener = asyncio.create_task(self._listen(running))
            try:
                yield ready.port
            finally:
                await running.stop()
                await listener

    async def _play_all(self, centre_port: int, assistant_port: int) -> None:
        arguments = ["run", "--config", str(CONFIG)]
        for value in overrides(centre_port, assistant_port, self._output):
            arguments += ["--set", value]
        async with self._process("b2bua", "b2bua", "b2bua", *arguments) as server:
            line = await server.first_line()
            found = _READY.match(line)
            if found is None:
                raise ProcessFailed(f"b2bua said {line!r} instead of its ready line")
            sip, self._api = found[1], int(found[2])
            self._console.print(
                f"contact centre at {HOST}:{centre_port}, assistant at {HOST}:{assistant_port}, "
                f"b2bua at {HOST}:{sip}, its API at {HOST}:{self._api}\n"
            )
            for call in self.calls:
                uri = f"sip:{call.scenario.user}@{HOST}:{sip}"
                asking = asyncio.create_task(self._ask(call))
                await self._place(call, uri)
                if call.result is None or call.result.status != 200:
                    asking.cancel()  # nobody answered, so there is nothing to hand over
                await asyncio.wait([asking])
            status = await server.stop()
        if status != 0:
            raise ProcessFailed(f"b2bua ended with status {status}, see {server.log}")

    async def _place(self, call: PlayedCall, uri: str) -> None:
        scenario = call.scenario
        arguments = ["b2bua.demo.caller", "--to", uri, "--wav", str(call.wav), "--talk", str(scenario.talk)]
        with self._console.status(f"{scenario.title}: {scenario.plot}") as status:
            async with self._process("the caller", f"caller-{scenario.user}", *arguments) as caller:
                while (line := await caller.line()) is not None:
                    match message := understand(line):
                        case CallerResult():
                            call.result = message
                        case Heard():
                            call.heard[message.who] = message
                        case Entry(what=what):
                            status.update(f"{scenario.title}: the caller {what}")
                            call.entries.append(message)
        self._console.print(report.progress_line(call))

    async def _ask(self, call: PlayedCall) -> None:
        """Ask for a human over HTTP, in the call where that is the application's part."""
        transfer = call.scenario.transfer
        if transfer is None:
            return

        say = partial(self._say, call, "application")
        call_id = await self._call_ids.get()
        try:
            if transfer.asked_by == "application":
                await asyncio.sleep(ASKS_AFTER)
                application = Application(self._api, self._key, say)
                call.followed = await application.hand_off(call_id, self._request_of(call, transfer))
        except ApplicationFailed as failure:
            say(str(failure))

    def _request_of(self, call: PlayedCall, transfer: Transfer) -> JsonObject:
        """What is asked for, with a context and callbacks where the scenario has them."""
        body: JsonObject = {"destination": transfer.destination, "reason": transfer.reason}
        if transfer.data:
            body |= {"data": dict(transfer.data), "shared_id": call.scenario.user}
        if transfer.callbacks:
            body |= {
                "callback_url": self._receiver.url("/live"),
                "action_url": self._receiver.url("/done"),
            }
        return body

    async def _show_screen(self, call: PlayedCall, handoff_id: str) -> None:
        """The human's screen shows the context, where the scenario has one."""
        if call.scenario.transfer is None or not call.scenario.transfer.data:
            return
        say = partial(self._say, call, "contact centre")
        say("screen pop: GET /v1/handoffs/…")
        try:
            call.context = await Application(self._api, self._key, say).context(handoff_id)
        except ApplicationFailed as failure:
            say(str(failure))

    @staticmethod
    def _say(call: PlayedCall, who: str, what: str) -> None:
        call.entries.append(Entry(time.time(), who, call.scenario.user, what))

    async def _listen(self, running: Process) -> None:
        while (line := await running.line(patience=None)) is not None:
            message = understand(line)
            call = None if isinstance(message, Ready | CallerResult) else self._by_user.get(message.call)
            if call is None:
                continue
            match message:
                case Entry():
                    call.entries.append(message)
                case Heard(who=who):
                    call.heard[who] = message
                case Talks(call_id=call_id):
                    self._call_ids.put_nowait(call_id)
                case Referred():
                    call.referred = message
                case ScreenPop(handoff_id=handoff_id):
                    await self._show_screen(call, handoff_id)

    def _collect_records(self) -> None:
        lines = (self._output / "cdr.jsonl").read_text().splitlines()
        records = {record["called"]: record for record in map(json.loads, lines)}
        log = (self._output / "b2bua.log").read_text().splitlines()
        for call in self.calls:
            call.callbacks = [
                callback
                for callback in self._receiver.callbacks
                if callback.parameters.get("SharedID") == call.scenario.user
            ]
            call.record = records.get(call.scenario.user)
            if call.record is not None:
                call.entries += entries(log, str(call.record["call_id"]), call.scenario.user)

    def _process(self, name: str, log: str, *arguments: str) -> AbstractAsyncContextManager[Process]:
        return process(name, self._output / f"{log}.log", self._environment, *arguments)
