"""What runs in a thread of its own for as long as a `with` block lasts."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self


class InThread:
    """Subclasses say in `_serve` what they do until `_closing` is set, and in `_close` what they let go of then."""

    def __init__(self, name: str) -> None:
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._close()

    def _serve(self) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError
