"""What a stack asks of its transports, so that UDP, TCP, TLS and the tests' fake network look alike to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sip_stack.transport import Address, Flow, Target


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: an entry of `sip.listen`."""

    transport: str
    """"udp", later "tcp" and "tls"."""
    host: str
    """IP address literal without brackets; the wildcard is allowed."""
    port: int
    """0: any free port."""


class Receiver(Protocol):
    """The stack, as a transport sees it."""

    def received(self, data: bytes, flow: Flow) -> None:
        """One message. Never raises."""

    def flush(self) -> None:
        """The batch is over: send and deliver what it caused."""

    def lost(self, flow: Flow, reason: str) -> None:
        """Something handed over for sending earlier could not be sent."""


class Transport(Protocol):
    """One listening socket and what it can reach."""

    transport: str
    local: Address
    """As bound, port included."""

    def flow_to(self, target: Target) -> Flow:
        """The interned flow to a target. Raises TransportError."""

    def send(self, data: bytes, flow: Flow) -> None:
        """Send now or queue. Raises TransportError when that is certain to be in vain."""

    def close(self) -> None:
        """Stop receiving and let the socket go."""


class Network(Protocol):
    """Makes transports."""

    async def listen(self, where: Listen, receiver: Receiver) -> Transport:
        """Open one. Raises TransportError."""
