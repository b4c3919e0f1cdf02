"""What is heard wrongly in the audio of a far end: who answered (`detect_voicemail`), and keys that nobody pressed.

    listening.py                     200 answers of each kind, an hour of talk: two minutes
    listening.py --answers 50 --minutes 10

espeak-ng speaks, in many voices; `voices.py` makes a telephone's sound of it, with fixed seeds. The Rust example
`listening` has the ears: the same code that the media engine runs on each packet. It also says what listening costs.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import voices  # noqa: E402
from report import Table, heading, say  # noqa: E402

EARS = [
    "cargo",
    "run",
    "--quiet",
    "--release",
    "--no-default-features",
    "-p",
    "media-core",
    "--example",
    "listening",
]
AT_ONCE = 100
"""Files that one process of the example listens to."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the ears make of one file; None: nothing was decided."""

    keys: str
    beep: str | None
    long_speech: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A kind of answer: who it is in truth, and how one of it is made."""

    what: str
    truth: str
    make: Callable[[random.Random], list[voices.Sound]]


def person(source: random.Random, texts: tuple[str, ...]) -> list[voices.Sound]:
    """Somebody says something and waits."""
    return [
        voices.silence(source, 0.4),
        voices.say(source, source.choice(texts)),
        voices.silence(source, 6.0),
    ]


def mailbox(source: random.Random, texts: tuple[str, ...], *, beeps: bool = True) -> list[voices.Sound]:
    """A mailbox says something, and beeps."""
    gap, hertz, seconds = source.uniform(0.3, 1.5), source.uniform(420, 1_800), source.uniform(0.2, 0.8)
    said = [
        voices.silence(source, 0.6),
        voices.say(source, source.choice(texts)),
        voices.silence(source, gap),
    ]
    return [*said, *([voices.beep(hertz, seconds)] if beeps else []), voices.silence(source, 6.0)]


ANSWERS = (
    Answer("a person: a word or two", "person", lambda source: person(source, voices.HELLOS)),
    Answer("a person: a welcome of a company", "person", lambda source: person(source, voices.WELCOMES)),
    Answer("a mailbox, then a beep", "machine", lambda source: mailbox(source, voices.BOXES)),
    Answer(
        "a mailbox of a few words, then a beep", "machine", lambda source: mailbox(source, voices.SHORT_BOXES)
    ),
    Answer("a mailbox, no beep", "machine", lambda source: mailbox(source, voices.BOXES, beeps=False)),
)


def listen(folder: Path, sounds: Iterator[voices.Sound]) -> list[Heard]:
    """What the ears make of each of these."""
    files = []
    for number, sound in enumerate(sounds):
        files.append(folder / f"{number}.raw")
        files[-1].write_bytes(np.round(sound * 32_767).astype("<i2").tobytes())
    heard = []
    for start in range(0, len(files), AT_ONCE):
        command = [*EARS, "--", *map(str, files[start : start + AT_ONCE])]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        heard += [Heard(**json.loads(line)) for line in told.splitlines()]
    return heard


def talk(minutes: float) -> Iterator[voices.Sound]:
    """So many minutes of talk without a pause for anybody else, utterance by utterance."""
    source, left = random.Random("talk"), minutes * 60 * voices.RATE
    while left > 0:
        sound = voices.say(source, " ".join(source.sample(voices.SMALL_TALK, 3)))
        left -= sound.size
        yield sound


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60)
    asked = parser.parse_args()
    sys.stdout.write(f"{heading()}\n\n")
    rows, keys = [], ""
    for answer in ANSWERS:
        say(answer.what)
        source = random.Random(answer.what)
        made = (np.concatenate(answer.make(source)) for _ in range(asked.answers))
        with tempfile.TemporaryDirectory() as folder:
            heard = listen(Path(folder), made)
        keys += "".join(each.keys for each in heard)
        wrong = [
            sum(getattr(each, sign) != answer.truth for each in heard) / len(heard)
            for sign in ("beep", "long_speech")
        ]
        rows.append([answer.what, *(f"{share:.0%}" for share in wrong)])
    table = Table([f"who answered, {asked.answers} of each", "`beep` wrong", "`long_speech` wrong"], rows)
    sys.stdout.write(f"{table}\n")
    say("talk")
    with tempfile.TemporaryDirectory() as folder:
        heard = listen(Path(folder), talk(asked.minutes))
    told = "".join(each.keys for each in heard)
    sys.stdout.write(
        f"Keys that nobody pressed: {len(told)} in {asked.minutes:g} minutes of talk, {len(keys)} in the answers.\n\n"
    )
    sys.stdout.write(subprocess.run(EARS, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
