"""Writes call records as JSON lines, from a thread, so that a slow disk never holds up a call."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from b2bua.background import Background
from b2bua.telemetry.json_text import json_text
from b2bua.telemetry.logs import get_logger

if TYPE_CHECKING:
    from b2bua.call.record import JsonObject

TAIL = 32 * 1024 * 1024
"""Octets at the end of the file in which records of before are looked for: some ten thousand calls."""
CAPACITY = 10_000
"""Records that may wait for the disk, about 30 MB. Beyond that they are counted as lost, and said so."""


class Line(Protocol):
    """A finished record: one of this process, or one that an earlier process left behind."""

    @property
    def call_id(self) -> str:
        """Of its call."""
        ...

    def as_json(self) -> JsonObject:
        """As it is written. Asked for by the thread."""
        ...


class RecordWriter:
    """Appends one line per record to a file: flushed soon, reopened when it was renamed or on `reopen`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._background = Background("records", self._append, CAPACITY)
        self._reopen = threading.Event()
        self._log = get_logger()
        self.on_settled: Callable[[list[str]], None] = lambda call_ids: None
        """Told by the thread of the calls whose records are written, or lost. To be set before `start`."""
        self.lost = 0
        self.written = 0

    def start(self) -> None:
        """Create the folder and the file, start the thread. Raises `OSError` if the file cannot be opened."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._open().close()
        self._background.start()

    def write(self, record: Line) -> None:
        """Hand over a finished record; never blocks."""
        if not self._background.put(record):
            self._lose([record], "queue full")
            self.on_settled([record.call_id])

    async def find(self, call_ids: Collection[str]) -> dict[str, JsonObject]:
        """Those of these calls that are recorded already, in the last of the file."""
        return await asyncio.to_thread(self._find, call_ids)

    def _find(self, call_ids: Collection[str]) -> dict[str, JsonObject]:
        found = {}
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - TAIL, 0))
            for line in file:
                record = _read(line)
                call_id = str(record.get("call_id"))
                if call_id in call_ids:
                    found[call_id] = record
        return found

    def reopen(self) -> None:
        """Reopen the file before the next line (SIGHUP after log rotation)."""
        self._reopen.set()

    def close(self, deadline: float) -> None:
        """Write what waits and stop; gives up after `deadline` seconds."""
        self._background.close(deadline)
        if self._file is not None:
            self._file.close()

    def _open(self) -> FileIO:
        """Without a buffer: what a full disk did not take would stay in it, and fail again when it is closed."""
        return open(self._path, "ab", buffering=0, opener=_open_private)

    def _append(self, records: list[Line]) -> None:
        try:
            file = self._file = self._current(self._file)
            _write_whole(file, "".join([json_text(record.as_json()) + "\n" for record in records]).encode())
            self.written += len(records)
        except OSError as error:
            self._lose(records, str(error))
        self.on_settled([record.call_id for record in records])

    def _current(self, file: FileIO | None) -> FileIO:
        """The file to write to: a new one after `reopen` or when the path no longer names the open one."""
        if file is not None and not self._reopen.is_set() and self._names(file):
            return file
        self._reopen.clear()
        if file is not None:
            file.close()
        return self._open()

    def _names(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except OSError:
            return False

    def _lose(self, records: Iterable[Line], why: str) -> None:
        for record in records:
            self.lost += 1
            path = str(self._path)
            self._log.error("record_lost", call_id=record.call_id, why=why, path=path, lost=self.lost)


def _open_private(path: str, flags: int) -> int:
    """A new file is the owner's to write, their group's to read, and nobody else's: it says who called whom."""
    return os.open(path, flags, 0o640)


def _write_whole(file: FileIO, lines: bytes) -> None:
    """Append `lines`, or nothing of them. Raises `OSError`."""
    # Not by seeking: the file may be a pipe, such as /dev/stdout of a container.
    begins, done = os.fstat(file.fileno()).st_size, 0
    try:
        while done < len(lines):
            done += file.write(lines[done:])
    except OSError:
        # Half a line would make the next one unreadable as well.
        with suppress(OSError):
            if done and os.fstat(file.fileno()).st_size == begins + done:
                file.truncate(begins)
        raise


def _read(line: bytes) -> JsonObject:
    """A record; empty for a line that was cut."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
