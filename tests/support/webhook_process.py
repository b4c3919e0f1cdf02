"""The receiver of webhooks as a process that a test starts, kills, and starts again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support import webhook_receiver
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ChildProcess, wait_until


class Receiver:
    """The receiver, which can be killed and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.file = folder / "received.jsonl"
        self.file.touch()
        self._folder = folder

    def start(self) -> ChildProcess:
        """A running receiver."""
        script = Path(webhook_receiver.__file__)
        process = ChildProcess("receiver", [sys.executable, script, str(self.port), self.file], self._folder)
        process.wait_for_line("^listening$", 20.0)
        return process

    def url(self, path: str) -> str:
        """With five tries, a second apart and more."""
        return f"http://{LOOPBACK}:{self.port}{path}#rc=5&rp=all&ct=1000&rt=2000"

    def events(self) -> list[dict]:
        """What it got so far."""
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def heard(self, *names: str) -> list[dict]:
        """What it got, once it is these events in this order."""

        def look() -> list[dict] | None:
            events = self.events()
            return events if [each["parameters"]["Event"] for each in events] == list(names) else None

        return wait_until(look, 30.0, lambda: f"{names}: {self.events()}")
