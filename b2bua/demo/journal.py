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


@dataclass(frozen=True, slots=True)
class Ready:
    """A stand-in listens; `port` is its SIP port."""

    port: int


@dataclass(frozen=True, slots=True)
class CallerResult:
    """How a call ended for the caller, or None for a status that never came."""

    status: int | None
    reason: str
    heard: int | None
    """Hertz of the tone that filled what the caller heard."""
    heard_seconds: float


@dataclass(frozen=True, slots=True)
class AgentHeard:
    """What the person at the contact centre heard during an answered call, in hertz."""

    call: str
    heard: int | None


Message = Entry | Ready | CallerResult | AgentHeard
_KINDS = {kind.__name__: kind for kind in (Entry, Ready, CallerResult, AgentHeard)}


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
