"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """`1 trunk`, `2 trunks`: for words whose plural is made by an s."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
