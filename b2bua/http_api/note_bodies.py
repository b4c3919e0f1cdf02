"""The bodies of what is said about calls and handoffs: contexts without a call, outcomes, annotations."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from b2bua.config.section import Section
from b2bua.history.notes import Channel
from b2bua.http_api.schemas import MAX_DATA, DataKey, DataValue, Line, ShortLine, Text, line

Data = Annotated[dict[DataKey, DataValue], Field(max_length=MAX_DATA)]
Word = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(line)]


class ContextBody(Section):
    """A conversation that is no call, and goes to a human: nothing is dialled, the context is kept for them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel": "webchat",
                    "reason": "refund",
                    "shared_id": "conversation-18",
                    "data": {"customer_id": "C-1", "transcript": "https://chat.example.com/18"},
                }
            ]
        }
    )

    channel: Channel
    destination: ShortLine = ""
    """Where it goes, in words of your own."""
    reason: Line = ""
    """Why a human is needed."""
    utterance: Text = ""
    """What the assistant said last."""
    shared_id: ShortLine = ""
    """Your own id; `GET /v1/handoffs?shared_id=` finds the context by it."""
    data: Data = Field(default={})
    """Plain values for the human side."""


class OutcomeBody(Section):
    """What became of a handoff on the human side."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"result": "refunded", "agent": "ann", "data": {"amount": 12.5}}]}
    )

    result: Word
    """In a word or two of your own."""
    agent: ShortLine = ""
    """Who says so."""
    note: Text = ""
    data: Data = Field(default={})


class AnnotationBody(Section):
    """A note on a call."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "The caller asked twice for a refund.", "author": "supervisor"}]
        }
    )

    text: Annotated[Text, Field(min_length=1)]
    author: ShortLine = ""
    data: Data = Field(default={})
