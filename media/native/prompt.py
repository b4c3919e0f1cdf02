"""Sound that was loaded once, as the native engine keeps it."""

from __future__ import annotations

from media import _native


class NativePrompt:
    """`media.engine.Prompt`."""

    def __init__(self, core: _native.Prompt) -> None:
        self.core = core

    @property
    def duration_ms(self) -> int:
        """Its length."""
        return self.core.duration_ms
