"""`webhooks:` how `callback_url` and `action_url` are called, and which receivers are allowed."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, StrictBool

from b2bua.config.addresses import Network, parse_network
from b2bua.config.callback_url import RetryOn
from b2bua.config.durations import SCHEMA, duration
from b2bua.config.section import Section, one_or_list

Token = Annotated[SecretStr, Field(min_length=8, max_length=1024)]

_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")


def parse_receiver(value: object) -> str | Network:
    """A host name in lower case, an address or a network."""
    if isinstance(value, str) and _NAME.fullmatch(value) and "/" not in value:
        return value.lower()
    return parse_network(value)


Receiver = Annotated[
    str | ipaddress.IPv4Network | ipaddress.IPv6Network,
    BeforeValidator(parse_receiver, json_schema_input_type=str),
]
ConnectTimeout = Annotated[float, duration(0.1, 10.0), SCHEMA]
ReadTimeout = Annotated[float, duration(0.1, 40.0), SCHEMA]
TotalTimeout = Annotated[float, duration(0.1, 55.0), SCHEMA]


class Webhooks(Section):
    """How webhooks are sent. The times and `retries` are what a URL's fragment does not say."""

    token: Annotated[tuple[Token, ...], one_or_list()] = ()
    """Signs each request (signature V3); two while one replaces the other. Without it requests are not signed."""
    format: Literal["form", "json"] = "form"
    """How the parameters are written: as an HTML form's, or as one JSON object."""
    allow_private: StrictBool = False
    """Whether receivers may be at private, loopback and link-local addresses."""
    allow: Annotated[tuple[Receiver, ...], one_or_list()] = ()
    """Names, addresses and networks that may be private all the same."""
    connect_timeout: ConnectTimeout = 2.0
    """Longest wait for a connection (`ct`)."""
    read_timeout: ReadTimeout = 40.0
    """Longest wait for the answer (`rt`)."""
    total_timeout: TotalTimeout = 55.0
    """Longest time for all tries and the pauses between them (`tt`)."""
    retries: Annotated[int, Field(ge=0, le=5)] = 1
    """Tries after the first (`rc`)."""
    retry_on: Annotated[tuple[RetryOn, ...], one_or_list()] = ("ct", "rt")
    """What is tried again (`rp`): no connection, no answer in time, answers 4xx, answers 5xx."""

    def may_reach(self, host: str, address: str) -> bool:
        """Whether a request to `host` may go to this address of it."""
        ip = _really(ipaddress.ip_address(address.partition("%")[0]))
        if ip.is_unspecified or ip.is_multicast:
            return False
        return _is_public(ip) or self.allow_private or any(_names(each, host, ip) for each in self.allow)


def _names(receiver: str | Network, host: str, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(receiver, str):
        return receiver == host.lower().removesuffix(".")
    return ip in receiver


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Of IPv6 what is handed out (RFC 4291 section 2.4). `ipaddress` calls addresses global that somebody may still
    route inside: site-local (RFC 3879), IPv4-compatible, translators' (RFC 8215)."""
    return ip.is_global and (ip.version == 4 or ip in _UNICAST)


_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _really(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The IPv4 address inside an IPv6 one that leads to it: mapped, 6to4 (RFC 3056), NAT64 (RFC 6052)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
