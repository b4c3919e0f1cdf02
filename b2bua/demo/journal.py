"""What the processes of the demonstration tell the one that started them, in JSON lines on stdout."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened. `at` is the time of day in seconds, `call` the user that was dialled."""

    at: float
    who: str
    call: str
    what: str
    to: str = ""
    """Whom a request was sent to."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A stand-in listens; `port` is its SIP port."""

    port: int


@dataclass(frozen=True, slots=True)
class CallerResult:
    """How a call ended for the caller, or None for a status that never came."""

    status: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody (`caller`, `assistant`, `agent`) heard during a call, from the first packet to the last."""

    who: str
    call: str
    tones: list[int]
    """Hertz, in the order heard."""
    pause: float
    """Longest time in seconds without a clear tone, between the first of them and the last."""
    seconds: float
    streams: int
    """Different SSRCs: a call that is handed over without a seam has one."""


@dataclass(frozen=True, slots=True)
class Talks:
    """The assistant has answered; `call_id` is what the B2BUA calls the call."""

    call: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Referred:
    """What the assistant was told about its REFER."""

    call: str
    accepted: int | None
    """Status of the response to the REFER."""
    notified: list[int]
    """Statuses in the NOTIFYs."""
    terminated: list[bool]
    """Whether each NOTIFY said that no further one follows."""


@dataclass(frozen=True, slots=True)
class ScreenPop:
    """A human's phone rings, and their screen has the id of the handoff."""

    call: str
    handoff_id: str


Message = Entry | Ready | CallerResult | Heard | Talks | Referred | ScreenPop
_KINDS = {kind.__name__: kind for kind in (Entry, Ready, CallerResult, Heard, Talks, Referred, ScreenPop)}


def tell(message: Message) -> None:
    """Write one message, at once."""
    sys.stdout.write(json.dumps({"kind": type(message).__name__} | asdict(message)) + "\n")
    sys.stdout.flush()


def note(who: str, call: str, what: str) -> None:
    """Write an entry of this moment."""
    tell(Entry(time.time(), who, call, what))


def understand(line: str) -> Message:
    """The message on one line; ValueError or TypeError for anything else."""
    fields = json.loads(line)
    message: Message = _KINDS[fields.pop("kind")](**fields)
    return message
