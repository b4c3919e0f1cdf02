"""`session_timers:` how a far end is noticed that went away without a word (RFC 4028)."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, model_validator

from b2bua.config.durations import SessionInterval
from b2bua.config.section import Section, refusal
from sip_stack.extensions import Extensions, TimerTerms, Use


class SessionTimers(Section):
    """The session timers of one leg."""

    use: Use = "supported"
    """`supported`: with far ends that have them; `required`: those that have none are refused as callers (421), and as
    destinations must be kept up by us or refuse; `disabled`: never."""
    expires: SessionInterval = 1800.0
    """The interval we ask for, and at most grant: the session is refreshed at half of it."""
    min_se: SessionInterval = 90.0
    """The shortest interval we take; less is answered 422."""
    refresher: Literal["any", "us", "far_end"] = "any"
    """Who refreshes, where it is ours to say."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.expires < self.min_se:
            raise refusal("expires is shorter than min_se")
        return self

    @cached_property
    def terms(self) -> TimerTerms:
        """The same in the stack's words."""
        return TimerTerms(self.use, int(self.expires), int(self.min_se), self.refresher)

    @cached_property
    def extensions(self) -> dict[Use, Extensions]:
        """What a session may use that has these timers, by the use of reliable provisional responses."""
        return {use: _extensions(self.terms, use) for use in get_args(Use)}


@lru_cache(maxsize=1024)
def _extensions(timer: TimerTerms, reliable: Use) -> Extensions:
    """One object for all that agree: it knows the lines it puts into messages."""
    return Extensions(timer, reliable)


def _as_mapping(value: object) -> object:
    return {"use": value} if isinstance(value, str) else value


SessionTimersOrUse = Annotated[
    SessionTimers, BeforeValidator(_as_mapping, json_schema_input_type=Use | SessionTimers)
]
"""Session timers; a word alone is their `use`."""
