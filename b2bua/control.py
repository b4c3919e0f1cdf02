"""What may be asked of a running B2BUA from outside: the contract between the HTTP API and the calls.

The API turns HTTP into these methods and their results into JSON; everything that matters is decided behind them.
All of it runs on the event loop and returns at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from b2bua.call.record import JsonObject
    from b2bua.config import Configuration, ReloadResult
    from b2bua.feed import Feed
    from b2bua.handoff.consultation import ConsultVerb
    from b2bua.handoff.handoff import Handoff, HandoffRequest


class ControlError(Exception):
    """A request that cannot be done; `status` is the HTTP status, `code` a word for programs."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field


class Control(Protocol):
    """A running B2BUA. Unknown ids raise `ControlError` 404 `call_not_found` or `handoff_not_found`."""

    @property
    def configuration(self) -> Configuration:
        """The snapshot that the next call starts with."""
        ...

    @property
    def feed(self) -> Feed:
        """What happens to calls and handoffs, as it happens."""
        ...

    @property
    def draining(self) -> bool:
        """True when new calls are refused."""
        ...

    def calls(self, *, limit: int) -> list[JsonObject]:
        """Live calls, then recent ones, newest first; each in short."""
        ...

    def call(self, call_id: str) -> JsonObject:
        """One call in full: legs, timeline, handoffs, media statistics."""
        ...

    def hang_up(self, call_id: str) -> None:
        """End a call toward every side. 409 `call_ended` when it has ended."""
        ...

    def hand_off(self, call_id: str, request: HandoffRequest) -> Handoff:
        """Begin a handoff, or join the one with the same idempotency key. 409 `handoff_running`, `too_many_handoffs`,
        `call_not_answered`, `call_ended`; 400 `unknown_destination`, `policy_refused` and the like."""
        ...

    def handoff(self, handoff_id: str) -> Handoff:
        """One handoff, live or recent."""
        ...

    def handoffs(self, shared_id: str) -> list[Handoff]:
        """The handoffs that carry this id of the application, newest first."""
        ...

    def cancel_handoff(self, handoff_id: str) -> Handoff:
        """Stop a handoff that is not connected yet; the caller stays with the assistant. 409 `handoff_final`."""
        ...

    def consult(self, handoff_id: str, verb: ConsultVerb) -> Handoff:
        """Say what comes next in a consultation. 409 `not_consulting`, `handoff_final`."""
        ...

    async def reload(self) -> ReloadResult:
        """Take the edited configuration; a bad one changes nothing."""
        ...
