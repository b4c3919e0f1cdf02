"""URLs of applications in a store: what follows the `?` may be a token, which nobody may read there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from b2bua.journal.seal import Seal

_SEALED = "sealed:"


def written(url: str, seal: Seal | None, name: str) -> str | None:
    """The URL as it may stand in the document `name`: sealed where it may hold a token; None where nothing hides it."""
    if "?" not in url:
        return url
    return None if seal is None else _SEALED + seal.close(url, name)


def read(text: str | None, seal: Seal | None, name: str) -> str | None:
    """The URL that was `written`; None for what cannot be known here."""
    if text is None or not text.startswith(_SEALED):
        return text
    try:
        return None if seal is None else seal.open(text.removeprefix(_SEALED), name)
    except ValueError:
        return None
