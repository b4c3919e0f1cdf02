"""`assistant:` of a route: the voice agent, reached over SIP, that callers talk to first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from b2bua.config.auth import Auth
from b2bua.config.dial_uri import FromUser, RouteUri
from b2bua.config.dialled import MAX_ROUTE, CustomHeaders, Redirects
from b2bua.config.proxies import ProxyKeys
from b2bua.config.section import Name, one_or_list
from b2bua.config.session_timers import SessionTimersOrUse
from b2bua.config.timers import DialTimers
from b2bua.config.tls import TlsOfPlace
from b2bua.config.trust import TrustKeys
from b2bua.encryption import UNENCRYPTED, Encryption
from sip_stack.extensions import Use


class Assistant(DialTimers, ProxyKeys, TrustKeys):
    """An assistant; its timers stand beside the other keys and override those of `timers:`."""

    # Before `route`, which is judged by it.
    encryption: Encryption = UNENCRYPTED
    """What protects signalling and audio; `udp/rtp` is unencrypted."""
    route: Annotated[tuple[RouteUri, ...], Field(min_length=1, max_length=MAX_ROUTE), one_or_list()]
    """The URI, or the URIs in the order in which they are tried."""
    trunk: Name | None = None
    """The trunk whose `outbound` bare numbers are dialled through."""
    tls: TlsOfPlace = None
    """On what terms it is called over TLS."""
    auth: Auth | None = None
    """Answers the challenges of the assistant."""
    from_user: FromUser | None = None
    """The user in From; the caller's when it is missing."""
    session_timers: SessionTimersOrUse | None = None
    """As in `sip`; else those of its trunk."""
    redirects: Redirects = "refuse"
    """`follow`: a 3xx is followed to whom it names, where `policy` permits that."""
    reliable_provisionals: Use | None = Field(default=None, alias="100rel")
    """As in `sip`; else as in its trunk."""
    headers: CustomHeaders = Field(default={}, validate_default=True)
    """Custom headers, `X-*` or `User-to-User`; `$name` stands for a variable."""

    @property
    def name(self) -> str:
        """What stands in the place of a destination's name in records."""
        return "assistant"

    @property
    def method(self) -> Literal["invite"]:
        """Assistants are dialled."""
        return "invite"

    def headers_of(self, method: Literal["invite"]) -> Mapping[str, str]:
        """What goes into the INVITE."""
        return self.headers


def _as_mapping(value: object) -> object:
    return {"route": value} if isinstance(value, str | int | float) else value


AssistantOrUri = Annotated[Assistant, BeforeValidator(_as_mapping, json_schema_input_type=str | Assistant)]
"""An assistant; a URI alone is its `route`."""
