"""The longest time without a packet that a caller has while they go from the assistant to a human.

The whole B2BUA over real sockets: a caller, an assistant and a human that share nothing with it, each with 20 ms of
PCMU after the other. The human's phone sends from its 200 on (VAD off), or begins 300 ms after it; the caller hears the
assistant or hold music meanwhile. Without any switch a packet comes every 20 ms, so 20 ms is no gap at all.
`benchmarks/handoff_gap.py` prints a table; the B2BUA has one core, the peers the other.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from report import say, spread  # noqa: E402

from tests.support.audio import tone, write_wav  # noqa: E402
from tests.support.b2bua_process import B2bua  # noqa: E402
from tests.support.handoff_stage import SUPPORT, Api, staged  # noqa: E402
from tests.support.processes import wait_until  # noqa: E402
from tests.support.rtp_peer import Packet  # noqa: E402
from tests.support.rtp_phone import RtpCallee, RtpCaller  # noqa: E402
from tests.support.voices import ToneStream, pitch  # noqa: E402

SERVER_CORE, LOAD_CORE = 1, 0
CALLER, ASSISTANT, MUSIC, HUMAN = TONES = (300.0, 440.0, 660.0, 880.0)
SOME = 15
"""Packets of each source that are waited for."""
BAR, STRETCH = 60, 40
"""Milliseconds that the median should be under, for a phone whose VAD is off."""
VARIANTS = [(destination, late) for destination in ("plain", "music") for late in (0.0, 0.3)]


@dataclass(frozen=True, slots=True)
class Switch:
    """One handoff, in ms."""

    gap: float
    """The longest time between two packets to the caller, from the request to the human's first half second."""
    old_to_new: float
    """From the last packet of the old source to the human's first."""
    delay: float
    """From the human's first packet being sent to its reaching the caller."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running B2BUA with its peers."""

    b2bua: B2bua
    api: Api
    bot: RtpCallee[ToneStream]
    human: RtpCallee[ToneStream]


@contextmanager
def stage() -> Iterator[Stage]:
    """All of it, on two cores."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        write_wav(folder / "hold.wav", tone(MUSIC, 1.0))
        bot, human = (
            stack.enter_context(RtpCallee(stack.enter_context(ToneStream(each)), answers=each == ASSISTANT))
            for each in (ASSISTANT, HUMAN)
        )
        plain = {"route": f"sip:desk@{human.address}"}
        destinations = {"plain": plain, "music": {**plain, "hold_music": "hold.wav"}}
        started = staged(
            folder, f"sip:bot@{bot.address}", destinations, log_level="warning", cpus=[SERVER_CORE]
        )
        yield Stage(*stack.enter_context(started), bot, human)


def hand_over(stage: Stage, destination: str, late: float) -> Switch:
    """One call that is handed over."""
    with ToneStream(CALLER) as audio, RtpCaller(audio) as caller:
        for peer in (stage.bot, stage.human):
            peer.forget()
        caller.talk(stage.b2bua.address, SUPPORT)
        until_heard(audio, ASSISTANT)
        start = len(audio.heard)
        stage.api.hand_off(stage.api.the_call(), destination=destination)
        until_heard(audio, ASSISTANT if destination == "plain" else MUSIC)
        stage.human.answer(speaks_after=late)
        until_heard(audio, HUMAN)
        caller.hang_up()
        wait_until(lambda: not stage.api.live_calls(), 5.0, "the call is over")
        said = stage.human.audio.first_said
        assert said is not None
        return judged(audio.heard[start:], said)


def until_heard(audio: ToneStream, frequency: float) -> None:
    """Until the caller has heard some packets of a tone."""
    start = len(audio.heard)

    def look() -> bool:
        return sum(pitch(each.payload, TONES) == frequency for each in audio.heard[start:]) >= SOME

    wait_until(look, 10.0, f"the caller hears {frequency:g} Hz")


def judged(heard: list[Packet], said: float) -> Switch:
    """What one handoff was like."""
    first = next(n for n, each in enumerate(heard) if pitch(each.payload, TONES) == HUMAN)
    return Switch(
        gap=1000 * max(after.at - before.at for before, after in pairwise(heard)),
        old_to_new=1000 * (heard[first].at - heard[first - 1].at),
        delay=1000 * (heard[first].at - said),
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="handoffs of each kind")
    rounds = parser.parse_args().rounds
    os.sched_setaffinity(0, {LOAD_CORE})
    measured: dict[tuple[str, float], list[Switch]] = {variant: [] for variant in VARIANTS}
    with stage() as on:
        for _ in range(rounds):
            for variant, switches in measured.items():
                switches.append(hand_over(on, *variant))
    say(
        "| the caller hears before | the human speaks | longest gap ms | old to new ms | human to caller ms |"
    )
    say("|---|---|---|---|---|")
    for (destination, late), switches in measured.items():
        before = {"plain": "the assistant", "music": "hold music"}[destination]
        when = f"{late * 1000:.0f} ms after the 200" if late else "from the 200 on"
        columns = [
            spread([getattr(each, name) for each in switches], "{:.1f}")
            for name in ("gap", "old_to_new", "delay")
        ]
        say(f"| {before} | {when} | {' | '.join(columns)} |")
    worst = max(statistics.median(each.gap for each in measured[variant]) for variant in VARIANTS)
    say(f"median of the longest gap: {worst:.1f} ms at most; it should be under {BAR} ms (stretch {STRETCH})")
    if worst >= BAR:
        sys.exit(1)


if __name__ == "__main__":
    main()
