"""Unguessable text for tags, branches and Call-IDs (RFC 3261 section 19.3), cut from a pool of system
randomness."""

from __future__ import annotations

import os

_OCTETS = 10
_POOL = 256


class TokenSource:
    """Call it for 80 random bits as hexadecimal text. One system call serves 256 tokens."""

    __slots__ = ("_offset", "_pool")

    def __init__(self) -> None:
        self._pool = ""
        self._offset = 0

    def __call__(self) -> str:
        """The next token."""
        if self._offset >= len(self._pool):
            self._pool = os.urandom(_OCTETS * _POOL).hex()
            self._offset = 0
        start = self._offset
        self._offset = end = start + 2 * _OCTETS
        return self._pool[start:end]
