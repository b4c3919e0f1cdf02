"""Tones, G.711 mu-law and the search for a tone, in plain arithmetic (ITU-T G.711, RFC 3551 section 4.5.14).

Enough for a demonstration at 8000 samples a second; calls themselves are served by the native core.
"""

from __future__ import annotations

import array
import math
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

RATE = 8000
"""Samples per second."""
FRAME = 160
"""Samples in a packet of 20 ms."""
_BIAS = 0x84
_CLIP = 32635


def ulaw_from_sample(sample: int) -> int:
    """One 16-bit sample as a mu-law octet."""
    magnitude = min(abs(sample), _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~((0x80 if sample < 0 else 0) | exponent << 4 | mantissa) & 0xFF


def sample_from_ulaw(octet: int) -> int:
    """One mu-law octet as a 16-bit sample."""
    octet = ~octet & 0xFF
    magnitude = (((octet & 0x0F) << 3) + _BIAS << ((octet & 0x70) >> 4)) - _BIAS
    return -magnitude if octet & 0x80 else magnitude


_DECODED = tuple(sample_from_ulaw(octet) for octet in range(256))


def decode(payload: bytes) -> list[int]:
    """A mu-law payload as 16-bit samples."""
    return [_DECODED[octet] for octet in payload]


def tone(hertz: float, *, on: float = 1.0, off: float = 0.0, volume: float = 0.35) -> list[bytes]:
    """Mu-law frames of a tone that may be repeated forever: `on` seconds of sound, then `off` of silence.

    Whole seconds and whole hertz make the seam between repetitions inaudible.
    """
    amplitude = volume * 32767
    sounding = round(on * RATE)
    samples = [round(amplitude * math.sin(2 * math.pi * hertz * n / RATE)) for n in range(sounding)]
    samples += [0] * round(off * RATE)
    octets = bytes(map(ulaw_from_sample, samples))
    return [octets[start : start + FRAME] for start in range(0, len(octets) - FRAME + 1, FRAME)]


def share_of_tone(samples: Sequence[int], hertz: float) -> float:
    """How much of the energy is at `hertz`: 1.0 for that tone alone, near 0 for any other sound or silence.

    Goertzel's recurrence over the whole stretch.
    """
    energy = sum(sample * sample for sample in samples)
    if energy == 0:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * hertz / RATE)
    last = before = 0.0
    for sample in samples:
        last, before = sample + coefficient * last - before, last
    power = last * last + before * before - coefficient * last * before
    return min(2 * power / (energy * len(samples)), 1.0)


def tone_heard(samples: Sequence[int], candidates: Sequence[int]) -> int | None:
    """Which of the tones fills the louder half of `samples`, or None when none clearly does."""
    second = RATE // 2
    windows = [samples[start : start + second] for start in range(0, len(samples) - second + 1, second)]
    windows.sort(key=lambda window: sum(abs(sample) for sample in window), reverse=True)
    loud = windows[: (len(windows) + 1) // 2]
    for hertz in candidates:
        if loud and all(share_of_tone(window, hertz) > 0.8 for window in loud):
            return hertz
    return None


def write_wav(path: Path, samples: Sequence[int]) -> None:
    """A mono file of 16-bit samples."""
    data = array.array("h", samples)
    if sys.byteorder == "big":
        data.byteswap()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(data.tobytes())
