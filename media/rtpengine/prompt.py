"""Sound for rtpengine: what the native core has read or made, as the WAV file that goes with `play media`."""

from __future__ import annotations

import struct
from functools import cache

from media import _native

MU_LAW = 7
"""WAVE_FORMAT_MULAW."""
RATE = 8000
SILENCE = b"\xff" * RATE


class RtpenginePrompt:
    """`media.engine.Prompt`: mu-law at 8 kHz, which rtpengine turns into what a leg speaks."""

    def __init__(self, sound: bytes, looped: bytes, *, duration_ms: int) -> None:
        self._once = wav_file(sound)
        self._looped = self._once if looped == sound else wav_file(looped)
        self._duration_ms = duration_ms

    @classmethod
    def of(cls, prompt: _native.Prompt) -> RtpenginePrompt:
        """From what the core has."""
        return cls(prompt.mu_law(False), prompt.mu_law(True), duration_ms=prompt.duration_ms)

    @property
    def duration_ms(self) -> int:
        """Its length."""
        return self._duration_ms

    @property
    def octets(self) -> int:
        """Octets of the file that is sent to a daemon."""
        return len(self._once)

    def wav(self, loop: bool) -> bytes:
        """The file; for a loop one whose end meets its beginning."""
        return self._looped if loop else self._once


@cache
def silence() -> RtpenginePrompt:
    """A second of nothing to be heard."""
    return RtpenginePrompt(SILENCE, SILENCE, duration_ms=1000)


def wav_file(sound: bytes) -> bytes:
    """Mu-law octets as a WAV file."""
    layout = struct.pack("<HHIIHHH", MU_LAW, 1, RATE, RATE, 1, 8, 0)
    parts = (_chunk(b"fmt ", layout), _chunk(b"fact", struct.pack("<I", len(sound))), _chunk(b"data", sound))
    body = b"WAVE" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
