"""Replacing a file that others read and edit: whole or not at all, with its mode, owner and links kept."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EBUSY, EPERM, EROFS, EXDEV
from pathlib import Path
from typing import BinaryIO

LOCK_SECONDS = 10.0
"""How long to wait for another edit of ours to finish."""
_LOCK_INTERVAL = 0.02

_CANNOT_BE_RENAMED_OVER = frozenset({EBUSY, EXDEV, EACCES, EPERM, EROFS})
"""What a file says that is a mount of its own, or stands in a folder that we may not write in."""


class FileChanged(Exception):
    """Somebody else has written the file since it was read."""


def replace_file(path: Path, before: bytes, after: bytes) -> None:
    """Put `after` in the place of `before`, on the disk before this returns.

    A link is followed and stays. A reader sees the one or the other: the new file is renamed over the old one. Where
    that cannot be done (a file that is a mount of its own, as in containers; one with hard links, or of an owner that
    we cannot give it) it is written over in place, and a crash in that moment may leave half of it.

    Raises `FileChanged` when the file no longer holds `before`, and `OSError`.
    """
    target = path.resolve(strict=True)
    known = target.stat()
    if known.st_nlink == 1:
        try:
            _rename_over(target, known, before, after)
        except OSError as error:
            if error.errno not in _CANNOT_BE_RENAMED_OVER:
                raise
        else:
            return
    _write_over(target, before, after)


@contextmanager
def locked_folder(path: Path) -> Iterator[None]:
    """Keep other edits of ours, of this process or another, away from the folder of a file.

    People's editors know nothing of it: for them there is `FileChanged`. Raises `TimeoutError`.
    """
    folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another edit holds {path.parent}") from None
                time.sleep(_LOCK_INTERVAL)
        yield
    finally:
        os.close(folder)


def _rename_over(target: Path, known: os.stat_result, before: bytes, after: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            # The owner first: changing it takes set-id bits from the mode.
            if (known.st_uid, known.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(handle, known.st_uid, known.st_gid)
            os.fchmod(handle, stat.S_IMODE(known.st_mode))
            file.write(after)
            file.flush()
            os.fsync(handle)
        _expect(target, before)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    _sync_folder(target.parent)


def _write_over(target: Path, before: bytes, after: bytes) -> None:
    _expect(target, before)
    with target.open("r+b") as file:
        try:
            _fill(file, after)
        except OSError:
            # The disk is full: what stood there fits.
            _fill(file, before)
            raise


def _fill(file: BinaryIO, content: bytes) -> None:
    file.seek(0)
    file.write(content)
    file.truncate()
    file.flush()
    os.fsync(file.fileno())


def _expect(target: Path, before: bytes) -> None:
    if target.read_bytes() != before:
        raise FileChanged(str(target))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
