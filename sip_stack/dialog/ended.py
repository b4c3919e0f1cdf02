"""The dialogs that ended last: who wants to replace one hears that it is over, not that there never was one."""

from __future__ import annotations

from collections import OrderedDict

MAX_ENDED = 1024
"""Dialogs that are remembered when they are over."""


class EndedDialogs:
    """Dialogs by `session_key`, each with the tag of its far end."""

    __slots__ = ("_remote_tags",)

    def __init__(self) -> None:
        self._remote_tags: OrderedDict[str, str | None] = OrderedDict()

    def add(self, key: str, remote_tag: str | None) -> None:
        """Remember a dialog; the oldest is forgotten for it when there are `MAX_ENDED`."""
        self._remote_tags[key] = remote_tag
        if len(self._remote_tags) > MAX_ENDED:
            self._remote_tags.popitem(last=False)

    def has(self, key: str, from_tag: str) -> bool:
        """Whether that dialog is remembered; `from_tag` as Replaces names it."""
        return key in self._remote_tags and is_tag(self._remote_tags[key], from_tag)


def is_tag(remote_tag: str | None, named: str) -> bool:
    """Whether Replaces names this tag: a far end of RFC 2543 has none, which is written 0 (RFC 3891 section 3)."""
    return (remote_tag or "0") == named
