"""A file system of a few kilobytes, on which a full disk is a full disk (ENOSPC)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mounted on a new folder. Skips the test for whoever may not mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=0700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here (CAP_SYS_ADMIN): {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: a program of a test that failed may still have a file open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
