"""`hold_music:` what a caller hears while a human is dialled.

Only that a file is there and looks like WAV is checked here; its audio is read by the media engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, WithJsonSchema

from b2bua.config.section import refusal

Word = Literal["ringback", "early_media", "silence"]
WORDS: tuple[Word, ...] = get_args(Word)
ALLOWED = f"the name of a WAV file, {', '.join(WORDS[:-1])} or {WORDS[-1]}"

_HEADER = 12
"""Octets of `RIFF`, a length and `WAVE`."""


@dataclass(frozen=True, slots=True)
class HoldMusic:
    """What is played."""

    kind: Literal["file", "ringback", "early_media", "silence"]
    path: Path | None = None
    """The WAV file when `kind` is `file`."""

    def __str__(self) -> str:
        return self.kind if self.path is None else str(self.path)


def parse_hold_music(value: object) -> HoldMusic:
    """One of the words, or the name of a file. Raises a refusal for anything else."""
    for word in WORDS:
        if value == word:
            return HoldMusic(word)
    if not isinstance(value, str) or not value or "\0" in value:
        raise refusal("not hold music", allowed=ALLOWED)
    return HoldMusic("file", Path(value))


def wav_fault(path: Path) -> str | None:
    """Why a file is no WAV file, or None. Looks at its first octets only."""
    try:
        # A FIFO would hold the process up.
        if path.exists() and not path.is_file():
            return "cannot be read: not a file"
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if header[:4] != b"RIFF" or header[8:] != b"WAVE":
        return "not a WAV file: no RIFF/WAVE header"
    return None


HoldMusicChoice = Annotated[
    HoldMusic,
    BeforeValidator(parse_hold_music),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["prompts/hold.wav", *WORDS]}),
]
