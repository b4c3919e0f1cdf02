"""What all of this engine shares: the core's events by name, and its errors by those of the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, ParamSpec, TypeVar

from media import _native
from media.engine import MediaError, PortsExhausted
from media.events import MediaEvent

_P = ParamSpec("_P")
_T = TypeVar("_T")

EventName = Literal[
    "first_packet",
    "media_timeout",
    "digit",
    "tone_digit",
    "switched",
    "quiet",
    "prompt_ended",
    "answer_judged",
    "recording_ended",
    "worker_lost",
]
"""What the core calls its events."""


def nobody(event: MediaEvent) -> None:
    """Hears the events of what is closed."""


def asked(command: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Runs a command of the core and gives its errors the contract's names."""
    try:
        return command(*arguments, **named)
    except _native.Exhausted as error:
        raise PortsExhausted(str(error)) from None
    except (ValueError, OverflowError, OSError, RuntimeError) as error:
        raise MediaError(str(error)) from error
