"""The embedded store: what is kept, what is found, what is refused when the disk is full or not what it should be."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from b2bua.store import Document, Kind, Place, Removal, StoreUnavailable
from b2bua.store import sqlite as module
from b2bua.store.sqlite import SqliteBackend
from tests.support.store_backends import Clock, document
from tests.support.store_contract import (  # noqa: F401  (they are tests of this module too)
    test_a_group_is_read_page_by_page_newest_first,
    test_a_removed_document_is_gone,
    test_text_of_any_kind_survives,
    test_what_is_removed_leaves_its_group,
    test_what_is_written_is_read_and_the_newest_version_wins,
)

MEGABYTE = 1024**2


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend(tmp_path: Path, clock: Clock) -> Iterator[SqliteBackend]:
    opened = SqliteBackend(tmp_path / "state/b2bua.db", max_octets=MEGABYTE, wall_clock=clock)
    yield opened
    opened.close()


def names(backend: SqliteBackend, group: str, before: Place | None = None, limit: int = 10) -> list[str]:
    return [each.place.key for each in backend.find(Kind.HANDOFF, group, before, limit)]


def test_what_is_kept_is_for_its_owner_only(backend: SqliteBackend, tmp_path: Path) -> None:
    backend.check()

    assert stat.S_IMODE((tmp_path / "state/b2bua.db").stat().st_mode) == 0o600


def test_a_full_file_takes_no_more_until_something_has_expired(backend: SqliteBackend, clock: Clock) -> None:
    backend.write([document("old", seconds=60, body="o" * 500_000)])
    with pytest.raises(StoreUnavailable, match="full"):
        backend.write([document("new", body="n" * 700_000)])
    with pytest.raises(StoreUnavailable, match="full"):
        backend.write([document("new", body="n" * 700_000)])
    assert backend.read(Kind.HANDOFF, ["old", "new"]).keys() == {"old"}, "all of it or nothing"

    clock.now += 61
    backend.write([document("new", created=61_000, body="n" * 700_000)])

    assert backend.read(Kind.HANDOFF, ["old", "new"]).keys() == {"new"}


def test_a_file_that_was_taken_away_is_made_again(backend: SqliteBackend, tmp_path: Path) -> None:
    backend.write([document("a")])
    for file in (tmp_path / "state").iterdir():
        file.unlink()

    backend.write([document("b")])

    assert backend.read(Kind.HANDOFF, ["a", "b"]).keys() == {"b"}
    assert (tmp_path / "state/b2bua.db").exists()


def test_a_file_that_is_no_database_is_left_alone_until_it_is_gone(
    backend: SqliteBackend, tmp_path: Path
) -> None:
    file = tmp_path / "state/b2bua.db"
    file.parent.mkdir()
    file.write_text("the only copy of my thesis " * 100)

    for attempt in (backend.check, lambda: backend.write([document("a")])):
        with pytest.raises(StoreUnavailable, match="not a database"):
            attempt()
    assert file.read_text().startswith("the only copy")
    file.unlink()

    backend.write([document("a")])
    assert backend.read(Kind.HANDOFF, ["a"]) == {"a": "{}"}


def test_a_file_of_a_later_version_is_not_touched(backend: SqliteBackend, tmp_path: Path) -> None:
    backend.check()
    backend.close()
    later = sqlite3.connect(tmp_path / "state/b2bua.db")
    later.execute("PRAGMA user_version = 99")
    later.close()

    with pytest.raises(StoreUnavailable, match="another version"):
        backend.check()


def test_two_processes_may_have_one_file(backend: SqliteBackend, tmp_path: Path, clock: Clock) -> None:
    other = SqliteBackend(tmp_path / "state/b2bua.db", max_octets=MEGABYTE, wall_clock=clock)
    other.write([document("a")])
    backend.write([document("b")])

    assert backend.read(Kind.HANDOFF, ["a"]) == other.read(Kind.HANDOFF, ["a"]) == {"a": "{}"}
    other.close()


def test_a_file_that_another_one_holds_is_waited_for_but_not_for_ever(
    backend: SqliteBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_MS", 1)
    backend.check()
    backend.close()
    holder = sqlite3.connect(tmp_path / "state/b2bua.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        backend.write([document("a")])
    holder.execute("ROLLBACK")
    holder.close()

    backend.write([document("a")])


def test_of_calls_the_newest_are_kept(
    backend: SqliteBackend, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", {Kind.CALL: 3})
    backend.write([document(f"c{n}", kind=Kind.CALL, created=n, group="ended") for n in range(5)])
    backend.write([document(f"h{n}", created=n, group="s") for n in range(5)])
    clock.now += module.PRUNE_SECONDS
    backend.check()

    kept = [each.place.key for each in backend.find(Kind.CALL, "ended", None, 10)]
    assert kept == ["c4", "c3", "c2"]
    assert names(backend, "s") == ["h4", "h3", "h2", "h1", "h0"]


def test_what_has_expired_makes_room(backend: SqliteBackend, tmp_path: Path, clock: Clock) -> None:
    backend.write([document("a", seconds=10), document("b", seconds=1000)])
    clock.now += module.PRUNE_SECONDS
    backend.check()

    with closing(sqlite3.connect(tmp_path / "state/b2bua.db")) as database:
        rows = database.execute("SELECT key FROM document").fetchall()
    assert rows == [("b",)]


def test_a_removal_of_nothing_is_fine(backend: SqliteBackend) -> None:
    backend.write([Removal(Kind.TRANSFER, "nobody"), Document(Kind.TRANSFER, "c", "{}", 0, 10**15)])

    assert backend.read(Kind.TRANSFER, ["nobody", "c"]).keys() == {"c"}


def test_what_has_expired_is_not_found(backend: SqliteBackend, clock: Clock) -> None:
    backend.write([document("short", group="s", seconds=10), document("long", group="s", seconds=20)])
    clock.now += 11

    assert names(backend, "s") == ["long"]
    assert backend.read(Kind.HANDOFF, ["short", "long"]).keys() == {"long"}
