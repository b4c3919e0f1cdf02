"""A caller who is alone: whom they talked to decides who is found for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from b2bua.config import Dialled
    from media.engine import MediaLeg


class Left(NamedTuple):
    """Whom a caller talked to who talks to nobody now."""

    role: str
    place: Dialled | None
    """Where they were dialled."""
    media: MediaLeg | None
    """Their audio; None when that ended with the process before."""
