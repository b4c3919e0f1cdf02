"""Digits as daemons report them: `notify` messages over TCP ng, or datagrams of JSON to their `dtmf-log-dest`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from media.engine import Address, MediaError
from media.rtpengine.offer_answer import OUTSIDE

KEYS = "0123456789*#ABCD"
LONGEST = 60_000
"""Milliseconds; a longer digit is none."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """A digit that a peer has sent."""

    leg: str
    """The call-id."""
    digit: str
    duration_ms: int


def read_pressed(data: Mapping[str, object]) -> Pressed | None:
    """What a report says; None for one of a leg's inside, and for what makes no sense."""
    leg, tag, event, duration = (data.get(key) for key in ("callid", "source_tag", "event", "duration"))
    if isinstance(leg, bytes) and isinstance(tag, bytes):
        leg, tag = leg.decode("utf-8", "replace"), tag.decode("utf-8", "replace")
    if not isinstance(leg, str) or tag != OUTSIDE:
        return None
    if not isinstance(event, int) or not 0 <= event < len(KEYS):
        return None
    if not isinstance(duration, int) or not 0 <= duration <= LONGEST:
        return None
    return Pressed(leg, KEYS[event], duration)


class DigitListener(asyncio.DatagramProtocol):
    """Hears the datagrams of all daemons."""

    def __init__(self, on_pressed: Callable[[Pressed], None]) -> None:
        self._on_pressed = on_pressed
        self._transport: asyncio.BaseTransport | None = None

    async def open(self, where: Address) -> None:
        """Raises `MediaError` when the address cannot be bound."""
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=where)
        except OSError as error:
            raise MediaError(f"media.rtpengine.dtmf_listen: {error}") from error

    def close(self) -> None:
        """Harmless when it was never opened."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, address: object) -> None:
        """Called by asyncio: one report."""
        try:
            report = json.loads(data)
        except ValueError:
            return
        pressed = read_pressed(report) if isinstance(report, dict) else None
        if pressed is not None:
            self._on_pressed(pressed)
