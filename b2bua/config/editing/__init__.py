"""Editing the file of the destinations as an operator would: in place, checked as a whole before it is written."""

from b2bua.config.editing.editor import Applied, DestinationsEditor
from b2bua.config.editing.edits import (
    Edit,
    added,
    changed,
    duplicated,
    made_default,
    removed,
    replaced,
    reworded,
)
from b2bua.config.editing.refusal import EditRefused
from b2bua.config.editing.settings import Settings, shown, tag_of
from b2bua.config.editing.text import DestinationsText

__all__ = [
    "Applied",
    "DestinationsEditor",
    "DestinationsText",
    "Edit",
    "EditRefused",
    "Settings",
    "added",
    "changed",
    "duplicated",
    "made_default",
    "removed",
    "replaced",
    "reworded",
    "shown",
    "tag_of",
]
