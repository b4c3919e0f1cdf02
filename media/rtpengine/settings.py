"""What the engine over rtpengine needs to know once."""

from __future__ import annotations

from dataclasses import dataclass

from media.engine import Address


@dataclass(frozen=True, slots=True)
class NgAddress:
    """Where a daemon listens for the ng protocol: its `listen-ng` (UDP), `listen-tcp-ng` (TCP) or `listen-http`."""

    transport: str
    """"tcp", "udp" or "ws"."""
    host: str
    """An IP address without brackets."""
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Interfaces:
    """Two interfaces of the daemons, by the names that their `--interface=NAME/ADDRESS` gives them."""

    inside: str
    """Where legs hear each other: whoever sends there is heard in the call, as no peer is known to be right."""
    outside: str
    """Where peers are."""


@dataclass(frozen=True, slots=True)
class RtpengineSettings:
    """The daemons and how they are used."""

    nodes: tuple[NgAddress, ...]
    """New calls go to the next one that answers."""
    dtmf_listen: Address | None = None
    """Where daemons that are not reached by TCP send digits (their `dtmf-log-dest`); by TCP they come on the
    connection."""
    spare_legs: int = 32
    """Legs opened ahead on each daemon, as a leg's address must be known at once: what a burst of calls may take before
    the daemon has answered."""
    interfaces: Interfaces | None = None
    """None: the first interface of a daemon for both sides of its legs."""
    lost_after: float = 3.0
    """Seconds without any answer after which a daemon and its calls count as lost."""
