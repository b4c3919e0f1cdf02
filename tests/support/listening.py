"""People who talk in tones, packet after packet, and what a listener heard of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from media.engine import Address, Codec
from tests.support.audio import a_law, mu_law
from tests.support.rtp_peer import STALL, Packet, RtpPeer

PERIOD = 0.02
"""Seconds from packet to packet."""
MADE_UP = 0.1
"""Seconds of a stall for which the engine sends all packets, late (`MOST_LATE` of its pacer)."""
SOME = 5
ASSISTANT, MUSIC, AGENT = 440, 660, 880
"""Who speaks in which tone, in hertz."""
TONES = (ASSISTANT, MUSIC, AGENT)


@dataclass(frozen=True, slots=True)
class Heard:
    """A packet and when it came, by the clock of `time.monotonic`."""

    packet: Packet
    at: float


def frame(hertz: int, number: int = 0, codec: Codec = Codec.PCMU) -> bytes:
    """One packet of a tone; consecutive numbers continue it."""
    time = (np.arange(160) + 160 * number) / 8000
    sound = np.round(9000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
    return mu_law(sound) if codec is Codec.PCMU else a_law(sound)


@asynccontextmanager
async def talking(peer: RtpPeer, to: Address, hertz: int) -> AsyncIterator[None]:
    """`peer` sends a tone in time until the block ends."""

    async def talk() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        number = 0
        while True:
            peer.say(to, frame(hertz, number, peer.codec))
            number += 1
            await asyncio.sleep(max(0.0, begun + number * PERIOD - loop.time()))

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def heard(peer: RtpPeer, count: int) -> list[Heard]:
    """The next packets with their times."""
    packets = [await peer.hear() for _ in range(count)]
    return [Heard(packet, packet.at) for packet in packets]


async def press(peer: RtpPeer, to: Address, code: int) -> None:
    """A digit, its packets in time: of packets that come together, rtpengine's threads may send the second first."""
    for packet in peer.pressed(code):
        peer.send(to, packet.encode())
        await asyncio.sleep(PERIOD)


async def heard_until(peer: RtpPeer, hertz: int | None, more: int = 5) -> list[Heard]:
    """Listens until a packet of this tone (None: silence) came, and `more` packets longer."""
    taken: list[Heard] = []
    async with asyncio.timeout(STALL):
        while not taken or tone_of(taken[-1].packet) != hertz:
            taken += await heard(peer, 1)
    return taken + await heard(peer, more)


def samples(packets: Iterable[Packet]) -> NDArray[np.int32]:
    """What the packets sound like, in 16 bits."""
    return np.concatenate([_TABLES[packet.payload_type][list(packet.payload)] for packet in packets])


def tone_of(packet: Packet) -> int | None:
    """Which of the three tones a packet holds; None for silence."""
    sound = samples([packet]).astype(np.float64)
    if np.abs(sound).max() < 500:
        return None
    angles = 2 * np.pi * np.outer(TONES, np.arange(sound.size)) / 8000
    strength = np.hypot(np.cos(angles) @ sound, np.sin(angles) @ sound)
    return TONES[int(np.argmax(strength))]


def story_of(taken: Iterable[Heard]) -> list[int | None]:
    """The tones in the order heard; each once until another follows."""
    return [tone for tone, _ in groupby(tone_of(each.packet) for each in taken)]


def follows_in_time(before: Packet, after: Packet) -> bool:
    """Whether the timestamp of a packet that the engine made is that of the next 20 ms; or of later ones, when the
    machine stood still for longer than the engine makes up for, and not later than the packet itself."""
    step = (after.timestamp - before.timestamp) & 0xFFFFFFFF
    pause = after.at - before.at
    return step == 160 or (pause > MADE_UP and step % 160 == 0 and step / 8000 <= pause + PERIOD)


def assert_one_stream(taken: list[Heard]) -> None:
    """One SSRC, no sequence number missing or twice, a marker exactly where the sound changes, and timestamps that
    never overlap and keep to the clock (within a quarter of a second, for the earliest of some packets: machines
    stall)."""
    packets = [each.packet for each in taken]
    assert len({packet.ssrc for packet in packets}) == 1
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(packets)] == [1] * (len(packets) - 1)
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(packets)]
    assert all(160 <= step < 8000 * STALL for step in steps), steps
    changes = [tone_of(a) != tone_of(b) for a, b in pairwise(packets)]
    assert [packet.marker for packet in packets[1:]] == changes
    media = [sum(steps[:n]) / 8000 for n in range(len(taken))]
    ahead = [said - each.at for said, each in zip(media, taken, strict=True)]
    assert abs(max(ahead[-SOME:]) - max(ahead[:SOME])) < 0.25


def _expand_mu_law(octet: int) -> int:
    code = ~octet & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


def _expand_a_law(octet: int) -> int:
    code = octet ^ 0x55
    segment, step = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = step + 8 if segment == 0 else (step + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


_TABLES = {
    0: np.array([_expand_mu_law(octet) for octet in range(256)], dtype=np.int32),
    8: np.array([_expand_a_law(octet) for octet in range(256)], dtype=np.int32),
}
SILENCE = {Codec.PCMU: b"\xff" * 160, Codec.PCMA: b"\xd5" * 160}
"""A packet in which nothing is heard."""
