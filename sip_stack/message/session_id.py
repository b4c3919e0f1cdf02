"""Session-ID (RFC 7989): one name for a session from end to end, made of the UUIDs of the two who talk."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

NIL = "0" * 32
"""In the place of a UUID that is not known yet."""

_UUID = "[0-9a-fA-F]{32}"
# Without `remote` as RFC 7329 had it; other parameters may come one day.
_VALUE = re.compile(rf"({_UUID})[ \t]*(?:;[ \t]*remote[ \t]*=[ \t]*({_UUID}))?[ \t]*(?:;.*)?")


class SessionId(NamedTuple):
    """The value of one Session-ID."""

    local: str
    """Of who sends the message: 32 hexadecimal digits in lower case."""
    remote: str = NIL
    """Of who gets it."""

    @classmethod
    def parse(cls, text: str | None) -> SessionId | None:
        """The value of a header; None for what is none: a header that only helps must not cost a call."""
        match = None if text is None else _VALUE.fullmatch(text.strip())
        if match is None:
            return None
        return cls(match[1].lower(), (match[2] or NIL).lower())

    def __str__(self) -> str:
        return f"{self.local};remote={self.remote}"


def new_uuid(token: Callable[[], str]) -> str:
    """A random UUID (RFC 9562 section 5.4) as Session-ID writes it; `token` gives 80 random bits in hexadecimal."""
    one, other = token(), token()
    # The version, 4, and the variant, 8; everything else is random.
    return f"{one[:12]}4{one[12:15]}8{other[:15]}"
