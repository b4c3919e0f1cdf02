"""Synthetic people and mailboxes for `listening.py`: what espeak-ng says, as a telephone would let it through.

The same seed makes the same sound, octet for octet, with the same espeak-ng.
"""

from __future__ import annotations

import io
import random
import subprocess
import wave

import numpy as np
from numpy.typing import NDArray

RATE = 8000
Sound = NDArray[np.float64]
"""Samples between -1 and 1, `RATE` a second."""

VOICES = ("en-gb", "en-us", "en-gb-scotland", "de", "fr", "es", "it", "nl", "sv", "pl", "pt", "da")
VARIANTS = (*(f"m{number}" for number in range(1, 8)), *(f"f{number}" for number in range(1, 6)), "croak")
NAMES = (
    "Anna Meyer",
    "Doctor Brown",
    "Giulia Rossi",
    "Lars Olsson",
    "Maria Garcia",
    "Tom",
    "Zoe Miller",
    "Ahmed",
)
FIRMS = (
    "Acme Insurance",
    "the billing department",
    "North Bank",
    "City Hospital",
    "Blue Airlines",
    "the front desk",
)
HELLOS = (
    "Hello?",
    "Yes?",
    "Hello, {name}.",
    "{name}, hello.",
    "Good morning.",
    "{name} speaking.",
    "Hi, this is {name}.",
)
WELCOMES = (
    "Good morning, this is {name} at {firm}, how may I help you today?",
    "Thank you for calling {firm}, you are speaking with {name}, what can I do for you?",
    "Welcome to {firm}, my name is {name}. How can I help?",
)
SHORT_BOXES = ("{name}. Leave a message.", "Not here. Speak after the tone.", "Leave a message please.")
BOXES = (
    "Hello, you have reached the voicemail of {name}. I cannot take your call right now. Please leave your name, your "
    "number and a short message after the tone, and I will call you back as soon as I can.",
    "The person you are calling is not available. Please leave a message after the beep.",
    "This is {firm}. All our agents are busy, or you are calling outside of our office hours, which are from nine to "
    "half past five, Monday to Friday. Please leave a message after the tone. Thank you.",
    "Hi, it's {name}, you know what to do. Wait for the beep, and please speak slowly, thank you, bye bye.",
)
SMALL_TALK = (
    "Could you tell me the number of the order? It is {number}, and the other one is {number}.",
    "I was told on Tuesday that somebody from {firm} would call me back, and nobody did.",
    "Please go through the invoice of {name} once more, line {number}, I believe the total is wrong.",
    "No, no, no. Wait a moment, I am looking for it. Mm, yes, here it is: {number}.",
    "You see, we moved house in {number}, and ever since then our letters go to {name}.",
    "Oh, really? Who would have thought that. All right, then let us do it that way, shall we?",
    "The weather is lovely, so we are going to walk along the river, me, you and {name}.",
    "Eeny, meeny, miny, moe. Ooh, aah, we are all here, are we not, all of us, in room {number}?",
)


def say(source: random.Random, text: str) -> Sound:
    """A text in a voice of its own: language, speaker, pace and pitch by chance; from -28 to -14 dB of full scale."""
    filled = text.format(
        name=source.choice(NAMES), firm=source.choice(FIRMS), number=source.randint(100, 99_999)
    )
    voice = f"{source.choice(VOICES)}+{source.choice(VARIANTS)}"
    pace, pitch = source.randint(120, 210), source.randint(15, 85)
    command = ["espeak-ng", "-v", voice, "-s", str(pace), "-p", str(pitch), "--stdout", filled]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    # espeak-ng does not know the length when it writes the header.
    with wave.open(io.BytesIO(spoken)) as file:
        rate, start = file.getframerate(), spoken.index(b"data") + 8
    samples = np.frombuffer(spoken[start : start + (len(spoken) - start) // 2 * 2], dtype="<i2") / 32_768.0
    heard = telephone(_trimmed(samples), rate)
    wanted = 10 ** (source.uniform(-28, -14) / 20)
    levelled: Sound = np.clip(heard * (wanted / np.sqrt(np.mean(heard**2))), -1.0, 1.0)
    return levelled


def telephone(samples: Sound, rate: int) -> Sound:
    """The band from 300 to 3400 Hz, with soft edges, at `RATE`."""
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(samples.size, 1 / rate)
    spectrum *= np.clip((hertz - 200) / 100, 0, 1) * np.clip((3_600 - hertz) / 200, 0, 1)
    count = samples.size * RATE // rate
    return np.fft.irfft(spectrum[: count // 2 + 1], count) * (count / samples.size)


def silence(source: random.Random, seconds: float) -> Sound:
    """A quiet room: noise at -66 dB."""
    noise = np.random.default_rng(source.getrandbits(32))
    return noise.normal(0.0, 0.0005, round(seconds * RATE))


def beep(hertz: float, seconds: float) -> Sound:
    """The tone of a mailbox."""
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.2 * np.sin(2 * np.pi * hertz * time)


def _trimmed(samples: Sound) -> Sound:
    """Without the silence that espeak-ng puts around."""
    (loud,) = np.nonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1]
