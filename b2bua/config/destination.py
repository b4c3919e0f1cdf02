"""A destination: a named place for humans, from the file that operators edit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StrictBool

from b2bua.config.auth import Auth
from b2bua.config.dial_uri import FromUser, RouteUri
from b2bua.config.not_yet import later
from b2bua.config.problems import closest
from b2bua.config.section import FrozenMapping, Name, NamedSection, one_or_list, refusal
from b2bua.config.timers import TimerOverrides
from b2bua.headers import refusal_of

ENCRYPTIONS = ("tls/srtp", "tls/srtp-preferred", "tls/rtp", "udp/rtp")
LATER_METHODS = ("refer", "bye")
"""Methods that exist and that this version does not know."""

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _encryption(value: object) -> object:
    if value == "tls/srtp":
        raise refusal("tls/srtp is the default and not available yet, set udp/rtp")
    if value in ENCRYPTIONS[1:3]:
        raise later(str(value), use="udp/rtp")
    return value


def _header_name(name: str) -> str:
    why = refusal_of(name)
    if why is not None and why != "reserved name":
        allowed = "X-… or User-to-User"
        raise refusal("not a custom header", allowed=allowed, suggestion=closest(name, ["User-to-User"]))
    return name


def _header_value(value: str) -> str:
    if _CONTROLS.search(value):
        raise refusal("a control character in a header")
    return value


def _distinct_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    if len({name.lower() for name in headers}) < len(headers):
        raise refusal("a header set twice; upper and lower case are the same to SIP")
    return headers


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, Field(max_length=1024), AfterValidator(_header_value)]


class Destination(NamedSection, TimerOverrides):
    """One destination; its `timers` keys stand beside the others and override `timers:`."""

    model_config = ConfigDict(json_schema_extra={"required": ["method", "encryption", "route"]})

    description: Annotated[str, Field(max_length=1024)] = ""
    """When to use it; read by people and by the assistant."""
    default: StrictBool = False
    """Exactly one destination is the default."""
    method: Literal["invite"]
    """How a handoff reaches it."""
    encryption: Annotated[Literal["udp/rtp"], BeforeValidator(_encryption)] = Field(
        default="tls/srtp", validate_default=True
    )
    """`udp/rtp` is unencrypted. (`tls/srtp` will be the default.)"""
    route: Annotated[tuple[RouteUri, ...], Field(min_length=1, max_length=32), one_or_list()]
    """The URI, or the URIs in the order in which they are tried."""
    trunk: Name | None = None
    """The trunk whose `outbound` bare numbers are dialled through."""
    auth: Auth | None = None
    """Answers the challenges of this destination."""
    from_user: FromUser | None = None
    """The user in From; the caller's when it is missing."""
    headers: Annotated[FrozenMapping[HeaderName, HeaderValue], AfterValidator(_distinct_headers)] = Field(
        default={}, validate_default=True
    )
    """Custom headers, `X-*` or `User-to-User`; `$name` stands for a variable."""
    fallback: Name | None = None
    """The destination tried when this one fails."""
