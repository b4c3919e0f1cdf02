"""What the caller hears during a handoff, packet by packet: 440 Hz assistant, 660 Hz music, 880 Hz human.

The whole B2BUA over real sockets, by our engine and by rtpengine; the peers share nothing with it. What is asserted
does not depend on how busy the machine is, except for a guard at five times what is promised.
`benchmarks/handoff_gap.py` measures the gap itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from time import time

import pytest

from tests.support.audio import RATE, Samples, mu_law, tone, write_wav
from tests.support.b2bua_process import B2bua
from tests.support.engines import Carrier, Limit
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.listening import follows_in_time
from tests.support.processes import wait_until
from tests.support.recordings import in_time, place_of, sides
from tests.support.rtp_peer import Packet
from tests.support.rtp_phone import RtpCallee, RtpCaller
from tests.support.voices import FRAME, ToneStream, pitch, until_heard

CALLER, ASSISTANT, MUSIC, HUMAN = 300.0, 440.0, 660.0, 880.0
SILENCE = 0.0
TONES = (CALLER, ASSISTANT, MUSIC, HUMAN)
GUARD = 5 * 0.060
"""Seconds that a switch may leave the caller without a packet, on a machine that is busy with other things."""
ENOUGH = 25
"""Packets that make sure who is heard: half a second."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A caller who talks to the assistant, and the human who is to take over."""

    engine: Carrier
    api: Api
    call_id: str
    caller: RtpCaller
    assistant: RtpCallee
    human: RtpCallee

    def hand_off(self, destination: str, **request: object) -> dict:
        """Ask for the human."""
        return self.api.hand_off(self.call_id, destination=destination, **request)

    def until_heard(self, frequency: float, packets: int = ENOUGH) -> None:
        """Until the caller has heard so much more of a tone."""
        until_heard(self.caller.audio, frequency, packets, tones=TONES)

    def check_pauses(self, heard: list[Packet]) -> None:
        """The caller was never without a packet for long, but for what this process was held up itself."""
        streams = (self.caller.audio, self.assistant.audio, self.human.audio)
        held_up = max(stream.late for stream in streams)
        pause = max(after.at - before.at for before, after in pairwise(heard))
        assert pause < GUARD + held_up, f"{pause:.3f} s, of which {held_up:.3f} s may be our own"

    def check_stream(self, heard: list[Packet], switches: int) -> None:
        """One RTP stream without a seam where the engine makes it one, else one for each who was heard."""
        if self.engine.can(Limit.ONE_STREAM):
            check_one_stream(heard, switches)
            return
        assert len({each.ssrc for each in heard}) <= 1 + switches
        for _, stream in groupby(heard, lambda each: each.ssrc):
            packets = list(stream)
            start = packets[0].sequence - 0x8000
            # What comes in a burst, when this process was held up, rtpengine may let out in another order.
            check_order(sorted(packets, key=lambda packet: (packet.sequence - start) & 0xFFFF))

    def recorded(self) -> tuple[Samples, Samples]:
        """Left and right of the recording of the call, which is over."""
        (recording,) = self.api.ask("GET", f"/v1/calls/{self.call_id}")["recordings"]
        assert (recording["state"], recording["error"], recording["dropped"]) == ("ended", None, 0)
        path = Path(recording["path"])
        wait_until(lambda: time() - path.stat().st_mtime > 1.0, 10.0, "the file is finished")
        return sides(path)

    def finish(self) -> list[Packet]:
        """Hang up. Returns all that the caller heard."""
        self.caller.hang_up()
        wait_until(lambda: not self.api.live_calls(), 5.0, "the call is over")
        return list(self.caller.audio.heard)


