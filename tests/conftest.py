"""What holds for every test: hypothesis settings, and nothing left open behind a test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The machine is shared: a deadline would fail for its neighbours. In CI the examples are the same every time.
settings.register_profile("developer", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")

_DESCRIPTORS = Path("/proc/self/fd")


def _open_sockets_and_loops() -> set[str]:
    found = set()
    for descriptor in _DESCRIPTORS.iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:  # the one that lists the folder
            continue
        if target.startswith("socket:") or target == "anon_inode:[eventpoll]":
            found.add(f"{descriptor.name} -> {target}")
    return found


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Fails a test that leaves a socket or an event loop open: the next one would fail in its place."""
    before = _open_sockets_and_loops()
    yield
    left = _open_sockets_and_loops() - before
    if left:
        gc.collect()  # closes what is only waiting to be collected, and that warns: a warning is an error
        left = _open_sockets_and_loops() - before
    assert not left, f"left open: {sorted(left)}"


@pytest.fixture
def collector() -> Iterator[None]:
    """Leaves Python's collector as it was."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    gc.enable()
