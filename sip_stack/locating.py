"""Where a request for a URI goes, as pure functions (RFC 3263): a URI to its next hop, DNS records to ordered targets.

Asking for the records is `sip_stack.aio.resolver`'s.

| the URI says | NAPTR | SRV | else A and AAAA |
|---|---|---|---|
| an address | no | no | – |
| a name and a port | no | no | that port; its transport, else UDP (sips: TLS) |
| a name and a transport | no | of that transport | the transport's default port |
| a name alone | yes | of the NAPTR's transports, else of each of ours | UDP 5060 (sips: TLS 5061) |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address

from sip_stack.errors import TransportError
from sip_stack.message import SipUri, Uri, Via, parse_uri
from sip_stack.remembered import Remembered
from sip_stack.transport import Flow, Target

DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
"""The port of each transport that we speak (RFC 3261 section 19.1.2)."""

SRV_PREFIXES = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
"""Where the SRV records of a domain are, by transport (RFC 3263 section 4.1)."""

NAPTR_SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
"""The transports that NAPTR records speak of; others (SCTP, WebSocket) are not ours."""

_MAX_NAME = 253
_MAX_LITERAL = 64
_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


class ResolutionError(TransportError):
    """No address to send to: the name has none, nobody told us in time, or the URI names no host."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """What a URI says about where to send (RFC 3263 section 4: TARGET), before any look-up."""

    host: str
    """A host name or an address literal without brackets: `maddr` when the URI has it."""
    port: int | None
    """As said in the URI."""
    transport: str | None
    """"udp", "tcp" or "tls", as said in the URI; "tls" for every sips URI."""
    may_discover: bool = False
    """True when NAPTR records may name the transport: the URI has neither port nor `transport`."""

    @property
    def is_numeric(self) -> bool:
        """True when the host is an address, so that nothing needs to be looked up."""
        return address_version(self.host) is not None

    def over_tls(self) -> NextHop:
        """The same over TLS and nothing else. Raises ResolutionError when the URI asks for another transport."""
        if self.transport not in (None, "tls"):
            raise ResolutionError(f"the URI asks for {self.transport}, and only TLS is allowed")
        return replace(self, transport="tls")


@dataclass(frozen=True, slots=True)
class NaptrRecord:
    """A NAPTR record (RFC 3403), as far as SIP uses it."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str
    """Name of SRV records, without the final dot."""


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    host: str
    """Without the final dot; empty when the domain says that it has no such service."""


@dataclass(frozen=True, slots=True)
class Service:
    """SRV records to ask for, and the transport they are about."""

    transport: str
    name: str


def next_hop(uri: str | Uri) -> NextHop:
    """Read a sip or sips URI.

    Raises ResolutionError for another scheme, a transport that we do not speak and a host that is no host
    name, RemoteError(400) for text that is no URI.
    """
    return _hops[uri] if isinstance(uri, str) else _next_hop(uri)


def _next_hop(uri: str | Uri) -> NextHop:
    parsed = parse_uri(uri) if isinstance(uri, str) else uri
    if not isinstance(parsed, SipUri):
        raise ResolutionError(f"a {parsed.scheme} URI names no host")
    host = (parsed.param("maddr") or parsed.host).strip("[]")
    if address_version(host) is None and (len(host) > _MAX_NAME or _NAME.fullmatch(host) is None):
        raise ResolutionError(f"{host[:64]!r} is no host name")
    transport = (parsed.param("transport") or "").lower() or None
    if transport is not None and transport not in DEFAULT_PORTS:
        raise ResolutionError(f"transport {transport[:16]!r} is not supported")
    may_discover = transport is None and parsed.port is None and address_version(host) is None
    if parsed.scheme == "sips":
        if transport == "udp":
            raise ResolutionError("a sips URI cannot go over udp")
        # RFC 3261 section 26.2.2: `transport=tcp` of a sips URI means TLS over TCP.
        transport = "tls"
    return NextHop(host, parsed.port, transport, may_discover)


_hops = Remembered(_next_hop)
"""Configured URIs are dialled in call after call."""


def targets(hop: NextHop, addresses: Iterable[str]) -> list[Target]:
    """The places to try for a next hop whose host has these addresses, in their order; there are no SRV records."""
    transport = hop.transport or "udp"
    port = hop.port or DEFAULT_PORTS[transport]
    return [Target(transport, address, port, hop.host) for address in addresses]


def behind_connection(via: Via, flow: Flow) -> Target:
    """Where responses go once the connection of their request is gone: to its source, at the port of the Via (RFC 3261
    section 18.2.2)."""
    # Who must answer there is who asked.
    name = via.host.strip("[]") if flow.transport == "tls" else ""
    port = via.port or DEFAULT_PORTS.get(flow.transport, 5060)
    return Target(flow.transport, flow.remote[0], port, name)


def usual_services(hop: NextHop, transports: Sequence[str]) -> list[Service]:
    """The SRV records of a next hop without NAPTR, in the order of `transports`, ours.

    A sip URI is never taken to TLS by itself: who wants encryption says so, and gets it or an error.
    """
    chosen = [hop.transport] if hop.transport else [each for each in transports if each != "tls"]
    return [Service(each, f"{SRV_PREFIXES[each]}.{hop.host}") for each in chosen]


def services(hop: NextHop, transports: Sequence[str], records: Iterable[NaptrRecord]) -> list[Service]:
    """What the NAPTR records of a next hop offer of `transports`, the domain's favourite first (RFC 3263 section 4.1).

    Empty when they offer nothing that we speak; the domain's SRV records are then asked for without them.
    """
    wanted = {"tls"} if hop.transport == "tls" else set(transports) - {"tls"}
    offered = [
        (record.order, record.preference, Service(transport, record.replacement))
        for record in records
        if record.flags.lower() == "s"
        and (transport := NAPTR_SERVICES.get(record.service.upper(), "")) in wanted
        and record.replacement
    ]
    return [service for _, _, service in sorted(offered, key=lambda item: item[:2])]


def in_order(records: Iterable[SrvRecord], draw: Callable[[], float]) -> list[SrvRecord]:
    """The records to try, by priority, and by lot within one (RFC 2782); `draw` gives numbers from 0 to below 1.

    A record of weight 40 is first four times as often as one of weight 10; one of weight 0 beside others hardly ever.
    """
    rest = sorted((record for record in records if record.host), key=lambda record: record.priority)
    ordered = []
    while rest:
        peers = [record for record in rest if record.priority == rest[0].priority]
        lot = draw() * sum(_weight(record) for record in peers)
        chosen = peers[-1]
        for record in peers:
            lot -= _weight(record)
            if lot < 0:
                chosen = record
                break
        rest.remove(chosen)
        ordered.append(chosen)
    return ordered


def _weight(record: SrvRecord) -> float:
    """Records that all have weight 0 are drawn evenly; beside others they have "a very small chance" (RFC 2782)."""
    return record.weight or 0.01


def address_version(host: str) -> int | None:
    """4 or 6 for an address literal without brackets, None for a name."""
    return _literal_version(host) if len(host) <= _MAX_LITERAL else None


# A call asks for its few addresses again and again; the bound on their length bounds the cache.
@lru_cache(maxsize=4096)
def _literal_version(host: str) -> int | None:
    try:
        return ip_address(host).version
    except ValueError:
        return None
