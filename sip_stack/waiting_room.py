"""Requests for dialogs that nobody knows yet: a process that has just started may be about to restore them.

Refusing such a BYE (481) would end the call for one side and not for the other. Over UDP it would come again by itself,
over TCP it would not. So with the CANCEL of an INVITE that the process before had not answered.
"""

from __future__ import annotations

from sip_stack.message import Request
from sip_stack.transport import Flow

CAPACITY = 2_000
"""Requests that are kept; further ones are dropped, as if lost on the way."""


class WaitingRoom:
    """Keeps requests in the order in which they came, until the sessions are there."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Request, Flow]] = []

    def keep(self, request: Request, flow: Flow) -> None:
        """Let a request wait."""
        if len(self._waiting) < CAPACITY:
            self._waiting.append((request, flow))

    def leave(self) -> list[tuple[Request, Flow]]:
        """Those that wait, who wait no more."""
        waiting, self._waiting = self._waiting, []
        return waiting
