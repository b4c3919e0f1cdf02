"""The worst network that random calls cross: it loses, doubles and reorders, and goes dead for single dialogs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.fake_network import Datagram, Wire

DIRECTIONS = (b"sendrecv", b"sendonly", b"recvonly", b"inactive")
LATE = 0.6
"""Seconds by which a late datagram comes after those sent behind it: more than T1, so that it meets its repetition."""


@dataclass
class RoughWire(Wire):
    """Each datagram is lost with probability `loss`, doubled with `duplicate`, and late with `reorder`."""

    loss: float = 0.1
    duplicate: float = 0.1
    jitter: float = 0.02
    reorder: float = 0.1
    dead: set[str] = field(default_factory=set)
    """Call-IDs of which nothing arrives any more, in either direction."""
    without_ack: set[str] = field(default_factory=set)
    """Call-IDs of which no ACK arrives."""
    good: set[frozenset[str]] = field(default_factory=set)
    """Pairs of hosts that the network is kind to."""

    def fate(self, datagram: Datagram) -> list[float]:
        """When each copy arrives."""
        call_id = call_id_of(datagram.data)
        acknowledges = datagram.data.startswith(b"ACK ")
        kind = frozenset((datagram.source[0], datagram.destination[0])) in self.good
        arrivals = super().fate(datagram)
        if call_id in self.dead or (acknowledges and call_id in self.without_ack):
            return []
        if kind:
            return [datagram.at + self.delay]
        return [each + LATE if self._random.random() < self.reorder else each for each in arrivals]

    def ladder(self, call_ids: Iterable[str] | None = None) -> str:
        """All that was sent for these dialogs (None: for all), lost datagrams included: what to read when a call went
        wrong."""
        wanted = None if call_ids is None else set(call_ids)
        return "\n".join(
            f"{each.at:9.3f} {each.source[0]:>13} > {each.destination[0]:<13} {each.title:<20} "
            f"{each.message.headers.get('CSeq')} {each.message.via.branch} {_direction(each.data)}"
            for each in self.log
            if wanted is None or call_id_of(each.data) in wanted
        )


def _direction(data: bytes) -> str:
    """What the session description in a message says of the direction, "" without one."""
    return next((name.decode() for name in DIRECTIONS if b"\r\na=" + name in data), "")


def call_id_of(data: bytes) -> str:
    """The Call-ID of a message of one of our stacks."""
    start = data.index(b"\r\nCall-ID: ") + len(b"\r\nCall-ID: ")
    return data[start : data.index(b"\r\n", start)].decode()
