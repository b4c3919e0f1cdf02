"""Tones, G.711 mu-law and the search for a tone, in plain arithmetic (ITU-T G.711, RFC 3551 section 4.5.14).

Enough for a demonstration at 8000 samples a second; calls themselves are served by the native core.
"""

from __future__ import annotations

import array
import math
import sys
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

RATE = 8000
"""Samples per second."""
FRAME = 160
"""Samples in a packet of 20 ms."""
WINDOW = 400
"""Samples that are judged at once: 50 ms."""
CLEAR = 0.8
"""Share of the energy that makes a sound a tone."""
_BIAS = 0x84
_CLIP = 32635


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a recording is made of."""

    tones: list[int]
    """Hertz, in the order heard; the same twice only with another between."""
    pause: float
    """Longest time in seconds without a clear tone, between the first of them and the last."""


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


def tone_of(samples: Sequence[int], candidates: Sequence[int]) -> int | None:
    """Which of the tones these samples are; None for silence and for any other sound."""
    hertz = max(candidates, key=lambda each: share_of_tone(samples, each))
    return hertz if share_of_tone(samples, hertz) > CLEAR else None


def hearing(samples: Sequence[int], candidates: Sequence[int]) -> Hearing:
    """The tones in `samples`, one after the other."""
    windows = [samples[start : start + WINDOW] for start in range(0, len(samples) - WINDOW + 1, WINDOW)]
    found = [tone_of(window, candidates) for window in windows]
    tones: list[int] = []
    pause = longest = 0
    for hertz in found:
        if hertz is None:
            pause += 1
            continue
        if tones:
            longest = max(longest, pause)
        if tones[-1:] != [hertz]:
            tones.append(hertz)
        pause = 0
    return Hearing(tones, longest * WINDOW / RATE)


class Ear:
    """Listens to frames as they come, and notices when they have become another tone."""

    def __init__(self, candidates: Sequence[int], noticed: Callable[[int], None]) -> None:
        self._candidates = candidates
        self._noticed = noticed
        self._tone: int | None = None
        self._maybe: int | None = None

    def hear(self, payload: bytes) -> None:
        """Take the next frame; two in a row make a tone."""
        hertz = tone_of(decode(payload), self._candidates)
        if hertz is not None and hertz != self._tone and hertz == self._maybe:
            self._tone = hertz
            self._noticed(hertz)
        self._maybe = hertz


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
