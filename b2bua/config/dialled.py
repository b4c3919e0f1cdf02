"""What destinations and assistants have in common: both are dialled, and their keys follow the same rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, Field

from b2bua.config.auth import Auth
from b2bua.config.problems import closest
from b2bua.config.section import FrozenMapping, refusal
from b2bua.config.session_timers import SessionTimers
from b2bua.config.timers import Timers
from b2bua.config.tls import TlsClient
from b2bua.headers import Template, refusal_of
from b2bua.pass_list import PassList
from sip_stack.extensions import Use

MAX_ROUTE = 32
"""URIs of one `route`."""

Redirects = Literal["refuse", "follow"]
"""What is done about a 3xx."""

_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Dialled(Protocol):
    """A place we send INVITEs to: a destination, or the assistant of a route."""

    @property
    def name(self) -> str:
        """What records call it."""

    @property
    def method(self) -> str:
        """`invite`, for an assistant."""

    @property
    def encryption(self) -> str:
        """A `b2bua.encryption.Encryption`; "" where we do not dial."""

    @property
    def route(self) -> tuple[str, ...]:
        """URIs in order."""

    @property
    def trunk(self) -> str | None:
        """The trunk it is dialled through."""

    @property
    def tls(self) -> TlsClient | None:
        """On what terms it is called over TLS; None for the usual ones."""

    @property
    def auth(self) -> Auth | None:
        """Answers its challenges."""

    @property
    def from_user(self) -> str | None:
        """The user in From; None for the caller's."""

    @property
    def route_set(self) -> tuple[str, ...]:
        """The proxies after its outbound proxy; () for those that its trunk's registrar asks for."""

    @property
    def proxies(self) -> tuple[str, ...]:
        """All that its requests pass, its outbound proxy first."""

    @property
    def is_trusted(self) -> bool:
        """True when it may know who calls, whatever they want others to know."""

    @property
    def passes(self) -> PassList:
        """What of the other side's headers may reach it."""

    def headers_of(self, method: Literal["invite"]) -> Mapping[str, Template]:
        """The custom headers of the INVITE, with variables."""

    @property
    def redirects(self) -> Redirects:
        """Whether its 3xx are followed."""

    @property
    def session_timers(self) -> SessionTimers | None:
        """Its own session timers; None for those of its trunk."""

    @property
    def reliable_provisionals(self) -> Use | None:
        """Whether provisional responses are acknowledged; None for what its trunk says."""

    def over(self, defaults: Timers) -> Timers:
        """Its timers."""


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
CustomHeaders = Annotated[FrozenMapping[HeaderName, HeaderValue], AfterValidator(_distinct_headers)]
