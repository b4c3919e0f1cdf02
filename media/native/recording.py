"""A recording of the native engine, which a thread of the core writes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from media import _native
from media.events import MediaEvent, RecordingEnded

_log = logging.getLogger(__name__)


class NativeRecording:
    """`media.engine.Recording`."""

    def __init__(self, core: _native.Recording, path: Path, tell: Callable[[MediaEvent], bool]) -> None:
        self.core = core
        self._path = path
        self._tell = tell

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def dropped(self) -> int:
        """Packets that were not written."""
        return self.core.dropped

    def pause(self, paused: bool) -> None:
        """Writes silence, or no more."""
        self.core.pause(paused)

    def finish(self) -> None:
        """Ends it; the file is finished soon."""
        self.core.finish()

    def deliver(self, error: str) -> None:
        """Tells of its end. Of a failure in the last moment of a call, which is over by now, the log tells."""
        if not self._tell(RecordingEnded(self, error or None)) and error:
            _log.warning("recording failed", extra={"path": str(self._path), "error": error})
