"""What the Python that runs us wants to be told: CPython, or PyPy 3.11 (docs/pypy.md)."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

PYPY = sys.implementation.name == "pypy"

GC_THRESHOLDS = (1_000, 1_000_000, 1_000_000)
"""Containers made and not freed before the collector looks at the youngest, how many such looks before one at the
middle-aged, and as many of those before one at all: in effect never. They hold while `GarbageWatch` lets it look by
itself: some 3 ms each, at most 7, where 10,000, 5 and 1,000 made it 20 to 100."""

PYPY_COMPILER = "trace_limit=30000"
"""PyPy compiles what one turn of a hot function runs through, up to so many operations, and gives up on what is longer.
What a SIP message runs through is longer than its default of 6,000 allows: 1.59 ms of CPU per call with it, 1.18 with
this, at 200 calls a second."""

PYPY_EAGER = "threshold=300,function_threshold=500,trace_eagerness=60"
PYPY_PATIENT = "threshold=1039,function_threshold=1619,trace_eagerness=200"
"""How often something must have run before PyPy compiles it: in a warm-up, where a call then costs 2 ms after 6,000
calls and not after 11,000; and else, which is its default."""


def prepare() -> None:
    """Set the compiler up, where there is one; called before anything is run often."""
    if PYPY:
        _set_compiler(PYPY_COMPILER)


@contextmanager
def eager() -> Iterator[None]:
    """Compile sooner meanwhile, where there is a compiler."""
    if not PYPY:
        yield
        return
    _set_compiler(PYPY_EAGER)
    try:
        yield
    finally:
        _set_compiler(PYPY_PATIENT)


def _set_compiler(parameters: str) -> None:
    # By name: CPython's type checker knows no such module.
    import_module("pypyjit").set_param(parameters)


def settle() -> None:
    """Free what the start has left, and let the collector rest; called once it is over."""
    gc.collect()
    # PyPy's collector is another, which counts no containers and looks at old objects in small steps.
    if not PYPY:
        # What lives for the whole run need not be looked at by every collection.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.disable()  # `GarbageWatch` says when it looks.
