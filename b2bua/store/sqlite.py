"""The embedded store: one SQLite file of this process (or of several on this machine).

Write-ahead log with `synchronous=NORMAL`: what was written survives the death of the process at any moment, a power
failure may take the last moments with it, and no commit waits for the disk.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from b2bua.store.contract import (
    KEPT,
    Document,
    Found,
    Kind,
    Place,
    Removal,
    StoreUnavailable,
    Write,
)

VERSION = 1
"""Of the tables, as `PRAGMA user_version`."""
BUSY_MS = 500
"""How long another process may hold the file."""
PRUNE_SECONDS = 60.0
"""Between two looks for what has expired."""
PRUNED_AT_ONCE = 2_000
"""Documents; more wait for the next look, so that none takes long."""

_TABLES = """
CREATE TABLE IF NOT EXISTS document (
    kind TEXT NOT NULL, key TEXT NOT NULL, grouping TEXT NOT NULL,
    created INTEGER NOT NULL, expires INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX IF NOT EXISTS document_by_group ON document (kind, grouping, created, key) WHERE grouping <> '';
CREATE INDEX IF NOT EXISTS document_by_expiry ON document (expires);
"""
_PUT = (
    "INSERT OR REPLACE INTO document (kind, key, grouping, created, expires, body) VALUES (?, ?, ?, ?, ?, ?)"
)
_REMOVE = "DELETE FROM document WHERE kind = ? AND key = ?"
_READ = "SELECT key, body FROM document WHERE kind = ? AND expires > ? AND key IN ({})"
_FIND = (
    "SELECT created, key, body FROM document WHERE kind = ? AND grouping = ? AND grouping <> '' AND expires > ? "
    "AND (created, key) < (?, ?) ORDER BY created DESC, key DESC LIMIT ?"
)
_FIRST = Place(2**62, "")
_PRUNE = "DELETE FROM document WHERE rowid IN (SELECT rowid FROM document WHERE expires <= ? LIMIT ?)"
_CAP = (
    "DELETE FROM document WHERE rowid IN "
    "(SELECT rowid FROM document WHERE kind = ? ORDER BY created DESC, key DESC LIMIT ? OFFSET ?)"
)


class SqliteBackend:
    """A file, opened when it is first used, and again after anything went wrong with it."""

    def __init__(self, path: Path, *, max_octets: int, wall_clock: Callable[[], float] = time.time) -> None:
        """`max_octets` bounds the file; a store that is full goes on when documents have expired."""
        self._path = path
        self._max_octets = max_octets
        self._wall_clock = wall_clock
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        """Which file that is: one that was moved or deleted takes writes as before, and nobody will ever see them."""
        self._prune_at = 0.0

    def write(self, writes: Sequence[Write]) -> None:
        # First: where the file is full, what has expired makes room.
        self._prune()
        with self._transaction() as connection:
            for write in writes:
                if isinstance(write, Removal):
                    connection.execute(_REMOVE, (write.kind, write.key))
                else:
                    connection.execute(_PUT, _row(write))

    def read(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        with self._transaction(write=False) as connection:
            question = _READ.format(", ".join("?" * len(keys)))
            return dict(connection.execute(question, (kind, self._now_ms(), *keys)).fetchall())

    def find(self, kind: Kind, group: str, before: Place | None, limit: int) -> list[Found]:
        created, key = before or _FIRST
        with self._transaction(write=False) as connection:
            rows = connection.execute(_FIND, (kind, group, self._now_ms(), created, key, limit))
            return [Found(Place(created, key), body) for created, key, body in rows]

    def check(self) -> None:
        with self._transaction() as connection:
            connection.execute("SELECT 1 FROM document LIMIT 1").fetchall()
        self._prune()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @contextmanager
    def _transaction(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            # Closing rolls back. Opened anew, it may work again: the file was replaced, the disk came back.
            self.close()
            self._prune_at = 0.0
            raise StoreUnavailable(f"{self._path}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        """The connection to the file that has the name now."""
        if self._connection is not None and _identity(self._path) != self._file:
            self.close()
        if self._connection is None:
            self._connection = self._open()
            self._file = _identity(self._path)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # It holds what callers said: nobody else's business.
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self._path, timeout=BUSY_MS / 1000, isolation_level=None)
        try:
            _value_of(connection, "journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            page_size = _value_of(connection, "page_size")
            _value_of(connection, f"max_page_count = {max(self._max_octets // page_size, 1)}")
            version = _value_of(connection, "user_version")
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError(f"made by another version of b2bua ({version})")
            if version == 0:
                connection.executescript(
                    f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT"
                )
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _prune(self) -> None:
        """Now and then, and after a failure, take out what has expired and what is too much."""
        if self._wall_clock() < self._prune_at:
            return
        with self._transaction() as connection:
            pruned = connection.execute(_PRUNE, (self._now_ms(), PRUNED_AT_ONCE)).rowcount
            for kind, kept in KEPT.items():
                pruned = max(pruned, connection.execute(_CAP, (kind, PRUNED_AT_ONCE, kept)).rowcount)
        if pruned < PRUNED_AT_ONCE:
            self._prune_at = self._wall_clock() + PRUNE_SECONDS

    def _now_ms(self) -> int:
        return round(self._wall_clock() * 1000)


def _value_of(connection: sqlite3.Connection, pragma: str) -> Any:
    """What a pragma says. Read to the end: on PyPy a statement that is not is in progress until its cursor is
    collected, and nothing can be committed meanwhile."""
    ((value,),) = connection.execute(f"PRAGMA {pragma}").fetchall()
    return value


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _row(document: Document) -> tuple[object, ...]:
    return (
        document.kind,
        document.key,
        document.group,
        document.created,
        document.expires,
        document.body,
    )
