"""Sound for the tests: tones to play, and what a recording holds. 8000 samples per second, one channel, 16 bit; but for
phones that know no less than 48,000 and two."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000
"""Samples per second, all through."""

Samples = NDArray[np.int16]


def tone(frequency: float, seconds: float, amplitude: int = 8000, *, rate: int = RATE) -> Samples:
    """A sine of `frequency` hertz."""
    time = np.arange(round(rate * seconds)) / rate
    return np.round(amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def key_tones(keys: str, seconds: float = 0.1, pause: float = 0.06) -> Samples:
    """The keys of a phone as tones (ITU-T Q.23), each with a pause after it."""
    parts = []
    for key in keys:
        row, column = divmod("123A456B789C*0#D".index(key), 4)
        low, high = (697, 770, 852, 941)[row], (1209, 1336, 1477, 1633)[column]
        parts += [tone(low, seconds, 6000) + tone(high, seconds, 6000), tone(0, pause)]
    return np.concatenate(parts)


def write_wav(path: Path, samples: Samples, *, rate: int = RATE, channels: int = 1) -> Path:
    """Write `samples` as a WAV file, the same on each channel. Returns `path`."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples.astype("<i2"), channels).tobytes())
    return path


def read_wav(path: Path, *, rate: int = RATE, channels: int = 1) -> Samples:
    """The samples of a WAV file, of its first channel. Tolerates one whose writer ended before it wrote the length."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (channels, 2, rate), path
    data = path.read_bytes()
    start = data.index(b"data") + 8
    usable = (len(data) - start) // 2 * 2
    return np.frombuffer(data[start : start + usable], dtype="<i2").astype(np.int16)[::channels]


def mu_law(samples: Samples) -> bytes:
    """`samples` in G.711 µ-law, one octet each (ITU-T G.711 table 2)."""
    linear = samples.astype(np.int32)
    sign = np.where(linear < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(linear), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8))


def a_law(samples: Samples) -> bytes:
    """`samples` in G.711 A-law, one octet each (ITU-T G.711 table 1)."""
    linear = samples.astype(np.int32)
    magnitude = np.where(linear < 0, ~linear, linear)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 7, 0)
    mantissa = (magnitude >> np.maximum(exponent + 3, 4)) & 0x0F
    return bytes(((np.where(linear < 0, 0, 0x80) | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8))


def from_mu_law(octets: bytes) -> Samples:
    """The samples of G.711 µ-law."""
    code = ~np.frombuffer(octets, dtype=np.uint8)
    magnitude = (((code & 15).astype(np.int32) << 3) + 132 << ((code >> 4) & 7)) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.int16)


def from_a_law(octets: bytes) -> Samples:
    """The samples of G.711 A-law."""
    code = np.frombuffer(octets, dtype=np.uint8) ^ 0x55
    segment, step = (code >> 4) & 7, (code & 15).astype(np.int32) << 4
    magnitude = np.where(
        segment == 0, step + 8, (step + 0x108) << np.maximum(segment.astype(np.int32) - 1, 0)
    )
    return np.where(code & 128, magnitude, -magnitude).astype(np.int16)


def dominant_frequency(samples: Samples) -> float:
    """The strongest frequency in hertz, to a fraction of one for a second of sound. 0.0 for silence."""
    if samples.size == 0 or not samples.any():
        return 0.0
    size = 1 << (8 * samples.size - 1).bit_length()  # zero padding: a finer grid than the recording's own
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size), size))
    spectrum[0] = 0.0
    return float(np.argmax(spectrum)) * RATE / size


def share_of(samples: Samples, frequency: float, width: float = 20.0) -> float:
    """How much of the energy lies within `width` hertz of `frequency`, 0..1."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size))) ** 2
    frequencies = np.fft.rfftfreq(samples.size, 1 / RATE)
    total = float(spectrum[1:].sum())
    near = np.abs(frequencies - frequency) <= width
    return float(spectrum[near].sum()) / total if total else 0.0


def level(samples: Samples) -> float:
    """Root mean square, in sample units."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if samples.size else 0.0


def sounding(samples: Samples, threshold: float = 500.0, frame: float = 0.02) -> NDArray[np.bool_]:
    """For each frame (seconds) whether it is louder than `threshold`."""
    size = round(RATE * frame)
    frames = samples[: samples.size // size * size].reshape(-1, size).astype(np.float64)
    return np.sqrt((frames**2).mean(axis=1)) > threshold


def sound(samples: Samples, threshold: float = 500.0) -> Samples:
    """`samples` from the first to the last frame that is no silence; empty when all is."""
    heard = np.flatnonzero(sounding(samples, threshold))
    size = round(RATE * 0.02)
    return samples[heard[0] * size : (heard[-1] + 1) * size] if heard.size else samples[:0]


def longest_gap(samples: Samples, threshold: float = 500.0) -> float:
    """The longest silence in seconds between the first and the last sound."""
    heard = np.flatnonzero(sounding(samples, threshold))
    return float(np.diff(heard).max() - 1) * 0.02 if heard.size > 1 else 0.0
