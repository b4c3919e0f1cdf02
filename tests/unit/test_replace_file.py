"""Replacing a file under the eyes of others: whole, with everything about it kept, and nobody's edit lost."""

from __future__ import annotations

import os
from errno import EBUSY, ENOSPC
from pathlib import Path
from threading import Thread

import pytest

from b2bua.config.editing import replace_file as module
from b2bua.config.editing.replace_file import FileChanged, locked_folder, replace_file

OLD, NEW = b"old\n", b"something new\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "destinations.yaml"
    file.write_bytes(OLD)
    return file


def refuse_renames(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file does that is a mount of its own."""

    def busy(*_names: object) -> None:
        raise OSError(EBUSY, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)


def test_mode_and_owner_stay_and_nothing_is_left_beside_it(file: Path) -> None:
    file.chmod(0o640)
    before = file.stat()

    replace_file(file, OLD, NEW)

    after = file.stat()
    assert file.read_bytes() == NEW
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert list(file.parent.iterdir()) == [file]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "real.yaml").write_bytes(OLD)
    link = tmp_path / "destinations.yaml"
    link.symlink_to("elsewhere/real.yaml")

    replace_file(link, OLD, NEW)

    assert link.readlink() == Path("elsewhere/real.yaml")
    assert (elsewhere / "real.yaml").read_bytes() == NEW


def test_a_mount_is_written_over(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_renames(monkeypatch)
    inode = file.stat().st_ino

    replace_file(file, OLD, NEW)
    replace_file(file, NEW, OLD)

    assert (file.read_bytes(), file.stat().st_ino) == (OLD, inode)
    assert list(file.parent.iterdir()) == [file]


def test_hard_links_stay_the_same_file(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.hardlink_to(file)

    replace_file(file, OLD, NEW)

    assert other.read_bytes() == NEW


@pytest.mark.parametrize("mounted", [False, True])
def test_an_edit_of_somebody_else_is_not_lost(
    file: Path, monkeypatch: pytest.MonkeyPatch, mounted: bool
) -> None:
    if mounted:
        refuse_renames(monkeypatch)
    file.write_bytes(b"by hand\n")

    with pytest.raises(FileChanged):
        replace_file(file, OLD, NEW)

    assert file.read_bytes() == b"by hand\n"
    assert list(file.parent.iterdir()) == [file]


def test_a_full_disk_leaves_a_mounted_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_renames(monkeypatch)
    fill = module._fill

    def half(target: object, content: bytes) -> None:
        if content == NEW:
            fill(target, content[:5])  # type: ignore[arg-type]
            raise OSError(ENOSPC, "No space left on device")
        fill(target, content)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_fill", half)

    with pytest.raises(OSError, match="No space"):
        replace_file(file, OLD, NEW)

    assert file.read_bytes() == OLD


def test_another_error_is_told_and_nothing_is_left_behind(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_names: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space"):
        replace_file(file, OLD, NEW)

    assert file.read_bytes() == OLD
    assert list(file.parent.iterdir()) == [file]


def test_edits_wait_for_each_other(file: Path) -> None:
    def count() -> None:
        for _ in range(20):
            with locked_folder(file):
                before = file.read_bytes()
                replace_file(file, before, before + b"+")

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert file.read_bytes() == OLD + b"+" * 80


def test_a_lock_that_is_never_given_back_is_a_timeout(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.0)
    with locked_folder(file), pytest.raises(TimeoutError), locked_folder(file):
        pass
