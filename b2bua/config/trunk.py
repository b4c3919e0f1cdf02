"""`trunks:` the peers that may send us calls, and whom we send calls through."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, model_validator

from b2bua.config.addresses import IpNetwork
from b2bua.config.auth import Auth
from b2bua.config.dial_uri import FromUser, OutboundUri
from b2bua.config.section import NamedSection, Section, one_or_list, refusal

Method = Literal["refer", "invite", "bye"]
METHODS: tuple[Method, ...] = ("refer", "invite", "bye")

CallLimit = Annotated[StrictInt, Field(ge=1, le=1_000_000)]


class Accept(Section):
    """What a peer must show to be this trunk."""

    addresses: Annotated[tuple[IpNetwork, ...], Field(min_length=1), one_or_list()]
    """Networks it sends from; where trunks overlap the longest prefix wins."""


class Outbound(Section):
    """Where and as whom we call it."""

    uri: OutboundUri
    """A SIP URI without a user: `sip:gw.acme.example`."""
    auth: Auth | None = None
    from_user: FromUser | None = None


class Trunk(NamedSection):
    """One peer."""

    accept: Accept | None = None
    outbound: Outbound | None = None
    allowed_methods: Annotated[
        tuple[Method, ...], Field(min_length=1), one_or_list(Method | list[Method])
    ] = METHODS
    """The handoff methods its integration permits."""
    max_calls: CallLimit | None = None
    """Calls from it at once; more are answered 503."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.accept is None and self.outbound is None:
            raise refusal("neither accepts calls nor takes them", allowed="accept, outbound or both")
        return self
