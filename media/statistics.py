"""What an engine counts of a leg."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from media.value_class import value_class

if TYPE_CHECKING:
    from media.codecs import Codec


@value_class
class LegStatistics:
    """Counters of one leg since it was opened. "In" is what its peer sent us, "out" what we sent to it."""

    codec: Codec | None
    """None before `set_remote`."""
    packets_in: int
    """Valid RTP packets from the latched source, duplicates not counted."""
    packets_out: int
    octets_in: int
    """Payload octets, as in an RTCP sender report (RFC 3550 section 6.4.1)."""
    octets_out: int
    lost: int | None
    """Expected by extended sequence number minus received (RFC 3550 A.3), never below 0. None, as the next two, from an
    engine that does not count it."""
    late: int = field(default=0, kw_only=True)
    """Packets in that newer ones had overtaken; used all the same."""
    duplicates: int = field(default=0, kw_only=True)
    """Packets that had come before; dropped. Those of an SRTP leg are `replayed`."""
    jitter_ms: float | None
    """Interarrival jitter now (RFC 3550 A.8)."""
    longest_gap_ms: int | None
    """Longest time between two packets in while we were receiving."""
    foreign: int
    """Packets from other sources than the latched one; dropped."""
    malformed: int
    """Datagrams that are no RTP of a plausible size; dropped."""
    unauthenticated: int = field(default=0, kw_only=True)
    """SRTP and SRTCP that the peer's key did not authenticate; dropped, and counted nowhere else. So is plain RTP."""
    replayed: int = field(default=0, kw_only=True)
    """SRTP and SRTCP that was heard before, or is too old to tell; dropped."""
    dropped: int
    """Valid RTP that could not be used: payload type not negotiated, duplicate, too late, nothing agreed
    yet."""
    rtcp_in: int
    """RTCP packets received."""
    rtcp_out: int = 0
    """RTCP packets sent."""
    remote_lost: int | None = None
    """Packets of ours that the peer missed, by its last report; None without one. As below: its word, not ours."""
    remote_jitter_ms: float | None = None
    """Jitter of our stream where the peer is."""
    round_trip_ms: float | None = None
    """Mean round trip to the peer (RFC 3550 section 6.4.1, LSR and DLSR); None when it was never measured."""
