"""`telemetry:` what is kept and told of the SIP of calls."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from b2bua.config.section import Section, refusal, text_schema
from b2bua.config.services import parse_size

DEFAULT_TRACE = "16MB"


def parse_trace(value: object) -> int:
    """Octets of a size, or 0 for `disabled`."""
    if value == "disabled":
        return 0
    if not isinstance(value, str):
        raise refusal("not a size", allowed="64KB, 16MB, 2GB, or disabled")
    return parse_size(value)


TraceSize = Annotated[
    int,
    BeforeValidator(parse_trace),
    text_schema("^([0-9]{1,6}(KB|MB|GB)|disabled)$", DEFAULT_TRACE, "disabled"),
]


class Telemetry(Section):
    """What an operator may look at."""

    trace: TraceSize = Field(default=DEFAULT_TRACE, validate_default=True)
    """How much memory the traces of calls may take, `16MB`: the SIP messages of the newest calls; or `disabled`."""
