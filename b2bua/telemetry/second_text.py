"""Stamps of the same second: its text is made once, as a call has a dozen of them in a few seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(maxsize=64)
def text_of_second(second: int) -> str:
    """Seconds since 1970 as `2026-01-01T00:00:00`."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
