"""Assistant, music, human: what the caller hears of three people who talk all the time, and that it is one stream.

The single switches are told in test_native_switching; here everybody sends in time, as phones do.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from media.engine import Codec, MediaError, Prompt
from media.events import FirstPacket, MediaEvent, MediaTimeout, Quiet, Switched
from media.native import NativeEngine, NativeSettings
from tests.support.listening import (
    AGENT,
    ASSISTANT,
    MUSIC,
    SILENCE,
    assert_one_stream,
    follows_in_time,
    frame,
    heard,
    heard_until,
    samples,
    story_of,
    talking,
    tone_of,
)
from tests.support.native_calls import Bridged, becomes_true, story
from tests.support.rtp_peer import RtpPeer
from tests.support.wav_files import pcm, save, sine

THREE = (Codec.PCMU, Codec.PCMU, Codec.PCMU)


def music() -> Prompt:
    """660 Hz, from a file at 44.1 kHz."""
    with TemporaryDirectory() as folder:
        file = save(Path(folder), pcm(sine(MUSIC, 44_100, 44_100), 44_100))
        return NativeEngine(NativeSettings()).load_prompt(file)


async def told(bridged: Bridged, kind: type[MediaEvent]) -> MediaEvent:
    """The next event of a kind."""
    while not isinstance(event := await bridged.events.next(), kind):
        pass
    return event


@story(*THREE)
async def test_assistant_music_human_without_a_seam(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant, agent = people
    legs, call, prompt = bridged.legs, bridged.call, music()
    async with talking(assistant, legs[1].local_address, ASSISTANT):
        taken = await heard_until(caller, ASSISTANT)
        call.hear(legs[0], prompt)
        taken += await heard_until(caller, MUSIC, 10)
        call.hear_when_heard(legs[0], legs[2], within_ms=60_000)
        taken += await heard(caller, 10)
        async with talking(agent, legs[2].local_address, AGENT):
            assert await told(bridged, Switched) == Switched(legs[0], heard=True)
            taken += await heard_until(caller, AGENT, 10)
            call.bridge(legs[0], legs[2])
            taken += await heard(caller, 5)
    assert story_of(taken) == [ASSISTANT, MUSIC, AGENT], "each once, and nothing of it after the next"
    assert_one_stream(taken)
    first = next(each.packet for each in taken if tone_of(each.packet) == AGENT)
    assert first.payload == frame(AGENT, 0), "the human is heard from the first packet on"


@story(*THREE)
async def test_a_failed_handoff_is_not_heard_at_all(bridged: Bridged, people: list[RtpPeer]) -> None:
    """The caller keeps the assistant while the human is dialled, and the human never answers."""
    caller, assistant, _ = people
    legs = bridged.legs
    async with talking(assistant, legs[1].local_address, ASSISTANT):
        taken = await heard_until(caller, ASSISTANT)
        bridged.call.hear_when_heard(legs[0], legs[2], within_ms=60_000)
        taken += await heard(caller, 10)
        bridged.call.close_leg(legs[2])
        taken += await heard(caller, 10)
        bridged.call.bridge(legs[0], legs[1])
        taken += await heard(caller, 10)
    assert story_of(taken) == [ASSISTANT]
    assert_one_stream(taken)


@story(*THREE)
async def test_a_human_who_is_late_is_heard_after_silence_in_time(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant, agent = people
    legs = bridged.legs
    async with talking(assistant, legs[1].local_address, ASSISTANT):
        taken = await heard_until(caller, ASSISTANT)
        bridged.call.hear_when_heard(legs[0], legs[2], within_ms=60)
        assert await told(bridged, Switched) == Switched(legs[0], heard=False)
        taken += await heard_until(caller, None, 10)
        async with talking(agent, legs[2].local_address, AGENT):
            taken += await heard_until(caller, AGENT)
    assert story_of(taken) == [ASSISTANT, None, AGENT]
    assert_one_stream(taken)
    assert await told(bridged, FirstPacket) == FirstPacket(legs[2])
    assert bridged.events.empty(), "the switch was told before"


@story(*THREE)
async def test_another_wish_ends_the_wait(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant, agent = people
    legs = bridged.legs
    bridged.call.hear_when_heard(legs[0], legs[2], within_ms=60)
    bridged.call.bridge(legs[0], legs[1])
    agent.say(legs[2].local_address, frame(AGENT))
    await becomes_true(lambda: legs[2].statistics().packets_in == 1)
    assistant.say(legs[1].local_address, frame(ASSISTANT))
    assert tone_of(await caller.hear()) == ASSISTANT
    legs[0].set_media_timeout(0.1)  # longer than the wait would have been
    assert isinstance(await told(bridged, MediaTimeout), MediaTimeout)
    assert bridged.events.empty()


@story(*THREE)
async def test_only_the_last_one_waited_for_is_heard(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant, agent = people
    legs, call = bridged.legs, bridged.call
    call.hear(legs[0], None)
    call.hear_when_heard(legs[0], legs[2], within_ms=60_000)
    call.hear_when_heard(legs[0], legs[1], within_ms=60_000)
    agent.say(legs[2].local_address, frame(AGENT))
    await becomes_true(lambda: legs[2].statistics().packets_in == 1)
    assistant.say(legs[1].local_address, frame(ASSISTANT))
    told_of = story_of(await heard_until(caller, ASSISTANT, 0))
    assert told_of in ([ASSISTANT], [None, ASSISTANT]), "silence before, if there was time for a packet of it"


@story(*THREE)
async def test_two_may_wait_for_the_same_one(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant, agent = people
    legs, call = bridged.legs, bridged.call
    call.hear_when_heard(legs[0], legs[2])
    call.hear_when_heard(legs[1], legs[2])
    call.hear(legs[1], None)  # the assistant no longer waits; the caller still does
    call.hear_when_heard(legs[1], legs[2])
    said = agent.say(legs[2].local_address, frame(AGENT))
    assert (await caller.hear()).payload == said.payload
    taken = await heard_until(assistant, AGENT, 0)
    assert taken[-1].packet.payload == said.payload
    events = {await told(bridged, Switched) for _ in range(2)}
    assert events == {Switched(legs[0], heard=True), Switched(legs[1], heard=True)}


@story(*THREE)
async def test_a_digit_is_not_taken_for_speech(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, _, agent = people
    legs = bridged.legs
    bridged.call.hear_when_heard(legs[0], legs[2], within_ms=60_000)
    agent.press(legs[2].local_address, 5)
    await becomes_true(lambda: legs[2].statistics().packets_in == 8)
    said = agent.say(legs[2].local_address, frame(AGENT))
    assert (await caller.hear()).payload == said.payload


@story(*THREE)
async def test_what_the_listener_says_is_still_heard(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant, _ = people
    bridged.call.hear(bridged.legs[0], music())
    said = caller.say(bridged.legs[0].local_address, frame(AGENT))
    assert (await assistant.hear()).payload == said.payload
    bridged.call.hear(bridged.legs[0], bridged.legs[1])
    answered = assistant.say(bridged.legs[1].local_address, frame(ASSISTANT))
    taken = await heard_until(caller, ASSISTANT, 0)
    assert taken[-1].packet.payload == answered.payload


@story(*THREE)
async def test_silence_that_goes_on_is_no_switch(bridged: Bridged, people: list[RtpPeer]) -> None:
    leg = bridged.legs[0]
    bridged.call.hear(leg, None)
    taken = await heard(people[0], 3)
    bridged.call.hear(leg, None)
    taken += await heard(people[0], 5)
    packets = [each.packet for each in taken]
    assert {packet.payload for packet in packets} == {SILENCE[Codec.PCMU]}
    assert [packet.marker for packet in packets] == [True] + [False] * 7
    assert all(follows_in_time(*pair) for pair in pairwise(packets))


@story(*THREE)
async def test_one_prompt_after_another_keeps_time(bridged: Bridged, people: list[RtpPeer]) -> None:
    leg, prompt = bridged.legs[0], music()
    bridged.call.hear(leg, prompt)
    taken = await heard(people[0], 3)
    bridged.call.hear(leg, prompt)
    packets = [each.packet for each in taken + await heard(people[0], 10)]
    again = next(n for n, packet in enumerate(packets) if n and packet.marker)
    assert all(follows_in_time(*pair) for pair in pairwise(packets))
    count = min(again, len(packets) - again)
    assert (samples(packets[again : again + count]) == samples(packets[:count])).all(), "from its beginning"


@story(*THREE)
async def test_a_closed_source_leaves_its_listener_to_nobody(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant, agent = people
    legs = bridged.legs
    bridged.call.close_leg(legs[1])
    bridged.call.hear(legs[0], legs[1])  # ignored
    bridged.call.hear_when_heard(legs[0], legs[1])
    assistant.say(legs[1].local_address, frame(ASSISTANT))
    bridged.call.hear(legs[0], legs[2])
    agent.say(legs[2].local_address, frame(AGENT))
    assert tone_of(await caller.hear()) == AGENT


@story(*THREE)
async def test_what_makes_no_sense_is_refused(bridged: Bridged, people: list[RtpPeer]) -> None:
    leg = bridged.legs[0]
    other = bridged.call
    with pytest.raises(MediaError):
        other.hear(leg, leg)
    with pytest.raises(MediaError):
        other.hear_when_heard(leg, leg)
    with pytest.raises(MediaError):
        leg.watch_silence(19)


@story(Codec.PCMU, Codec.PCMU)
async def test_noise_and_comfort_noise_count_as_silence(bridged: Bridged, people: list[RtpPeer]) -> None:
    leg, assistant = bridged.legs[1], people[1]
    leg.set_remote(replace(assistant.parameters(), comfort_noise=True))
    async with talking(assistant, leg.local_address, ASSISTANT):
        assert await told(bridged, FirstPacket) == FirstPacket(leg)
        leg.watch_silence(300)
        await heard(people[0], 25)  # half a second of speech
        assert bridged.events.empty()
    stop = asyncio.get_running_loop().time()
    hiss = bytes([0xFA, 0x7A] * 80)
    while bridged.events.empty():
        assistant.say(leg.local_address, hiss)
        assistant.say(leg.local_address, b"\x40", payload_type=13)
        await asyncio.sleep(0.02)
    assert await told(bridged, Quiet) == Quiet(leg)
    assert asyncio.get_running_loop().time() - stop > 0.2, "not before its time"


@story(Codec.PCMU, Codec.PCMU)
async def test_who_is_asked_not_to_send_is_not_quiet(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = bridged.legs
    assistant.set_remote(replace(people[1].parameters(), receive=False))
    assistant.watch_silence(20)
    caller.watch_silence(150)
    assert await told(bridged, Quiet) == Quiet(caller)
    assert bridged.events.empty()
    assistant.set_remote(people[1].parameters())
    assert await told(bridged, Quiet) == Quiet(assistant)


@story(Codec.PCMU, Codec.PCMU)
async def test_a_watch_that_was_ended_tells_nothing(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = bridged.legs
    assistant.watch_silence(500)
    assistant.watch_silence(None)
    caller.watch_silence(600)
    assert await told(bridged, Quiet) == Quiet(caller)
    assert bridged.events.empty()
