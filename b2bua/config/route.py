"""`routes:` where a new call goes first."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import StrictBool, ValidationInfo, field_validator, model_validator

from b2bua.config.assistant import AssistantOrUri
from b2bua.config.glob import matches
from b2bua.config.section import Name, Section, Text, refusal

AfterAgent = Literal["hangup", "assistant"]


class Route(Section):
    """One rule; the first that matches wins. Exactly one of `destination` and `assistant` is set."""

    trunk: Name | None = None
    """Only calls of this trunk; all trunks when it is missing."""
    to: Text = "*"
    """A glob on the user part of the Request-URI."""
    destination: Name | None = None
    """The name of a destination with method `invite`."""
    assistant: AssistantOrUri | None = None
    """The assistant that callers talk to, until it hands them over: a URI, or a mapping."""
    record: StrictBool = False
    """Record the call from the answer to its end."""
    on_assistant_lost: Literal["hangup", "default_destination"] = "hangup"
    """What becomes of a caller who has no assistant any more, and no human."""
    redial_assistant: StrictBool = False
    """Dial the assistant again when a handoff failed after it had been released."""
    after_agent: AfterAgent = "hangup"
    """What becomes of the caller after the human hung up; `assistant` dials it again."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.destination is None and self.assistant is None:
            raise refusal("the key 'destination' or 'assistant' is missing")
        if self.destination is not None and self.assistant is not None:
            raise refusal("both a destination and an assistant", allowed="one of the two")
        return self

    @field_validator("on_assistant_lost", "redial_assistant", "after_agent")
    @classmethod
    def _of_assistants(cls, value: object, info: ValidationInfo) -> object:
        """Called for what is written only, and after `assistant` was judged; a faulty one is not in `data`."""
        if info.data.get("assistant", value) is None:
            raise refusal("of a route without an assistant", allowed="with assistant")
        return value

    def matches(self, trunk: str, user: str) -> bool:
        """True for a call of `trunk` to `user` (unescaped)."""
        return self.trunk in (None, trunk) and matches(self.to, user)
