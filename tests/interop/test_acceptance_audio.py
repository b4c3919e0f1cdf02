"""Raw SIP and RTP phones without telephone-event: keys as tones, the whisper packet by packet, digits as tones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from typing import NamedTuple

import pytest

from tests.support import voices
from tests.support.audio import key_tones, tone, write_wav
from tests.support.b2bua_process import B2bua
from tests.support.engines import Carrier, Limit
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.processes import wait_until
from tests.support.rtp_peer import Packet
from tests.support.rtp_phone import RtpCallee, RtpCaller
from tests.support.voices import ToneStream, pitch

CALLER, ASSISTANT, HUMAN, WHISPER = 300.0, 440.0, 880.0, 1500.0
TONES = (CALLER, ASSISTANT, HUMAN, WHISPER)
ENOUGH = 25
"""Packets that make sure who is heard."""
until_heard = partial(voices.until_heard, tones=TONES, packets=ENOUGH)


class Scene(NamedTuple):
    """A caller who talks to the assistant, and a human."""

    api: Api
    call_id: str
    caller: RtpCaller
    assistant: RtpCallee
    human: RtpCallee


@pytest.fixture(scope="module")
def stage(
    engine: Carrier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[B2bua, Api, RtpCallee, RtpCallee]]:
    """One B2BUA for all of these tests, with its assistant and its human; it must end well."""
    folder = tmp_path_factory.mktemp("acceptance")
    write_wav(folder / "whisper.wav", tone(WHISPER, 0.6))
    with ExitStack() as stack:
        streams = [stack.enter_context(ToneStream(each)) for each in (ASSISTANT, HUMAN)]
        bot = stack.enter_context(RtpCallee(streams[0], answers=True))
        human = stack.enter_context(RtpCallee(streams[1], answers=True))
        desk = {"route": f"sip:desk@{human.address}"}
        destinations: dict[str, dict[str, object]] = {
            "asked": {"whisper": "whisper.wav", "accept_key": "4", "accept_timeout": "5s", **desk},
            "star": {"hangup_on_star": True, "after_agent": "assistant", **desk},
        }
        if engine.can(Limit.MACHINES):
            destinations["beeps"] = {"detect_voicemail": "beep", **desk}
        b2bua, api = stack.enter_context(
            staged(folder, f"sip:bot@{bot.address}", destinations, media=engine.media)
        )
        yield b2bua, api, bot, human


@pytest.fixture
def scene(stage: tuple[B2bua, Api, RtpCallee, RtpCallee]) -> Iterator[Scene]:
    """A call with the assistant, which the caller hears."""
    b2bua, api, bot, human = stage
    with ToneStream(CALLER) as audio, RtpCaller(audio) as caller:
        for peer in (bot, human):
            peer.forget()
        caller.talk(b2bua.address, SUPPORT)
        scene = Scene(api, api.the_call(), caller, bot, human)
        until_heard(caller.audio, ASSISTANT)
        yield scene
        caller.hang_up()
        wait_until(lambda: not api.live_calls(), 5.0, "the call is over")


def sequence(heard: list[Packet]) -> list[float]:
    """The tones in the order they were heard, each once; 0 is silence."""
    return [frequency for frequency, _ in groupby(pitch(each.payload, TONES) for each in heard)]


def from_the_first_sound(heard: list[Packet]) -> list[float]:
    """The sequence without the silence at its start: a busy machine may begin with a packet of it."""
    played = sequence(heard)
    return played[1:] if played[:1] == [0.0] else played


def test_a_key_of_tones_gets_the_human_the_caller_and_nothing_is_bridged_before(
    engine: Carrier, scene: Scene
) -> None:
    handoff = scene.api.hand_off(scene.call_id, destination="asked")
    until_heard(scene.human.audio, WHISPER)
    until_heard(scene.human.audio, 0.0)
    scene.human.audio.say_once(key_tones("1#"))
    until_heard(scene.caller.audio, ASSISTANT)
    assert from_the_first_sound(scene.human.audio.heard) == [WHISPER, 0.0], (
        "alone, once, and other keys change nothing"
    )
    assert sequence(scene.caller.audio.heard) == [ASSISTANT]
    scene.human.audio.say_once(key_tones("4"))
    until_heard(scene.caller.audio, HUMAN)
    scene.api.reaches(handoff, "connected")
    assert from_the_first_sound(scene.human.audio.heard) == [WHISPER, 0.0, CALLER]
    assert WHISPER not in sequence(scene.caller.audio.heard)
    if engine.can(Limit.ONE_STREAM):
        assert len({each.ssrc for each in scene.human.audio.heard}) == 1


def test_a_star_of_tones_ends_the_talk_with_the_human(scene: Scene) -> None:
    handoff = scene.api.hand_off(scene.call_id, destination="star")
    until_heard(scene.caller.audio, HUMAN)
    scene.caller.audio.say_once(key_tones("5"))
    until_heard(scene.caller.audio, HUMAN)
    scene.caller.audio.say_once(key_tones("*"))
    until_heard(scene.caller.audio, ASSISTANT)
    assert scene.api.reaches(handoff, "completed")["outcome"]["source"] == "caller"


def test_a_voicemail_box_that_beeps_does_not_get_the_caller(engine: Carrier, scene: Scene) -> None:
    engine.needs(Limit.MACHINES)
    handoff = scene.api.hand_off(scene.call_id, destination="beeps")  # 880 Hz from its 200 on
    outcome = scene.api.reaches(handoff, "failed")["outcome"]
    assert (outcome["name"], outcome["code"]) == ("machine_detected", 9100)
    until_heard(scene.caller.audio, ASSISTANT)
    assert sequence(scene.caller.audio.heard) == [ASSISTANT]
    assert not any(sequence(scene.human.audio.heard)), "it heard silence"


def test_digits_go_out_as_tones_before_the_bridge(scene: Scene) -> None:
    scene.api.hand_off(scene.call_id, destination="star", post_dial_digits="1w2")
    until_heard(scene.human.audio, CALLER)
    rows = [pitch(each.payload, (697.0, 770.0, 852.0, 941.0, CALLER)) for each in scene.human.audio.heard]
    order = [frequency for frequency, group in groupby(rows) if len(list(group)) > 2]
    assert [each for each in order if each] == [697.0, 697.0, CALLER], "1, 2, and then the caller"
