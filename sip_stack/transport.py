"""Where messages come from and go to: the values that `sip_stack.aio` and the sans-IO core exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sip_stack.errors import LossReason
from sip_stack.value_class import value_class

Address = tuple[str, int]
"""An IP address literal without brackets, and a port 1..65535."""


@dataclass(frozen=True, slots=True)
class TlsTerms:
    """On what terms we make a TLS connection. The files are PEM; what is not given is the stack's own."""

    verify: bool = True
    """False: whoever answers is believed. What the certificate says is not looked at."""
    ca: tuple[str, ...] = ()
    """Whom we trust: files, and "system" for the CAs of this machine."""
    certificate: str = ""
    """Shown to servers that ask for one."""
    private_key: str = ""


DEFAULT_TERMS = TlsTerms()


class TlsPeer(NamedTuple):
    """Whom a TLS connection of ours was made for: it serves nobody else."""

    name: str
    """What the certificate has to name: a host name, or an address literal without brackets."""
    terms: TlsTerms = DEFAULT_TERMS


@value_class
class Target:
    """One resolved place to send a request to (RFC 3263)."""

    transport: str
    """"udp", "tcp" or "tls"."""
    host: str
    """IP address literal, no brackets."""
    port: int
    name: str = ""
    """The host name it was resolved from; what TLS verifies. Empty: `host`."""
    terms: TlsTerms = DEFAULT_TERMS
    """For TLS."""

    @property
    def tls_peer(self) -> TlsPeer:
        """Who must answer there."""
        return TlsPeer(self.name or self.host, self.terms)


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
    """Our address toward this peer; what Via and Contact say unless we have a `name`."""
    connection: int = 0
    """Number of a connection that the peer made; 0 for UDP, and for connections that we make when we need one."""
    name: str = ""
    """What Via and Contact say in place of the address: a name that our certificate is for."""
    peer: TlsPeer | None = None
    """For TLS connections of ours: whom they are for."""
    subjects: tuple[str, ...] = ()
    """What the verified certificate of a TLS client is for (`tls_identity.subjects`)."""
    reliable: bool = field(init=False, compare=False, repr=False)
    """True when the transport retransmits by itself (RFC 3261 section 17)."""
    sent_by: Address = field(init=False, compare=False, repr=False)
    """Host and port of our Via and Contact toward this peer."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reliable", self.transport != "udp")
        object.__setattr__(self, "sent_by", (self.name or self.advertised[0], self.advertised[1]))


class Loss(NamedTuple):
    """Why a flow is of no use any more."""

    reason: LossReason = "transport"
    detail: str = ""
    """For people."""


UNSPECIFIC_LOSS = Loss()


class Transmit(NamedTuple):
    """Octets to send now over a flow."""

    data: bytes
    flow: Flow
    fallback: Target | None = None
    """Where to send them when the connection of `flow` is gone (RFC 3261 section 18.2.2); None: nowhere."""


class Tap(Protocol):
    """Hears of every message, for traces. Returns at once and never raises."""

    def received(self, data: bytes, flow: Flow, now: float, /) -> None:
        """A message that the gate let in."""

    def sent(self, data: bytes, flow: Flow, now: float, /) -> None:
        """A message of ours, a repeated one too."""


class FlowFor(Protocol):
    """How the core asks the transports for a path; may raise TransportError."""

    def __call__(self, target: Target, like: Flow | None = None, /) -> Flow:
        """The flow to `target`, from the same socket as `like` when that makes sense."""
