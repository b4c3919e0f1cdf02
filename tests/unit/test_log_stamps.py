"""The stamp of a log line: UTC, ISO 8601, always to the microsecond."""

from __future__ import annotations

import json
import time

import pytest

from b2bua.telemetry.logs import _json_line


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1_767_225_600_000_000_000, "2026-01-01T00:00:00.000000Z"),
        (1_767_225_600_000_042_999, "2026-01-01T00:00:00.000042Z"),
        (1_767_225_659_999_999_999, "2026-01-01T00:00:59.999999Z"),
    ],
)
def test_a_line_says_when_it_was_to_the_microsecond(
    nanoseconds: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: nanoseconds)

    line = json.loads(_json_line(None, "info", {"event": "ready"}))

    assert line == {"event": "ready", "level": "info", "timestamp": text}
