"""Parsed values by their text: the messages of a call repeat each other's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

MAX_REMEMBERED = 512
"""Characters of a text whose value is remembered. Longer ones are parsed each time: a peer cannot fill memory."""

ENTRIES = 1024
"""Texts of one generation; there are two."""

Value = TypeVar("Value")


class Remembered(dict[str, Value]):
    """What `parse` made of each text: `remembered[text]`, or `remembered.__getitem__` for a function, which costs no
    more than a look-up in a dictionary where the text is known. The values have to be immutable.

    When it is full, what was not asked for since it was full the last time is forgotten.
    """

    __slots__ = ("_before", "_parse")

    def __init__(self, parse: Callable[[str], Value]) -> None:
        super().__init__()
        self._parse = parse
        self._before: dict[str, Value] = {}

    def __missing__(self, text: str) -> Value:
        value = self._before.get(text)
        if value is None:
            value = self._parse(text)
        if len(text) <= MAX_REMEMBERED:
            if len(self) >= ENTRIES:
                self._before = dict(self)
                self.clear()
            self[text] = value
        return value
