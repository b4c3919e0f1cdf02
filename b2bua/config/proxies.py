"""`outbound_proxy` and `route_set`: what a request passes on its way (RFC 3261 sections 8.1.2 and 16.12)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from b2bua.config.dial_uri import check_outbound
from b2bua.config.section import Section, one_or_list
from sip_stack.message import SipUri

MAX_PROXIES = 8


def _loose(text: str) -> str:
    """The URI of a proxy as it stands in Route: with `lr`, without which it would be a strict router of RFC 2543."""
    uri = SipUri.parse(check_outbound(text))
    return text if uri.has_param("lr") else str(uri.with_params([("lr", None)]))


ProxyUri = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_loose)]
"""A SIP URI without a user."""


class ProxyKeys(Section):
    """Of whatever is dialled."""

    outbound_proxy: ProxyUri | None = None
    """The proxy that requests are sent to, wherever their URI leads; the first of their Route."""
    route_set: Annotated[tuple[ProxyUri, ...], Field(max_length=MAX_PROXIES), one_or_list()] = ()
    """The proxies that the INVITE passes, after `outbound_proxy`, in order: the rest of its Route."""

    @property
    def proxies(self) -> tuple[str, ...]:
        """URIs, in the order in which they are passed."""
        first = () if self.outbound_proxy is None else (self.outbound_proxy,)
        return (*first, *self.route_set)
