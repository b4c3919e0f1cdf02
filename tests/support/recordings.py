"""What is in a recording, and what it should be: the sound of RTP packets where their timestamps put it."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tests.support.audio import Samples, from_mu_law


class AudioPacket(Protocol):
    """A packet of PCMU."""

    @property
    def timestamp(self) -> int: ...
    @property
    def payload(self) -> bytes: ...


def sides(path: Path) -> tuple[Samples, Samples]:
    """Left and right of a recording, as its header says."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        frames = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return frames[:, 0], frames[:, 1]


def in_time(packets: Sequence[AudioPacket]) -> Samples:
    """What a phone plays of packets, by their timestamps; silence where none came."""
    start = packets[0].timestamp
    sound = np.zeros((packets[-1].timestamp - start & 0xFFFFFFFF) + 160, dtype=np.int16)
    for packet in packets:
        at = packet.timestamp - start & 0xFFFFFFFF
        sound[at : at + len(packet.payload)] = from_mu_law(packet.payload)
    return sound


def place_of(part: Samples, whole: Samples) -> int:
    """Where `part` begins in `whole`, sample by sample the same. Its beginning must not be silence."""
    beginnings = np.flatnonzero(whole == part[0])
    found = [int(at) for at in beginnings if np.array_equal(whole[at : at + part.size], part)]
    assert found, "not there"
    return found[0]
