"""WAV files of every kind a prompt may come in. `tests.support.audio` writes the plain ones."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PCM, FLOAT, A_LAW, MU_LAW = 1, 3, 6, 7
"""Format tags (RFC 2361)."""


def sine(hertz: float, samples: int, rate: int = 8000, volume: float = 0.4) -> NDArray[np.float64]:
    """A tone between -1 and 1."""
    return volume * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)


def riff(data: bytes, *, tag: int, bits: int, rate: int, channels: int = 1) -> bytes:
    """A file around sample data, with a chunk nobody knows between format and data."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    if tag != PCM:
        form += struct.pack("<H", 0)
    chunks = [(b"fmt ", form), (b"LIST", b"INFOodd"), (b"data", data)]
    body = b"".join(
        name + struct.pack("<I", len(each)) + each + b"\0" * (len(each) & 1) for name, each in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def pcm(sound: NDArray[np.float64], rate: int, *, bits: int = 16, channels: int = 1) -> bytes:
    """A file of whole numbers; with two channels the second is silent."""
    full = 2 ** (bits - 1) - 1
    whole = np.round(sound * full).astype(np.int64)
    frames = np.zeros((whole.size, channels), dtype=np.int64)
    frames[:, 0] = whole
    flat = frames.reshape(-1)
    if bits == 8:
        return riff((flat + 128).astype(np.uint8).tobytes(), tag=PCM, bits=8, rate=rate, channels=channels)
    octets = flat.astype("<i8").view(np.uint8).reshape(-1, 8)[:, : bits // 8].tobytes()
    return riff(octets, tag=PCM, bits=bits, rate=rate, channels=channels)


def floats(sound: NDArray[np.float64], rate: int) -> bytes:
    """A file of 32-bit floats."""
    return riff(sound.astype("<f4").tobytes(), tag=FLOAT, bits=32, rate=rate)


def save(folder: Path, data: bytes, name: str = "prompt.wav") -> Path:
    """Writes it and returns where it is."""
    path = folder / name
    path.write_bytes(data)
    return path