@pytest.fixture(scope="module")
def stage(
    engine: Carrier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[B2bua, Api, RtpCallee, RtpCallee]]:
    """One B2BUA for all of these tests, with its assistant and its human; it must end well."""
    folder = tmp_path_factory.mktemp("audio")
    write_wav(folder / "hold.wav", tone(MUSIC, 1.0))
    with ExitStack() as stack:
        streams = [stack.enter_context(ToneStream(each)) for each in (ASSISTANT, HUMAN)]
        bot = stack.enter_context(RtpCallee(streams[0], answers=True))
        human = stack.enter_context(RtpCallee(streams[1]))
        desk = {"route": f"sip:desk@{human.address}", "encryption": "udp/rtp"}
        destinations = {
            "desk": {"method": "invite", **desk},
            "music": {"method": "invite", "hold_music": "hold.wav", **desk},
            "ringback": {"method": "invite", "hold_music": "ringback", **desk},
            "released": {
                "method": "invite",
                "hold_music": "hold.wav",
                "release_assistant": "before_dial",
                **desk,
            },
            "refer": {"method": "refer", "route": "sip:desk@sbc.example.com"},
        }
        b2bua, api = stack.enter_context(
            staged(
                folder,
                f"sip:bot@{bot.address}",
                destinations,
                route={"redial_assistant": True, "record": engine.can(Limit.RECORD)},
                media=engine.media,
            )
        )
        yield b2bua, api, bot, human


@pytest.fixture
def scene(engine: Carrier, stage: tuple[B2bua, Api, RtpCallee, RtpCallee]) -> Iterator[Scene]:
    """A call with the assistant, which the caller hears."""
    b2bua, api, bot, human = stage
    with ToneStream(CALLER) as audio, RtpCaller(audio) as caller:
        for peer in (bot, human):
            peer.forget()
        caller.talk(b2bua.address, SUPPORT)
        scene = Scene(engine, api, api.the_call(), caller, bot, human)
        scene.until_heard(ASSISTANT)
        yield scene
        for call in api.live_calls():  # of a test that failed
            api.ask("DELETE", f"/v1/calls/{call['call_id']}")


def sequence(heard: list[Packet]) -> list[float]:
    """The tones in the order they were heard, each once."""
    return [frequency for frequency, _ in groupby(pitch(each.payload, TONES) for each in heard)]


def check_order(packets: list[Packet]) -> None:
    """No seam inside a stream."""
    assert {packet.payload_type for packet in packets} == {0}
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1, "contiguous, in order, nothing twice"
        step = (after.timestamp - before.timestamp) & 0xFFFFFFFF
        if not after.marker:
            assert follows_in_time(before, after), "inside a source the timestamps are the source's"
        assert FRAME <= step < 2**31, "never back, never inside what was sent"


def check_one_stream(heard: list[Packet], switches: int) -> None:
    """One RTP stream without a seam, and a marker on each switch and nowhere else."""
    assert len({packet.ssrc for packet in heard}) == 1, "one SSRC"
    check_order(heard)
    assert sum(packet.marker for packet in heard[1:]) == switches
    first, last = heard[0], heard[-1]
    by_timestamps = ((last.timestamp - first.timestamp) & 0xFFFFFFFF) / 8000
    assert by_timestamps == pytest.approx(last.at - first.at, abs=GUARD), "timestamps follow the clock"
    tones = [pitch(packet.payload, TONES) for packet in heard]
    changes = [index for index in range(1, len(tones)) if tones[index] != tones[index - 1]]
    assert all(heard[index].marker for index in changes), "each change of tone begins with a marker"


