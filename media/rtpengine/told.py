"""What a daemon plays to a leg, and what it was told of it, to be compared with what is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from media.engine import Address, Codec, StreamParameters
from media.rtpengine.bencode import Writable
from media.rtpengine.prompt import RtpenginePrompt


@dataclass(frozen=True, slots=True)
class Played:
    """A prompt that is to be heard."""

    prompt: RtpenginePrompt
    loop: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What the daemon knows of a leg: its two sides."""

    target: Address
    """Where what the peer says goes: the inside of whoever hears it."""
    codec: Codec
    """Spoken inside."""
    parameters: StreamParameters
    tones: bool
    """It listens for keys that come as tones."""

    def codecs(self) -> dict[str, Writable]:
        """What is to be done with the sound between the two sides: the `codec` of an offer, empty for nothing."""
        spoken, codecs = self.parameters.codec, dict[str, Writable]()
        if self.codec is not spoken:
            codecs = {"mask": [str(self.codec)], "transcode": [str(spoken)]}
        if self.tones:
            # Events for the inside and tones for the peer: so the daemon listens.
            codecs["consume"] = ["telephone-event"]
        return codecs
