"""Edits of the destinations while calls run: one after the other, in a thread, and then the usual reload."""

from __future__ import annotations

import asyncio

from b2bua.config.editing import DestinationsEditor, DestinationsText, Edit, EditRefused
from b2bua.control import Control


class DestinationChanges:
    """Edits the file that a running B2BUA has its destinations from."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._one_at_a_time = asyncio.Lock()

    async def read(self) -> DestinationsText:
        """The file as it stands. Raises `EditRefused`."""
        return await asyncio.to_thread(self._editor().read)

    async def make(self, edit: Edit) -> None:
        """Make an edit and take it for new calls. Raises `EditRefused`; nothing has changed then."""
        async with self._one_at_a_time:
            editor = self._editor()
            applied = await asyncio.to_thread(editor.apply, edit)
            result = await self._control.reload()
            if result.configuration is None:
                # Checked before it was written, so this is what only a reload does: reading hold music.
                await asyncio.to_thread(editor.undo, applied)
                await self._control.reload()
                message = f"not taken: {result.problems[0].message}"
                raise EditRefused("invalid_destination", message, problems=result.problems)

    def _editor(self) -> DestinationsEditor:
        return DestinationsEditor.of(self._control.configuration.origin)
