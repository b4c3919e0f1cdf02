"""Plays the demonstration: starts the contact centre and the B2BUA, places five calls, shows their ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from rich.console import Console

from b2bua.demo import report
from b2bua.demo.call_log import entries
from b2bua.demo.journal import AgentHeard, CallerResult, Entry, Ready, understand
from b2bua.demo.phone import HOST, PASSWORD
from b2bua.demo.processes import Process, ProcessFailed, process
from b2bua.demo.report import PlayedCall
from b2bua.demo.settings import CONFIG, overrides
from b2bua.demo.story import SCENARIOS

TIME_LIMIT = 60.0
"""Seconds for everything."""
_READY = re.compile(r"ready sip=udp:[^ ,]+:(\d+)")


def play(output: Path) -> int:
    """Play all calls; WAV files, records and logs go into `output`. Status 0: all ended as they should."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=132)
    if not CONFIG.is_file():
        console.print(f"[red]there is no {CONFIG}:[/] the demonstration runs in a copy of the repository")
        return 1
    output.mkdir(parents=True, exist_ok=True)
    for old in [*output.glob("*.wav"), *output.glob("*.log"), output / "cdr.jsonl"]:
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
    report.show(console, demonstration.calls, output)
    right = sum(not call.problems() for call in demonstration.calls)
    console.print(
        f"{right} of {len(SCENARIOS)} calls ended as they should, in {time.monotonic() - started:.0f} s"
    )
    return 0 if right == len(SCENARIOS) else 1


class Demonstration:
    """Everything that is played, and what became of it."""

    def __init__(self, console: Console, output: Path) -> None:
        self.calls = [PlayedCall(scenario, output / f"{scenario.user}.wav") for scenario in SCENARIOS]
        self._console = console
        self._output = output
        self._environment = os.environ | {PASSWORD: secrets.token_urlsafe(12)}

    async def run(self) -> None:
        """Play the calls one after the other, collect the records. Raises ProcessFailed, TimeoutError."""
        async with (
            asyncio.timeout(TIME_LIMIT),
            self._process("contact centre", "contact-centre", "b2bua.demo.contact_centre") as centre,
        ):
            ready = understand(await centre.first_line())
            assert isinstance(ready, Ready)
            listener = asyncio.create_task(self._listen(centre))
            try:
                await self._play_all(ready.port)
            finally:
                await centre.stop()
                await listener
        self._collect_records()

    async def _play_all(self, centre_port: int) -> None:
        arguments = ["run", "--config", str(CONFIG)]
        for value in overrides(centre_port, self._output / "cdr.jsonl"):
            arguments += ["--set", value]
        async with self._process("b2bua", "b2bua", "b2bua", *arguments) as server:
            line = await server.first_line()
            found = _READY.match(line)
            if found is None:
                raise ProcessFailed(f"b2bua said {line!r} instead of its ready line")
            self._console.print(f"contact centre at {HOST}:{centre_port}, b2bua at {HOST}:{found[1]}\n")
            for call in self.calls:
                await self._place(call, f"sip:{call.scenario.user}@{HOST}:{found[1]}")
            status = await server.stop()
        if status != 0:
            raise ProcessFailed(f"b2bua ended with status {status}, see {server.log}")

    async def _place(self, call: PlayedCall, uri: str) -> None:
        scenario = call.scenario
        arguments = ["b2bua.demo.caller", "--to", uri, "--wav", str(call.wav)]
        with self._console.status(f"{scenario.title}: the contact centre {scenario.far_end}") as status:
            async with self._process("the caller", f"caller-{scenario.user}", *arguments) as caller:
                while (line := await caller.line()) is not None:
                    match message := understand(line):
                        case CallerResult():
                            call.result = message
                        case Entry(what=what):
                            status.update(f"{scenario.title}: the caller {what}")
                            call.entries.append(message)
        self._console.print(report.progress_line(call))

    async def _listen(self, centre: Process) -> None:
        calls = {call.scenario.user: call for call in self.calls}
        while (line := await centre.line()) is not None:
            match message := understand(line):
                case Entry(call=user) if user in calls:
                    calls[user].entries.append(message)
                case AgentHeard(call=user, heard=tone) if user in calls:
                    calls[user].agent_heard = tone

    def _collect_records(self) -> None:
        lines = (self._output / "cdr.jsonl").read_text().splitlines()
        records = {record["called"]: record for record in map(json.loads, lines)}
        log = (self._output / "b2bua.log").read_text().splitlines()
        for call in self.calls:
            call.record = records.get(call.scenario.user)
            if call.record is not None:
                call.entries += entries(log, str(call.record["call_id"]), call.scenario.user)

    def _process(self, name: str, log: str, *arguments: str) -> AbstractAsyncContextManager[Process]:
        return process(name, self._output / f"{log}.log", self._environment, *arguments)
