"""`sip:` where we listen, what we call ourselves, and how strangers are treated."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StrictBool, model_validator

from b2bua.config.addresses import IpAddress, NameServerAddress, Network, SipListener, parse_network
from b2bua.config.auth import Word
from b2bua.config.class_of_service import ClassOfService
from b2bua.config.section import FrozenMapping, Section, one_or_list, refusal
from b2bua.config.session_timers import SessionTimers, SessionTimersOrUse
from b2bua.config.tls import Tls
from sip_stack.extensions import Use

DEFAULT = "default"


def _advertise(value: object) -> object:
    """A plain address is short for `{default: address}`."""
    return {DEFAULT: value} if isinstance(value, str) else value


def _peers(value: object) -> str:
    return DEFAULT if value == DEFAULT else str(parse_network(value))


class Sip(Section):
    """The SIP side of this machine."""

    listen: tuple[SipListener, ...] = Field(min_length=1)
    """Where calls arrive: `udp:0.0.0.0:5060`; port 0 lets the system choose."""
    advertise: Annotated[
        FrozenMapping[Annotated[str, BeforeValidator(_peers)], IpAddress],
        BeforeValidator(_advertise, json_schema_input_type=str | dict[str, str]),
    ] = Field(default={}, validate_default=True)
    """The address peers are told, by their network; `default` for the others. A plain address is the default.
    Without it: the local address that faces the peer."""
    name_servers: Annotated[tuple[NameServerAddress, ...], Field(max_length=8), one_or_list()] = ()
    """The name servers to ask, `192.0.2.53` or with a port `192.0.2.53:5353`. Without them: those of
    `/etc/resolv.conf`, whose changes are noticed."""
    tls: Tls | None = None
    """Our certificate, for `tls:` listeners and whoever is called over TLS."""
    unknown_source: Literal["reject", "silent"] = "reject"
    """What a source that is no trunk gets: 403, or no answer at all. Where a trunk is known by `auth` alone, INVITEs
    are challenged in either case."""
    session_id: StrictBool = True
    """Whether each message of a call says in Session-ID (RFC 7989) between whom it is, for whoever traces it from end
    to end."""
    realm: Word = "b2bua"
    """The realm of our challenges to trunks with `auth`."""
    digest_algorithms: Annotated[
        tuple[Literal["MD5", "SHA-256"], ...], Field(min_length=1), one_or_list()
    ] = (
        "SHA-256",
        "MD5",
    )
    """What these challenges offer, in this order: one each. `MD5` first, or alone, for peers that read no further."""
    session_timers: SessionTimersOrUse = SessionTimers()
    """How far ends are noticed that went away without a word (RFC 4028), where neither trunk nor place says it."""
    reliable_provisionals: Use = Field(default="supported", alias="100rel")
    """Whether provisional responses are acknowledged (RFC 3262), where neither trunk nor place says it."""
    dscp: ClassOfService = 24
    """The class of service of signalling, 0 to 63 or a name such as CS3."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        fixed = [listener for listener in self.listen if listener.port]
        if len(set(fixed)) < len(fixed):
            raise refusal("listen names an address and port twice")
        if self.tls is None and any(listener.transport == "tls" for listener in self.listen):
            raise refusal("a tls: listener without a certificate", allowed="tls: {certificate, private_key}")
        for peers, address in self.advertise.items():
            if (
                peers != DEFAULT
                and ipaddress.ip_network(peers).version != ipaddress.ip_address(address).version
            ):
                raise refusal(f"advertise: peers in {peers} cannot use the address given for them")
        return self

    def advertised_networks(self) -> list[tuple[Network, str]]:
        """The advertised address per network of peers; the default is for every peer of its family."""
        networks: list[tuple[Network, str]] = []
        for peers, address in self.advertise.items():
            everybody = "::/0" if ":" in address else "0.0.0.0/0"
            networks.append((ipaddress.ip_network(everybody if peers == DEFAULT else peers), address))
        return networks
