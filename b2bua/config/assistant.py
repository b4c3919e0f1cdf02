"""`assistant:` of a route: the voice agent, reached over SIP, that callers talk to first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from b2bua.config.dial_keys import DialKeys
from b2bua.config.dial_uri import RouteUri
from b2bua.config.dialled import MAX_ROUTE, CustomHeaders
from b2bua.config.proxies import ProxyKeys
from b2bua.config.section import one_or_list
from b2bua.config.timers import DialTimers
from b2bua.config.tls import TlsOfPlace
from b2bua.config.trust import TrustKeys
from b2bua.encryption import UNENCRYPTED, Encryption


class Assistant(DialTimers, DialKeys, ProxyKeys, TrustKeys):
    """An assistant; its timers stand beside the other keys and override those of `timers:`."""

    # Before `route`, which is judged by it.
    encryption: Encryption = UNENCRYPTED
    """What protects signalling and audio; `udp/rtp` is unencrypted."""
    route: Annotated[tuple[RouteUri, ...], Field(min_length=1, max_length=MAX_ROUTE), one_or_list()]
    """The URI, or the URIs in the order in which they are tried."""
    tls: TlsOfPlace = None
    """On what terms it is called over TLS."""
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
