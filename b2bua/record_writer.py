"""Writes call records as JSON lines, from a thread, so that a slow disk never holds up a call."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from b2bua.call.record import CallRecord
from b2bua.telemetry.logs import get_logger

CAPACITY = 10_000
"""Records that may wait for the disk, about 30 MB. Beyond that they are counted as lost, and said so."""

GATHER = 0.05
"""Seconds that records gather before they are written together: a thread that wakes up for each of them costs as much
as writing it."""


_encode = json.JSONEncoder(separators=(",", ":")).encode


class RecordWriter:
    """Appends one line per record to a file: flushed within `GATHER`, reopened when it was renamed or on `reopen`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[CallRecord | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._reopen = threading.Event()
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        self._log = get_logger()
        self.lost = 0
        self.written = 0

    def start(self) -> None:
        """Create the folder and the file, start the thread. Raises `OSError` if the file cannot be opened."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._open().close()
        self._thread.start()

    def write(self, record: CallRecord) -> None:
        """Hand over a finished record; never blocks."""
        if self._queue.qsize() < CAPACITY:
            self._queue.put(record)
        else:
            self._lose([record], "queue full")

    def reopen(self) -> None:
        """Reopen the file before the next line (SIGHUP after log rotation)."""
        self._reopen.set()

    def close(self, deadline: float) -> None:
        """Write what waits and stop; gives up after `deadline` seconds."""
        if not self._thread.is_alive():
            return
        self._closing.set()
        self._queue.put(None)
        self._thread.join(deadline)

    def _open(self) -> TextIO:
        return self._path.open("a", encoding="utf-8")

    def _run(self) -> None:
        file: TextIO | None = None
        while batch := self._next_batch():
            try:
                file = self._current(file)
                file.write("".join([_encode(record.as_json()) + "\n" for record in batch]))
                file.flush()
                self.written += len(batch)
            except OSError as error:
                self._lose(batch, str(error))
        if file is not None:
            file.close()

    def _next_batch(self) -> list[CallRecord]:
        """What waits, at least one record; nothing once the writer is to stop."""
        first = self._queue.get()
        if first is None:
            return []
        self._closing.wait(GATHER)
        batch = [first]
        with suppress(queue.Empty):
            while (record := self._queue.get_nowait()) is not None:
                batch.append(record)
            self._queue.put(None)  # To be found again when this batch is written.
        return batch

    def _current(self, file: TextIO | None) -> TextIO:
        """The file to write to: a new one after `reopen` or when the path no longer names the open one."""
        if file is not None and not self._reopen.is_set() and self._names(file):
            return file
        self._reopen.clear()
        if file is not None:
            file.close()
        return self._open()

    def _names(self, file: TextIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except OSError:
            return False

    def _lose(self, records: Iterable[CallRecord], why: str) -> None:
        for record in records:
            self.lost += 1
            self._log.error("record_lost", call_id=record.call_id, why=why, lost=self.lost)
