"""Who is listened to: what the endpoint asks of its user before it spends time on a message.

The endpoint knows sessions and transactions, its user knows trunks, limits and load; a `Gate` is where they meet.
It is asked for every message, so every method is a few dictionary look-ups at most, never waits and never raises.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from sip_stack.message import Request
from sip_stack.refusals import Refusal


class Silence(Enum):
    """Not even a refusal."""

    SILENCE = "silence"


SILENCE = Silence.SILENCE

Verdict = Refusal | Silence | None
"""None: the request is served."""


class Gate(Protocol):
    """Decides by IP address, and for what begins something new by the request itself. `now` is in seconds."""

    def hears(self, source: str, now: float) -> bool:
        """Whether a message from `source` is read at all. Asked before anything is parsed."""

    def judge(self, request: Request, source: str, now: float) -> Verdict:
        """What becomes of a request that belongs to nothing we have, ACK excepted.

        Asked before the request is checked: its headers may be malformed or missing.
        """

    def expect(self, source: str) -> None:
        """We speak with `source`: we send requests there, or it proved to know a session of ours."""

    def certified(self, source: str, subjects: tuple[str, ...], now: float) -> None:
        """A message comes over TLS from a client with a certificate of these names, which a CA of ours vouches for.
        Told before anything else is asked."""


class OpenGate:
    """Everybody is heard."""

    def hears(self, source: str, now: float) -> bool:
        """Yes."""
        return True

    def judge(self, request: Request, source: str, now: float) -> Verdict:
        """Served."""
        return None

    def expect(self, source: str) -> None:
        """Nothing to remember."""

    def certified(self, source: str, subjects: tuple[str, ...], now: float) -> None:
        """Nothing to remember."""
