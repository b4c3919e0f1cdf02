"""Globs: `*` is any text, `?` one character, everything else is itself."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def compile_glob(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for `fullmatch`, in time linear in the text even with many `*`."""
    # fnmatch knows character sets, which nobody expects in a telephone number.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def matches(pattern: str, text: str) -> bool:
    """True when all of `text` matches; upper and lower case differ (RFC 3261 section 19.1.4, user part)."""
    return pattern == "*" or compile_glob(pattern).fullmatch(text) is not None
