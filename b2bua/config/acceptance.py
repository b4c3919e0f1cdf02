"""What a human who answered has to do, or to hear, before the caller hears them."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema

from b2bua.config.durations import WaitDuration
from b2bua.config.section import Section, refusal

KEYS = "0123456789*#"
"""What `accept_key` may be."""
DIGITS = "[0-9*#A-DwW]{1,64}"
WHISPER_ALLOWED = "the name of a WAV file"

ACCEPT_TIMEOUT = 20.0
"""Seconds: a short whisper, and the time to find the key."""


def parse_key(value: object) -> str:
    """One key. YAML reads `1` as a number. Raises a refusal for anything else."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if len(text) != 1 or text not in KEYS:
        raise refusal("not a key", allowed="one of 0-9 * #, the last two in quotes")
    return text


def parse_whisper(value: object) -> Path:
    """The name of a file. Raises a refusal for anything else."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise refusal("not the name of a file", allowed=WHISPER_ALLOWED)
    return Path(value)


def parse_digits(value: object) -> str:
    """Digits and waits. YAML reads `0123` as a number, without its zero. Raises a refusal for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise refusal("digits without quotes, which are taken for a number", allowed=f'"{value}", in quotes')
    if not isinstance(value, str) or re.fullmatch(DIGITS, value) is None:
        raise refusal("not digits", allowed="up to 64 of 0-9 * # A-D, and the waits w (0.5 s) and W (1 s)")
    return value


AcceptKey = Annotated[
    str, BeforeValidator(parse_key), WithJsonSchema({"type": ["string", "integer"], "pattern": "^[0-9*#]$"})
]
Whisper = Annotated[
    Path,
    BeforeValidator(parse_whisper),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["prompts/whisper.wav"]}),
]


PostDialDigits = Annotated[
    str, BeforeValidator(parse_digits), WithJsonSchema({"type": "string", "pattern": f"^{DIGITS}$"})
]


class AcceptanceKeys(Section):
    """The keys of a destination about the time between the human's answer and the bridge."""

    whisper: Whisper | None = None
    """A WAV file that the human hears alone before the bridge; the caller goes on hearing what they heard."""
    accept_key: AcceptKey | None = None
    """The key that the human must press to get the caller; without it in time the next attempt follows (9110)."""
    accept_timeout: WaitDuration = ACCEPT_TIMEOUT
    """How long the human has for `accept_key`, from their answer on."""

    post_dial_digits: PostDialDigits | None = None
    """Digits sent after the answer and before anything else: an extension, a way through a menu. `w` waits half a
    second, `W` a second."""
    detect_voicemail: Literal["beep", "long_speech", "disabled"] = "disabled"
    """How a machine is known that answered (9100, and the next attempt follows): by its beep, or by its talking on. A
    heuristic; see docs/acceptance.md."""

    @cached_property
    def must_accept(self) -> bool:
        """True when an answer alone does not get the caller."""
        asked = self.accept_key or self.whisper or self.post_dial_digits
        return asked is not None or self.detect_voicemail != "disabled"
