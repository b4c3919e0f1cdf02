"""`trusted` and `pass_headers`: what a peer may come to know, and be believed, of the other side."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool

from b2bua.config.section import Section, one_or_list, refusal
from b2bua.pass_list import NEVER, PassList, pass_list
from sip_stack.message.headers import header_key

_PATTERN = re.compile(r"[A-Za-z0-9!%_'`~+.-]{2,64}\*?")
ALLOWED = "header names, or their beginning such as X-*"


def _pattern(text: str) -> str:
    if _PATTERN.fullmatch(text) is None:
        raise refusal("not the name of a header", allowed=ALLOWED)
    if header_key(text) in NEVER:
        raise refusal("a header that each side says for itself; it never passes", allowed=ALLOWED)
    return text


class TrustKeys(Section):
    """Of a trunk, and of whatever is dialled."""

    trusted: StrictBool | None = None
    """It belongs to those who may know who calls (RFC 3325): P-Asserted-Identity, Diversion and History-Info come from
    it and go to it, also of callers who want to be private."""
    pass_headers: Annotated[
        tuple[Annotated[str, AfterValidator(_pattern)], ...] | None, Field(max_length=64), one_or_list()
    ] = None
    """The headers that may go from it to the other side, and to it: names, or beginnings such as `X-*`. Both sides must
    allow it."""

    @property
    def is_trusted(self) -> bool:
        """Only who is said to be."""
        return self.trusted is True

    @cached_property
    def passes(self) -> PassList:
        """What may pass."""
        return pass_list(self.pass_headers, trusted=self.is_trusted)
