"""Where messages come from and go to: the values that `sip_stack.aio` and the sans-IO core exchange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

Address = tuple[str, int]
"""An IP address literal without brackets, and a port 1..65535."""


@dataclass(frozen=True, slots=True)
class Target:
    """One resolved place to send a request to (RFC 3263)."""

    transport: str
    """"udp", "tcp" or "tls"."""
    host: str
    """IP address literal, no brackets."""
    port: int
    name: str = ""
    """The host name it was resolved from; what TLS verifies."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A path to one peer: a UDP socket and a remote address, or a TCP/TLS connection.

    Flows are interned by the transports: the same peer over the same socket is the same object.
    """

    transport: str
    """"udp", "tcp" or "tls"."""
    local: Address
    """The socket's bound address; with `transport` it names the listener."""
    remote: Address
    advertised: Address
    """What our Via and Contact say toward this peer."""
    connection: int = 0
    """Number of a connection that the peer made; 0 for UDP, and for connections that we make when we need one."""

    @property
    def reliable(self) -> bool:
        """True when the transport retransmits by itself (RFC 3261 section 17)."""
        return self.transport != "udp"


class Transmit(NamedTuple):
    """Octets to send now over a flow."""

    data: bytes
    flow: Flow
    fallback: Target | None = None
    """Where to send them when the connection of `flow` is gone (RFC 3261 section 18.2.2); None: nowhere."""


class FlowFor(Protocol):
    """How the core asks the transports for a path; may raise TransportError."""

    def __call__(self, target: Target, like: Flow | None = None, /) -> Flow:
        """The flow to `target`, from the same socket as `like` when that makes sense."""
