"""Durations as people write them: `30s`, `500ms`, `4h`, `1m`, `7d`, and a bare `0`. Seconds everywhere behind."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from b2bua.config.section import refusal

PATTERN = r"^(0|[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d))$"
EXAMPLES = "a duration such as 500ms, 30s, 1m or 4h"

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_MEANT = re.compile(
    r"([0-9]{1,9}) *(?:(ms|s|m|h|d)(?:ecs?|ins?|ours?|ays?|econds?|inutes?)?)?", re.IGNORECASE
)
"""`30`, `30 s`, `30sec`, `30 Seconds`."""
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_duration(value: object) -> float:
    """Seconds of `30s`, `500ms`, `4h`, `1m`, `7d` or `0`. Raises a refusal for anything else."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None:
        # A bare number is the usual mistake, and seconds the usual meaning.
        meant = _MEANT.fullmatch(text)
        suggestion = None if meant is None else f"{meant[1]}{(meant[2] or 's').lower()}"
        raise refusal("not a duration", allowed=EXAMPLES, suggestion=suggestion)
    return float(match[1]) * _SECONDS[match[2]]


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back as `seconds`."""
    for unit in ("h", "m", "s"):
        if seconds >= _SECONDS[unit] and (seconds / _SECONDS[unit]).is_integer():
            return f"{seconds / _SECONDS[unit]:g}{unit}"
    return f"{seconds * 1000:g}ms" if seconds else "0"


def duration(minimum: float, maximum: float, *, or_zero: bool = False) -> BeforeValidator:
    """A validator for durations from `minimum` to `maximum` seconds; `or_zero` allows 0 as well."""

    def check(value: object) -> float:
        seconds = parse_duration(value)
        if minimum <= seconds <= maximum or (or_zero and seconds == 0):
            return seconds
        allowed = f"{format_duration(minimum)} to {format_duration(maximum)}{', or 0' if or_zero else ''}"
        raise refusal("out of range", allowed=allowed)

    return BeforeValidator(check)


SCHEMA = WithJsonSchema(
    {"type": ["string", "integer"], "pattern": PATTERN, "examples": ["500ms", "30s", "4h"]}
)

DAY = 86_400.0
WaitDuration = Annotated[float, duration(0.1, DAY), SCHEMA]
"""How long something may take; seconds."""
OptionalDuration = Annotated[float, duration(0.1, DAY, or_zero=True), SCHEMA]
"""As `WaitDuration`; 0 means never."""
PingInterval = Annotated[float, duration(1.0, DAY, or_zero=True), SCHEMA]
"""How often to ask whether somebody is there; seconds, 0 for never."""
BindingDuration = Annotated[float, duration(60.0, DAY), SCHEMA]
"""How long a registrar is to remember us; seconds."""
SilenceDuration = Annotated[float, duration(0.0, 10.0), SCHEMA]
"""How long to wait for somebody to finish a sentence; seconds, 0 for not at all."""
SessionInterval = Annotated[float, duration(90.0, DAY), SCHEMA]
"""How often a session is refreshed; seconds. RFC 4028 allows none below 90."""
LongDuration = Annotated[float, duration(0.1, 7 * DAY), SCHEMA]
"""How long a call may last; seconds."""
KeepDuration = Annotated[float, duration(60.0, 366 * DAY), SCHEMA]
"""How long something is kept; seconds."""
