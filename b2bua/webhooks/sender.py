"""What it takes to send one request, and how that fails."""

from __future__ import annotations

from typing import Protocol

from b2bua.config.callback_url import CallbackUrl


class SendFailed(Exception):
    """The request was not answered; the text says why and nothing of the URL."""


class ConnectFailed(SendFailed):
    """There was no connection: nothing was sent."""


class NoAnswer(SendFailed):
    """It was sent, perhaps in part, and no answer came in time, or none that is HTTP."""


class Refused(SendFailed):
    """The receiver is at an address that must not be reached. Trying again is of no use."""


class Sender(Protocol):
    """Sends requests."""

    async def post(
        self,
        url: CallbackUrl,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        connect_timeout: float,
        read_timeout: float,
    ) -> int:
        """POST; the status of the answer. Raises `SendFailed`; takes no longer than the two timeouts (seconds)."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
