"""Child processes of a test: started and ended by their own handle, watched through what they print and through /proc.

Output goes to files in the folder the caller gives (a test's `tmp_path`), so that a full pipe never stops a peer and
a failing test can show what the peer said. Linux only.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

Result = TypeVar("Result")

POLL_INTERVAL = 0.02
"""Seconds between two looks at something that another process does."""


class PeerError(AssertionError):
    """A peer did not do what the test needs: it is missing, ended early, or stayed silent."""


def wait_until(look: Callable[[], Result | None], deadline: float, what: str | Callable[[], str]) -> Result:
    """What `look` returns once that is neither None nor False. Raises `PeerError` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() >= end:
            raise PeerError(f"not within {deadline:g} s: {what() if callable(what) else what}")
        time.sleep(POLL_INTERVAL)


class ChildProcess:
    """One running program; a context manager that ends it. Also ended by `stop`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        *,
        cpus: Sequence[int] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start `command` in `folder`, its output in `NAME.out` and `NAME.err` there, on `cpus` only when given."""
        self.name = name
        self.folder = folder
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        pinned = ["taskset", "--cpu-list", ",".join(map(str, cpus))] if cpus is not None else []
        with self._out.open("wb") as out, self._err.open("wb") as err:
            try:
                self._process = subprocess.Popen(
                    [*pinned, *map(str, command)],
                    cwd=folder,
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=err,
                    env={**os.environ, **(environment or {})},
                )
            except FileNotFoundError as error:
                raise PeerError(f"{error.filename} is not installed: run scripts/install_peers") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, None while it runs; negative when a signal ended it."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """All it wrote to stdout so far."""
        return self._out.read_text(errors="replace")

    @property
    def errors(self) -> str:
        """All it wrote to stderr so far."""
        return self._err.read_text(errors="replace")

    def write_line(self, line: str) -> None:
        """Send one line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def wait_for_line(self, pattern: str, deadline: float) -> re.Match[str]:
        """The first line of its stdout that `pattern` (multi-line) finds, within `deadline` seconds."""

        def look() -> re.Match[str] | None:
            ended = self.returncode is not None
            found = re.search(pattern, self.output, re.MULTILINE)
            if found is None and ended:
                raise PeerError(f"{self.name} ended with {self.returncode}: {self.tail()}")
            return found

        return wait_until(look, deadline, lambda: f"{self.name} prints {pattern!r}: {self.tail()}")

    def wait(self, deadline: float) -> int:
        """Its exit status. Raises `PeerError` when it still runs after `deadline` seconds."""
        try:
            return self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise PeerError(f"{self.name} still runs after {deadline:g} s: {self.tail()}") from None

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        self._process.send_signal(number)

    def stop(self, deadline: float = 5.0) -> int:
        """End it with SIGTERM, after `deadline` seconds with SIGKILL. Returns its exit status; may be repeated."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):  # it may have ended with a line of ours unread
                self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(deadline)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def tail(self, size: int = 2000) -> str:
        """The end of what it printed, for a failure message."""
        return f"\nstdout: {self.output[-size:]}\nstderr: {self.errors[-size:]}"

    def descriptors(self) -> list[str]:
        """What it has open: files by their path, sockets as `socket:[...]`."""
        return sorted(filter(None, map(_link, Path(f"/proc/{self.pid}/fd").iterdir())))

    def memory(self) -> int:
        """Its private memory in octets: what it would give back by ending."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return 1024 * sum(map(int, re.findall(r"^Private_\w+: +(\d+) kB", rollup, re.MULTILINE)))

    def cpu_seconds(self) -> float:
        """CPU time of all its threads, in seconds."""
        return cpu_seconds(self.pid)


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, in seconds. Of the scheduler (nanoseconds): ticks are useless here."""
    spent = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        spent += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    return spent / 1e9


def _link(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""
