"""What a B2BUA answers, as far as applications need it by name; `raw` has all of it, later fields too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call, an attempt or a handoff ended; `docs/outcomes.md` lists them."""

    name: str
    code: int
    status: str
    source: str
    sip_status: int | None = None
    sip_reason: str | None = None

    @classmethod
    def of(cls, answer: Json | None) -> Self | None:
        """None while there is none: null or `{}`."""
        return cls(**{name: answer.get(name) for name in cls.__slots__}) if answer else None  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Handoff:
    """A handoff as it stood when it was asked for."""

    id: str
    call_id: str | None
    """None for a conversation that is no call; and so is `method`."""
    state: str
    """requested, dialing, ringing, connected, completed, failed or cancelled."""
    method: str | None
    destination: str
    reason: str
    outcome: Outcome | None
    raw: Json = field(repr=False)

    @classmethod
    def of(cls, answer: Json) -> Self:
        """From JSON."""
        named = {name: answer[name] for name in ("id", "call_id", "state", "method", "destination", "reason")}
        return cls(**named, outcome=Outcome.of(answer["outcome"]), raw=answer)

    @property
    def succeeded(self) -> bool:
        """True once the caller is with the human, or was."""
        return self.state in ("connected", "completed")

    @property
    def ended(self) -> bool:
        """True when nothing more will happen to it."""
        return self.state in ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Call:
    """A call, live while `ended` is None. Times are text: `2026-01-01T00:00:00.000Z`."""

    call_id: str
    trunk: str
    caller: str
    called: str
    started: str
    answered: str | None
    ended: str | None
    outcome: Outcome | None
    raw: Json = field(repr=False)

    @classmethod
    def of(cls, answer: Json) -> Self:
        """From JSON."""
        keys = ("call_id", "trunk", "caller", "called", "started", "answered", "ended")
        return cls(**{key: answer[key] for key in keys}, outcome=Outcome.of(answer["outcome"]), raw=answer)

    @property
    def is_live(self) -> bool:
        """True when it was answered and has not ended: it can be handed over."""
        return self.answered is not None and self.ended is None


@dataclass(frozen=True, slots=True)
class Destination:
    """A place that calls can be handed to."""

    name: str
    description: str
    default: bool
    method: str

    @classmethod
    def of(cls, answer: Json) -> Self:
        """From JSON."""
        return cls(answer["name"], answer["description"], answer["default"], answer["method"])


@dataclass(frozen=True, slots=True)
class DestinationSettings:
    """A destination as its file has it, to look at or to change."""

    name: str
    settings: Json
    """By the keys of `docs/configuration.md`, without secrets."""
    secrets: Mapping[str, str]
    """`set` or `unset` for each."""
    tag: str = field(repr=False)
    """Of this state of it: an edit with it fails when somebody else was faster."""

    @classmethod
    def of(cls, answer: Json, tag: str) -> Self:
        """From JSON."""
        settings = {key: value for key, value in answer.items() if key not in ("name", "secrets")}
        return cls(answer["name"], settings, answer["secrets"], tag)
