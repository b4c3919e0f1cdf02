"""What the SIP endpoint is told once, at the start: timer values, what we allow, and the limits of everything
kept.

RFC 3261 section 17.1.1.1 (T1, T2, T4), section 20.5 (Allow), section 20.37 (Supported), section 20.1
(Accept).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """The settings of one `Endpoint`; durations are seconds."""

    t1: float = 0.5
    """Round-trip estimate, base of all retransmissions."""
    t2: float = 4.0
    """Longest retransmission interval of non-INVITE requests and INVITE responses."""
    t4: float = 5.0
    """Longest time a message stays in the network."""
    user_agent: str = "b2bua"
    """User-Agent in requests, Server in responses; empty for none."""
    allow: tuple[str, ...] = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE")
    """Methods we serve; others that exist are answered 405."""
    out_of_dialog: tuple[str, ...] = ()
    """Methods of `allow`, besides INVITE and OPTIONS, that are also served without a dialog."""
    supported: tuple[str, ...] = ()
    """Option tags we understand; a `Require` beyond them is answered 420."""
    accept: tuple[str, ...] = ("application/sdp",)
    """Body types we can use in an INVITE; others are answered 415."""
    max_transactions: int = 200_000
    """Transactions kept at once, lingering ones included; beyond, new requests are answered 503."""
    max_sessions: int = 100_000
    """INVITE sessions kept at once; beyond, a new INVITE is answered 503."""
    retry_after: int = 5
    """Retry-After of our 503, in seconds."""

    @property
    def timeout(self) -> float:
        """64*T1: how long a transaction waits and how long a finished one lingers."""
        return 64 * self.t1
