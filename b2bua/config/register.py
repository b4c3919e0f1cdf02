"""`register:` how we make ourselves known to a trunk that calls those who have registered (RFC 3261 section 10)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from b2bua.config.dial_uri import FromUser, OutboundUri
from b2bua.config.durations import BindingDuration
from b2bua.config.section import Section, one_or_list

MAX_REGISTRARS = 8

DEFAULT_EXPIRES = 600.0
"""Seconds. Long enough to cost nothing, short enough that a registrar which forgot us has us back soon."""


class Register(Section):
    """Where and as whom we register."""

    registrar: Annotated[
        tuple[OutboundUri, ...], Field(min_length=1, max_length=MAX_REGISTRARS), one_or_list()
    ] = ()
    """The URI of the registrar, or of several that are all registered at; `outbound.uri` when it is missing."""
    user: FromUser | None = None
    """Whom we register: the user of our address there. `auth.username`, else `from_user`, when it is missing."""
    expires: BindingDuration = DEFAULT_EXPIRES
    """How long we ask to be remembered. It is refreshed before."""


def _as_mapping(value: object) -> object:
    if isinstance(value, bool):
        return {} if value else None
    return value


RegisterOrFlag = Annotated[
    Register | None, BeforeValidator(_as_mapping, json_schema_input_type=bool | Register | None)
]
"""`true` stands for a mapping without keys."""
