"""The child processes of the demonstration: started, listened to, and never left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

SILENCE = 30.0
"""Seconds a process may say nothing while it is being listened to."""
STOP_TIMEOUT = 15.0
"""Seconds between SIGTERM and SIGKILL."""


class ProcessFailed(Exception):
    """A process ended, or said nothing, where it should have spoken."""


class Process:
    """One `python -m MODULE ...` of ours; what it writes to stderr goes to a file."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._child = child

    async def line(self, patience: float | None = SILENCE) -> str | None:
        """Its next line, None at the end. Raises `ProcessFailed` after `patience` seconds without one."""
        assert self._child.stdout is not None
        try:
            async with asyncio.timeout(patience):
                line = await self._child.stdout.readline()
                if not line:
                    # Its status is collected here, before `stop` could send a signal to what is gone.
                    await self._child.wait()
        except TimeoutError:
            raise ProcessFailed(f"{self.name} said nothing for {patience:.0f} s, see {self.log}") from None
        return line.decode().rstrip("\n") if line else None

    async def first_line(self) -> str:
        """The line that says that it is ready."""
        line = await self.line()
        if line is None:
            tail = "".join(f"\n    {text}" for text in self.log.read_text().splitlines()[-5:])
            raise ProcessFailed(f"{self.name} did not start, exit status {await self._child.wait()}{tail}")
        return line

    async def stop(self) -> int:
        """SIGTERM, then wait; its exit status."""
        if self._child.returncode is None:
            self._child.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                return await self._child.wait()
        except TimeoutError:
            self._child.kill()
            return await self._child.wait()


@asynccontextmanager
async def process(
    name: str, log: Path, environment: Mapping[str, str], *arguments: str
) -> AsyncIterator[Process]:
    """Run `python -m` with these arguments; it is stopped when the block is left, however that happens."""
    with log.open("wb") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
        )
    running = Process(name, child, log)
    try:
        yield running
    finally:
        await running.stop()
