"""What the YAML parser's complaints mean to who has written the file: where to look, and what would be right.

The parser tells where it gave up, in words about tokens. Often that is a line below the slip, and a tab, a forgotten
colon and a quote that is never closed sound alike.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ruamel.yaml.error import MarkedYAMLError, StreamMark

_QUOTED_WORD = re.compile(r"'(?!<)[^']{2,}'")


class _Meaning(NamedTuple):
    """Of the complaints whose words contain `said`, met while the parser was at `during`."""

    said: str
    during: str
    at_beginning: bool
    """The slip is where what the parser was at begins, and not where it gave up."""
    message: str
    allowed: str


_QUOTES = "quotes around the value"
_IN_BRACES = "a comma between two entries, and a } or ] behind the last"
_INDENTED = "each line below the beginning of the one before, or deeper where something belongs to it"

_MEANINGS = (
    _Meaning(
        "could not find expected ':'",
        "",
        True,
        "a line that is neither `key: value` nor a list's `- item`",
        "a colon and a space behind a key",
    ),
    _Meaning(
        "mapping values are not allowed here",
        "",
        False,
        "a colon where no key can be",
        "a line as far in as the keys beside it, or quotes around a value that has a colon and a space",
    ),
    _Meaning(
        r"'\t' that cannot start",
        "",
        False,
        "a tab before the first word of a line or value",
        "spaces",
    ),
    _Meaning("that cannot start any token", "", False, "a character that no value begins with", _QUOTES),
    _Meaning(
        "", "scanning a quoted scalar", True, "a quote that is never closed", "the same quote at the end"
    ),
    _Meaning("", "scanning an alias", True, "a value that begins with *", _QUOTES),
    _Meaning("", "scanning an anchor", True, "a value that begins with &", _QUOTES),
    _Meaning("", "parsing a flow mapping", True, "a { that is not closed as it must be", _IN_BRACES),
    _Meaning("", "parsing a flow sequence", True, "a [ that is not closed as it must be", _IN_BRACES),
    _Meaning(
        "but found '<scalar>'",
        "parsing a block",
        False,
        "something behind the closing quote of a value",
        "nothing there; within single quotes a quote is written twice",
    ),
    _Meaning(
        "expected <block end>", "parsing a block", False, "a line that is not as far in as those beside it", _INDENTED
    ),
    _Meaning(
        "unknown escape character",
        "",
        False,
        "a backslash that means nothing in double quotes",
        "single quotes, or two backslashes",
    ),
)  # fmt: skip


def meaning_of(error: MarkedYAMLError) -> tuple[StreamMark | None, str, str | None]:
    """Where the slip is, what it is, and what is allowed. Never quotes words of the text: one may be a password."""
    problem, during = str(error.problem or ""), str(error.context or "")
    mark, beginning = error.problem_mark or error.context_mark, error.context_mark
    for meaning in _MEANINGS:
        if meaning.said in problem and meaning.during in during:
            if meaning.at_beginning and beginning is not None:
                mark = beginning
            return mark, meaning.message, meaning.allowed
    # What stands in quotes is taken from the text: brackets and kinds of tokens may be shown, not words.
    return mark, _QUOTED_WORD.sub("'…'", problem or during or "not YAML"), None
