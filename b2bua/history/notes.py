"""What is said about calls and handoffs from outside: contexts without a call, outcomes, annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from b2bua.headers import Scalar

if TYPE_CHECKING:
    from b2bua.call.record import JsonObject

Channel = Literal["webchat", "sms"]


@dataclass(frozen=True, slots=True)
class Context:
    """A handoff of a conversation that is no call: nothing is dialled, the human side reads it."""

    channel: Channel
    destination: str = ""
    """Free text: the queue or the like that the human side knows."""
    reason: str = ""
    utterance: str = ""
    shared_id: str = ""
    data: Mapping[str, Scalar] = field(default_factory=dict)
    idempotency_key: str = ""

    def as_json(self, handoff_id: str, node: str, at: str) -> JsonObject:
        """As the API shows a handoff; `at` is the time it was made."""
        return {
            "id": handoff_id,
            "call_id": None,
            "channel": self.channel,
            "node": node,
            "state": "requested",
            "method": None,
            "destination": self.destination,
            "reason": self.reason,
            "utterance": self.utterance,
            "shared_id": self.shared_id,
            "data": dict(self.data),
            "headers_sent": {},
            "headers_dropped": [],
            "attempts": [],
            "outcome": None,
            "confirmed": None,
            "consult": None,
            "created": at,
            "updated": at,
        }


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the human side says became of a handoff."""

    result: str
    agent: str = ""
    note: str = ""
    data: Mapping[str, Scalar] = field(default_factory=dict)

    def as_json(self, at: str) -> JsonObject:
        """As the API shows it; `at` is the time it was given."""
        return {
            "at": at,
            "result": self.result,
            "agent": self.agent,
            "note": self.note,
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True)
class Annotation:
    """A note on a call, while it is up or afterwards."""

    text: str
    author: str = ""
    data: Mapping[str, Scalar] = field(default_factory=dict)

    def as_json(self, annotation_id: str, at: str) -> JsonObject:
        """As the API shows it; `at` is the time it was made."""
        return {
            "id": annotation_id,
            "at": at,
            "text": self.text,
            "author": self.author,
            "data": dict(self.data),
        }
