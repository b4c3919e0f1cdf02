"""A peer in a process of its own that is told what to do, and tells what happened, in JSON lines.

Commands go to its stdin, events come from its stdout: `{"event": NAME, ...}`. Soft phones run like this because their
libraries bring their own threads, warnings and crashes; `serve` is the loop inside such a process.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from tests.support.processes import ChildProcess, PeerError, wait_until

Event = dict[str, object]


class JsonPeer(ChildProcess):
    """The test's end: a child process that runs `module` and talks JSON lines."""

    def __init__(self, name: str, module: str, folder: Path, arguments: Sequence[str] = ()) -> None:
        """Start it and wait until it says `ready`."""
        root = Path(__file__).parent.parent.parent
        command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
        super().__init__(name, command, folder, environment={"PYTHONPATH": str(root)})
        try:
            self.ready = self.wait_for("ready", deadline=15.0)
        except PeerError:
            self.stop()
            raise

    def tell(self, command: str, **arguments: object) -> None:
        """Give it a command."""
        self.write_line(json.dumps({"command": command, **arguments}))

    def events(self, name: str | None = None, **values: object) -> list[Event]:
        """What it has told so far: the events called `name` (all without) that have these values."""
        complete = self.output.rpartition("\n")[0]
        told: list[Event] = [json.loads(line) for line in complete.splitlines() if line.startswith("{")]
        return [
            event
            for event in told
            if name in (None, event["event"])
            and all(event.get(key) == value for key, value in values.items())
        ]

    def wait_for(self, name: str, deadline: float = 10.0, **values: object) -> Event:
        """The first such event, within `deadline` seconds. Raises `PeerError` when it ends before."""

        def look() -> Event | None:
            ended = self.returncode is not None
            found = next(iter(self.events(name, **values)), None)
            if found is None and ended:
                raise PeerError(f"{self.name} ended with {self.returncode}: {self.tail()}")
            return found

        return wait_until(look, deadline, lambda: f"{self.name} tells {name} {values}: {self.tail()}")


def take_stdout() -> TextIO:
    """Inside the peer: the stream for events. What libraries print goes to stderr from here on."""
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return events


def serve(poll: Callable[[], None], obey: Callable[[Event], None]) -> None:
    """Inside the peer: obey commands and `poll` in turn, until stdin ends or the command is `quit`."""
    pending = b""
    while True:
        poll()
        readable, _, _ = select.select([0], [], [], 0.01)
        if not readable:
            continue
        data = os.read(0, 65536)
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            if command["command"] == "quit":
                return
            obey(command)
        if not data:
            return
