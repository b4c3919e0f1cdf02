"""What a stack asks of its transports, so that UDP, TCP, TLS and the tests' fake network look alike to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from sip_stack.errors import LossReason, RemoteError, TransportError
from sip_stack.locating import address_version
from sip_stack.transport import Address, Flow, Target

MAX_FLOWS = 16384
"""Interned flows per socket; the oldest goes first, and a session that still has it keeps it."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: an entry of `sip.listen`."""

    transport: str
    """"udp", "tcp" or "tls"."""
    host: str
    """IP address literal without brackets; the wildcard is allowed."""
    port: int
    """0: any free port."""
    dscp: int = 0
    """Class of service of what is sent from here (RFC 2474), 0..63."""


class Receiver(Protocol):
    """The stack, as a transport sees it."""

    def received(self, data: bytes, flow: Flow, fault: RemoteError | None = None) -> None:
        """One message. With `fault` it is only answered: it could not be told where it ends. Never raises."""

    def flush(self) -> None:
        """The batch is over: send and deliver what it caused."""

    def lost(self, flow: Flow, detail: str, reason: LossReason = "transport") -> None:
        """Something handed over for sending earlier could not be sent, or a connection is over."""

    def hears(self, source: str) -> bool:
        """Whether it is worth the effort to hear what this IP address has to say. Counts as one message of it."""

    def needs(self, flow: Flow) -> bool:
        """True while a call or a request of ours lives on a connection."""


class Transport(Protocol):
    """One listening socket and what it can reach."""

    transport: str
    local: Address
    """As bound, port included."""

    def flow_to(self, target: Target) -> Flow:
        """The interned flow to a target. Raises TransportError."""

    def send(self, data: bytes, flow: Flow) -> None:
        """Send now or queue. Raises TransportError when that is certain to be in vain."""

    def is_connected(self, flow: Flow) -> bool:
        """False when sending over `flow` would need a new connection, or cannot succeed."""

    def forget_flows(self) -> None:
        """Make new flows from now on, so that they get what is advertised now; those in use stay good."""

    def close(self) -> None:
        """Stop receiving and let the socket go."""


class Network(Protocol):
    """Makes transports."""

    async def listen(self, where: Listen, receiver: Receiver) -> Transport:
        """Open one. Raises TransportError."""


def cannot_listen(where: Listen, error: OSError | OverflowError) -> TransportError:
    """What to raise for a listener that cannot be opened: its address is taken, or none of this machine's."""
    why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return TransportError(f"cannot listen on {where.transport}:{where.host}:{where.port}: {why}")


def address_of(target: Target) -> Address:
    """Host and port of a target. Raises TransportError for what is no address literal or no port."""
    if address_version(target.host) is None:
        raise TransportError(f"not an address: {target.host}")
    if not 1 <= target.port <= 65535:
        raise TransportError(f"not a port: {target.port}")
    return target.host, target.port
