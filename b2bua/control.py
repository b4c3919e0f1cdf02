"""What may be asked of a running B2BUA from outside: the contract between the HTTP API and the calls.

The API turns HTTP into these methods and their results into JSON; everything that matters is decided behind them.
All of it runs on the event loop. What is `async` may wait for the store, never long, and says 503 `store_unavailable`
where it cannot be answered without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from b2bua.call.record import JsonObject
    from b2bua.call.recording import RecordVerb
    from b2bua.call_order import CallOrder
    from b2bua.config import Configuration, Destination, ReloadResult
    from b2bua.feed import Feed
    from b2bua.handoff.consultation import ConsultVerb
    from b2bua.handoff.handoff import HandoffRequest
    from b2bua.history import Annotation, Context, Page, Resolution
    from b2bua.store import Place, StoreStatus
    from b2bua.trace import Ladder


class ControlError(Exception):
    """A request that cannot be done; `status` is the HTTP status, `code` a word for programs."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field


class Drain(NamedTuple):
    """What a drain waits for."""

    calls: int
    """Calls that run."""
    seconds: float
    """How long they may."""


class Control(Protocol):
    """A running B2BUA. Unknown ids raise `ControlError` 404 `call_not_found` or `handoff_not_found`; calls that another
    node has, 409 `call_elsewhere`."""

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

    @property
    def store(self) -> StoreStatus:
        """How the store does."""
        ...

    @property
    def rtpengine(self) -> JsonObject | None:
        """How many daemons there are, and how many of them are up; None without any."""
        ...

    async def metrics(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the format that an Accept header asks for, and the media type of it."""
        ...

    def trunks(self) -> list[JsonObject]:
        """Every trunk: whether it can be reached, and how our registrations there do."""
        ...

    def reachability(self, destination: Destination) -> str | None:
        """`up`, `down` or `unknown`, as far as pings say; None when it is not pinged."""
        ...

    async def reload(self) -> ReloadResult:
        """Take the edited configuration; a bad one changes nothing."""
        ...

    def drain(self) -> Drain:
        """Refuse new calls, let those that run end, and then end the process. Once begun, it goes on."""
        ...

    async def calls(self, *, limit: int) -> list[JsonObject]:
        """Live calls, then recent ones, newest first; each in short."""
        ...

    async def call(self, call_id: str) -> JsonObject:
        """One call in full: legs, timeline, handoffs, media statistics, annotations."""
        ...

    async def trace(self, call_id: str) -> Ladder:
        """The SIP messages of a call, live or ended. 404 `trace_not_found` when none are kept any more."""
        ...

    async def hang_up(self, call_id: str) -> None:
        """End a call toward every side. 409 `call_ended` when it has ended."""
        ...

    async def record(self, call_id: str, verb: RecordVerb) -> JsonObject:
        """Begin, pause, resume or end the recording of a call; the recording. 409 `call_not_answered`, `call_ended`,
        `not_recordable`, `not_recording`."""
        ...

    async def annotate(self, call_id: str, annotation: Annotation) -> tuple[JsonObject, bool]:
        """Keep a note on a call; the note, and whether the store has it. 409 `too_many_annotations`."""
        ...

    async def place_call(self, order: CallOrder) -> JsonObject:
        """Place a call, or begin a consultation beside a live one; the call in full. The same idempotency key answers
        with the call of before. 503 `draining`, `too_many_calls`; else as `hand_off`."""
        ...

    async def bridge(self, call_id: str, other: str) -> JsonObject:
        """Join two calls; the first in full. 409 `call_not_answered`, `call_ended`, `handoff_running`."""
        ...

    async def hand_off(self, call_id: str, request: HandoffRequest) -> JsonObject:
        """Begin a handoff, or join the one with the same idempotency key. 409 `handoff_running`, `too_many_handoffs`,
        `call_not_answered`, `call_ended`; 400 `unknown_destination`, `policy_refused` and the like."""
        ...

    async def handoff(self, handoff_id: str) -> JsonObject:
        """One handoff, live or kept."""
        ...

    async def handoffs(self, shared_id: str, *, before: Place | None, limit: int) -> Page:
        """A page of the handoffs that carry this id of the application, newest first."""
        ...

    async def cancel_handoff(self, handoff_id: str) -> JsonObject:
        """Stop a handoff that is not connected yet; the caller stays with the assistant. 409 `handoff_final`."""
        ...

    async def add_context(self, context: Context) -> tuple[JsonObject, bool]:
        """Keep a handoff of a conversation that is no call; the handoff, and whether the store has it."""
        ...

    async def resolve(self, handoff_id: str, resolution: Resolution) -> tuple[JsonObject, bool]:
        """Keep what the human side says became of a handoff; the handoff, and whether the store has it."""
        ...

    async def consult(self, handoff_id: str, verb: ConsultVerb) -> JsonObject:
        """Say what comes next in a consultation. 409 `not_consulting`, `handoff_final`."""
        ...
