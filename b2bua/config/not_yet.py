"""What docs/design.md promises and this version does not do: refused by name, not ignored.

A feature's line is taken out of here when the feature arrives.
"""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from b2bua.config.problems import KeyPath
from b2bua.config.section import refusal

KEYS: dict[str, frozenset[str]] = {
    "media": frozenset({"rtpengine"}),
}
"""Keys of later versions, by the path of the mapping they will be in; `*` is a name or an index."""


def later(feature: str, *, use: str | None = None) -> PydanticCustomError:
    """The refusal of a value that a later version takes."""
    return refusal(f"{feature}: not available yet", allowed=use)


def is_later_key(path: KeyPath) -> bool:
    """True when a later version knows the key at the end of this path (from `destinations` on for theirs)."""
    *mapping, key = path
    steps = [str(step) for step in mapping]
    if len(steps) > 1 and steps[0] in ("trunks", "routes", "destinations"):
        steps[1] = "*"
    return key in KEYS.get(".".join(steps), frozenset())
