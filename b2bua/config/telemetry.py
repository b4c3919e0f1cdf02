"""`telemetry:` what is kept and told of the SIP of calls."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, StrictInt

from b2bua.config.addresses import CollectorAddress
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


class Hep(Section):
    """Where the messages of calls are sent as HEPv3 packets."""

    address: CollectorAddress
    """udp:ADDRESS:PORT of the collector."""
    capture_id: Annotated[StrictInt, Field(ge=0, le=2**32 - 1)] = 2001
    """By which the collector knows us."""
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)] | None = None
    """The authentication key, where it asks for one."""


class Telemetry(Section):
    """What an operator may look at."""

    trace: TraceSize = Field(default=DEFAULT_TRACE, validate_default=True)
    """How much memory the traces of calls may take, `16MB`: the SIP messages of the newest calls; or `disabled`."""
    hep: Hep | None = None
    """Where they are sent besides."""
