"""What is wrong with a configuration, and where: file, line, column, key, what was found, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType

KeyPath = tuple[str | int, ...]
"""Where a value is in its document: `("routes", 0, "to")`."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file, counted from 1; a value given with `--set` has no line."""

    file: str
    line: int | None = None
    column: int | None = None

    @property
    def folder(self) -> Path:
        """What a relative path written here is relative to: the file's folder, or the working folder."""
        return Path() if self.line is None else Path(self.file).parent

    def __str__(self) -> str:
        if self.line is None:
            return self.file
        return f"{self.file}:{self.line}" if self.column is None else f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One error or warning. Its text never holds a secret."""

    position: Position
    key: str
    """The path of the key, `timers.ring_timeout`; empty for the file as a whole."""
    message: str
    found: str | None = None
    allowed: str | None = None
    suggestion: str | None = None
    """What the author may have meant."""
    of_environment: bool = False
    """Not the file is at fault but the environment: a variable is not set here, and may be where the server runs."""

    def __str__(self) -> str:
        parts = [self.message]
        if self.found is not None:
            parts.append(f"found {self.found}")
        if self.allowed is not None:
            parts.append(f"allowed: {self.allowed}")
        if self.suggestion is not None:
            parts.append(f"did you mean {self.suggestion!r}?")
        key = f"{self.key}: " if self.key else ""
        return _printable(f"{self.position}: {key}{'; '.join(parts)}")


def _printable(text: str) -> str:
    """Keys and file names may hold anything; a terminal gets escapes for what it should not act on."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ConfigurationError(Exception):
    """The configuration cannot be used. Holds every problem found, in the order of files and lines."""

    def __init__(self, problems: Iterable[Problem], files: Mapping[Path, str] | None = None) -> None:
        self.problems = tuple(problems)
        self.files: Mapping[Path, str] = MappingProxyType(dict(files or {}))
        """The files that were looked at and the digests of their contents, as in `Configuration.files`."""
        super().__init__("\n".join(map(str, self.problems)))


def key_text(path: KeyPath) -> str:
    """`routes[0].to` for `("routes", 0, "to")`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def closest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that looks like `word` mistyped, if any does."""
    known = {candidate.lower(): candidate for candidate in words}
    matches = get_close_matches(word[:100].lower(), known, n=1, cutoff=0.6)
    return known[matches[0]] if matches else None


def listing(words: Iterable[str], limit: int = 30) -> str:
    """Words for an `allowed:`, cut where nobody would read on."""
    known = sorted(words)
    shown = ", ".join(known[:limit])
    return f"{shown}, … ({len(known)} in all)" if len(known) > limit else shown


def known_names(word: str, words: Iterable[str]) -> str:
    """What may be said in place of `word`, which is none of `words`, and the one that was probably meant."""
    known = list(words)
    meant = closest(word, known)
    there_are = f"there are: {listing(known)}" if known else "there are none"
    return there_are if meant is None else f"{there_are}; did you mean {meant!r}?"