def test_assistant_then_music_then_human(scene: Scene) -> None:
    handoff = scene.hand_off("music")
    scene.until_heard(MUSIC)
    scene.human.answer()
    scene.until_heard(HUMAN)
    scene.api.reaches(handoff, "connected")
    heard = scene.finish()
    assert sequence(heard) == [ASSISTANT, MUSIC, HUMAN], "nothing of the old after the first of the new"
    scene.check_stream(heard, switches=2)
    scene.check_pauses(heard)
    assert set(sequence(scene.human.audio.heard)) == {CALLER}, "the human heard the caller and nobody else"
    if not scene.engine.can(Limit.RECORD):
        return
    left, right = scene.recorded()
    place = place_of(in_time(heard[ENOUGH:]), right)
    assert place >= 0, "right is what the caller heard, sample by sample: assistant, music and human"
    spoken = left[place : right.size - RATE // 2]
    said = {pitch(mu_law(spoken[at : at + FRAME]), TONES) for at in range(0, spoken.size - FRAME, FRAME)}
    assert said == {CALLER}, "left is the caller all the time"


def test_assistant_then_human_and_no_music(scene: Scene) -> None:
    scene.hand_off("desk")
    scene.until_heard(ASSISTANT)
    scene.human.answer()
    scene.until_heard(HUMAN)
    heard = scene.finish()
    assert sequence(heard) == [ASSISTANT, HUMAN]
    scene.check_stream(heard, switches=1)
    scene.check_pauses(heard)


def test_a_human_who_speaks_later_is_waited_for(scene: Scene) -> None:
    scene.hand_off("desk")
    scene.human.answer(speaks_after=0.3)
    scene.until_heard(HUMAN)
    heard = scene.finish()
    assert sequence(heard) == [ASSISTANT, HUMAN], "the assistant until the human's first packet"
    scene.check_stream(heard, switches=1)
    scene.check_pauses(heard)


def test_a_human_who_says_nothing_for_long_is_silence_in_time(scene: Scene) -> None:
    handoff = scene.hand_off("desk")
    scene.human.answer(speaks_after=1.0)
    scene.api.reaches(handoff, "connected")
    scene.until_heard(HUMAN)
    heard = scene.finish()
    assert sequence(heard) == [ASSISTANT, SILENCE, HUMAN], "after half a second, and RTP goes on"
    scene.check_stream(heard, switches=2)
    scene.check_pauses(heard)


def busy(scene: Scene) -> None:
    scene.human.reply(486, "Busy Here")


def hangs_up(scene: Scene) -> None:
    scene.human.answer(speaks_after=60.0)
    wait_until(lambda: bool(scene.human.requests("ACK")), 5.0, "the answer is acknowledged")
    scene.human.hang_up()


@pytest.mark.parametrize("fails", [busy, hangs_up])
def test_a_handoff_that_fails_is_not_heard_at_all(scene: Scene, fails: Callable[[Scene], None]) -> None:
    handoff = scene.hand_off("desk")
    scene.until_heard(ASSISTANT)
    fails(scene)
    scene.api.reaches(handoff, "failed")
    scene.until_heard(ASSISTANT)
    heard = scene.finish()
    assert sequence(heard) == [ASSISTANT], "440 Hz throughout"
    scene.check_stream(heard, switches=0)
    scene.check_pauses(heard)


def test_a_refer_that_is_refused_is_not_heard_at_all(scene: Scene) -> None:
    handoff = scene.hand_off(
        "refer"
    )  # the caller answers it 200, as it does with everything, and says no more
    scene.until_heard(ASSISTANT)
    scene.api.ask("DELETE", f"/v1/handoffs/{handoff['id']}")
    scene.api.reaches(handoff, "cancelled")
    scene.until_heard(ASSISTANT)
    heard = scene.finish()
    assert sequence(heard) == [ASSISTANT]
    scene.check_stream(heard, switches=0)


def test_with_music_a_failure_brings_the_assistant_back(scene: Scene) -> None:
    handoff = scene.hand_off("music")
    scene.until_heard(MUSIC)
    busy(scene)
    scene.api.reaches(handoff, "failed")
    scene.until_heard(ASSISTANT)
    heard = scene.finish()
    assert sequence(heard) == [ASSISTANT, MUSIC, ASSISTANT]
    scene.check_stream(heard, switches=2)
    scene.check_pauses(heard)


def test_an_assistant_that_was_released_is_called_again(scene: Scene) -> None:
    handoff = scene.hand_off("released")
    scene.until_heard(MUSIC)
    busy(scene)
    scene.api.reaches(handoff, "failed")
    scene.until_heard(ASSISTANT)
    heard = scene.finish()
    assert [each for each in sequence(heard) if each in (ASSISTANT, MUSIC)] == [ASSISTANT, MUSIC, ASSISTANT]
    if scene.engine.can(Limit.ONE_STREAM):
        assert len({each.ssrc for each in heard}) == 1
    scene.check_pauses(heard)
