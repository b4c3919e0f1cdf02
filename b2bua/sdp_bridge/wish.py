"""What a far end wants of the audio, in words that are neither SDP nor media: how legs tell each other of hold."""

from __future__ import annotations

from typing import NamedTuple


class Wish(NamedTuple):
    """What one far end does by its own will, whatever the other side of the bridge permits."""

    sends: bool = True
    """It lets itself be heard; a phone that plays music on hold still does."""
    hears: bool = True
    """It wants to hear the other side; not while it holds the call."""

    @property
    def holds(self) -> bool:
        """True unless audio flows both ways: somebody may be silent now and it is no fault."""
        return not (self.sends and self.hears)
