"""Listeners, addresses, networks and port ranges as they are written in the configuration."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator

from b2bua.config.problems import closest
from b2bua.config.section import refusal, text_schema

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SIP_TRANSPORTS = ("udp", "tcp", "tls")
NG_TRANSPORTS = ("tcp", "udp", "ws")
LISTENER_PATTERN = r"^(udp|tcp|tls):(\[[0-9A-Fa-f:.]+\]|[0-9.]+):[0-9]{1,5}$"
DNS_PORT = 53
_HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_RANGE = re.compile(r"([0-9]{1,5}) ?- ?([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits for peers."""

    transport: str
    """"udp", "tcp" or "tls"; or "http" for the API. Of an rtpengine "tcp", "udp" or "ws"."""
    host: str
    """An IP address without brackets."""
    port: int
    """0 lets the system choose."""

    def __str__(self) -> str:
        return (
            f"{self.transport}:[{self.host}]:{self.port}"
            if ":" in self.host
            else (f"{self.transport}:{self.host}:{self.port}")
        )

    @property
    def is_loopback(self) -> bool:
        """True when only programs of this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports from `first` to `last`, both included; 0 to 0 is whatever the system has."""

    first: int
    last: int

    @property
    def pairs(self) -> int:
        """How many RTP/RTCP pairs, an even port and the one above it, are in the range."""
        if self.is_any:
            return (65536 - 1024) // 2
        first_even = self.first + self.first % 2
        return max((self.last - first_even + 1) // 2, 0)

    @property
    def is_any(self) -> bool:
        """True when the system chooses."""
        return self.last == 0

    def __str__(self) -> str:
        return "0" if self.is_any else f"{self.first}-{self.last}"


def parse_address(value: object) -> str:
    """An IP address in its usual spelling. Raises a refusal for names and anything else."""
    try:
        return str(ipaddress.ip_address(_text(value)))
    except ValueError:
        raise refusal("not an IP address", allowed="an IPv4 or IPv6 address") from None


def parse_network(value: object) -> Network:
    """A network, `198.51.100.0/24`, or one address."""
    text = _text(value)
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        suggestion = str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        suggestion = None
    message = "not a network" if suggestion is None else "a network with host bits set"
    raise refusal(message, allowed="a network such as 198.51.100.0/24, or an address", suggestion=suggestion)


def parse_listener(value: object) -> Listener:
    """`udp:127.0.0.1:5060`, `tcp:[::1]:5060` or `tls:0.0.0.0:5061`; port 0 lets the system choose."""
    transport, _, rest = _text(value).partition(":")
    allowed = 'udp:, tcp: or tls:ADDRESS:PORT, for example udp:0.0.0.0:5060 or "tls:[::]:5061"'
    if transport not in SIP_TRANSPORTS:
        meant = closest(transport, SIP_TRANSPORTS)
        raise refusal(
            "not a listener", allowed=allowed, suggestion=f"{meant}:{rest}" if meant and rest else None
        )
    return _listener(transport, rest, allowed)


def parse_media_node(value: object) -> Listener:
    """`tcp:127.0.0.1:2223`, or `udp:` or `ws:`: where an rtpengine listens for the ng protocol."""
    transport, _, rest = _text(value).partition(":")
    allowed = (
        "tcp: (its listen-tcp-ng), udp: (its listen-ng) or ws: (its listen-http) and ADDRESS:PORT, "
        "such as tcp:127.0.0.1:2223"
    )
    if transport not in NG_TRANSPORTS:
        raise refusal("not the address of an rtpengine", allowed=allowed)
    found = _listener(transport, rest, allowed, "address")
    if found.port == 0:
        raise refusal("an rtpengine without a port", allowed=allowed)
    return found


def parse_api_listener(value: object) -> Listener:
    """`127.0.0.1:8080` or `[::1]:8080`."""
    return _listener("http", _text(value), 'ADDRESS:PORT, for example 127.0.0.1:8080 or "[::1]:8080"')


def parse_port_range(value: object) -> PortRange:
    """`16384-32767`, or 0 for whatever the system has."""
    if value in (0, "0") and not isinstance(value, bool):
        return PortRange(0, 0)
    allowed = "a range of ports 1024-65535 with room for a call (4 ports), such as 16384-32767"
    # YAML reads one port, without quotes, as a number.
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refusal("not a range of ports", allowed=allowed)
    ports = PortRange(int(match[1]), int(match[2]))
    if not 1024 <= ports.first <= ports.last <= 65535 or ports.pairs < 2:
        raise refusal("a range of ports that cannot be used", allowed=allowed)
    return ports


def parse_name_server(value: object) -> tuple[str, int]:
    """`192.0.2.53`, or with a port `192.0.2.53:5353` or `[2001:db8::53]:5353`."""
    text = _text(value)
    try:
        return str(ipaddress.ip_address(text)), DNS_PORT
    except ValueError:
        pass
    allowed = "an IP address, or ADDRESS:PORT such as 127.0.0.1:5353"
    found = _listener("dns", text, allowed, "name server")
    return found.host, found.port or DNS_PORT


def parse_collector(value: object) -> tuple[str, int]:
    """`udp:192.0.2.9:9060`, or with an IPv6 address `udp:[2001:db8::9]:9060`."""
    allowed = "udp:ADDRESS:PORT, for example udp:192.0.2.9:9060"
    transport, _, rest = _text(value).partition(":")
    if transport != "udp":
        raise refusal("not a collector", allowed=allowed)
    found = _listener("udp", rest, allowed, "collector")
    if not found.port:
        raise refusal("a collector without a port", allowed=allowed)
    return found.host, found.port


def _listener(transport: str, text: str, allowed: str, what: str = "listener") -> Listener:
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise refusal(f"not a {what}", allowed=allowed)
    host = match["ipv6"] or match["host"]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise refusal(f"a {what} without an IP address", allowed=allowed) from None
    if (address.version == 6) != (match["ipv6"] is not None):
        raise refusal(f"not a {what}", allowed=allowed)
    return Listener(transport, str(address), int(match["port"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise refusal("not text", allowed="text, in quotes where YAML would read something else")
    return value


SipListener = Annotated[
    Listener, BeforeValidator(parse_listener), text_schema(LISTENER_PATTERN, "udp:0.0.0.0:5060")
]
MediaNode = Annotated[
    Listener,
    BeforeValidator(parse_media_node),
    text_schema(r"^(tcp|udp):(\[[0-9A-Fa-f:.]+\]|[0-9.]+):[0-9]{1,5}$", "tcp:127.0.0.1:2223"),
]
ApiListener = Annotated[
    Listener, BeforeValidator(parse_api_listener), text_schema(r"^.+:[0-9]{1,5}$", "127.0.0.1:8080")
]
Ports = Annotated[
    PortRange, BeforeValidator(parse_port_range), text_schema("^([0-9]+ ?- ?[0-9]+|0)$", "16384-32767")
]
NameServerAddress = Annotated[
    tuple[str, int], BeforeValidator(parse_name_server), text_schema(r"^[0-9A-Fa-f.:\[\]]+$", "192.0.2.53")
]
CollectorAddress = Annotated[
    tuple[str, int],
    BeforeValidator(parse_collector),
    text_schema(r"^udp:(\[[0-9A-Fa-f:.]+\]|[0-9.]+):[0-9]{1,5}$", "udp:127.0.0.1:9060"),
]
IpAddress = Annotated[
    str, BeforeValidator(parse_address), text_schema(r"^[0-9A-Fa-f.:%a-z]+$", "203.0.113.10")
]
IpNetwork = Annotated[
    Network, BeforeValidator(parse_network), text_schema(r"^[0-9A-Fa-f.:/]+$", "198.51.100.0/24")
]
