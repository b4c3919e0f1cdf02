"""Who a leg hears, one way: another leg, hold music, silence in time; and the switch to a human's first word.

Over real sockets. The listener's stream stays one stream throughout: one SSRC, no gap in the numbers.
"""

from __future__ import annotations

import asyncio
import math
import struct
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from media.engine import Codec, MediaError
from media.events import FirstPacket, PromptEnded, Quiet, Switched
from tests.support.listening import follows_in_time
from tests.support.native_calls import Bridged, Events, becomes_true, no_more_is_sent, peers, running, story
from tests.support.rtp_peer import Packet, RtpPeer

THREE = (Codec.PCMU, Codec.PCMA, Codec.PCMU)
ASSISTANT, AGENT = b"\x2a" * 160, b"\x55" * 160


def write_tone(path: Path, rate: int, *, hertz: float = 660.0, channels: int = 1, width: int = 2) -> Path:
    """One second of a tone, as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        for at in range(rate):
            sample = math.sin(2 * math.pi * hertz * at / rate) * 0.5
            octets = (
                struct.pack("<h", int(sample * 32767)) if width == 2 else bytes([int(sample * 127) + 128])
            )
            file.writeframesraw(octets * channels)
    return path


def decoded(packets: list[Packet]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The sound of mu-law packets."""
    octets = ~np.frombuffer(b"".join(packet.payload for packet in packets), dtype=np.uint8)
    magnitude = (((octets & 15).astype(int) << 3) + 132 << ((octets >> 4) & 7)) - 132
    return np.where(octets & 128, -magnitude, magnitude).astype(float)


def pitch(packets: list[Packet]) -> float:
    """The strongest frequency, Hz."""
    sound = decoded(packets)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * 8000 / len(sound))


def assert_one_stream(packets: list[Packet]) -> None:
    assert len({packet.ssrc for packet in packets}) == 1
    for before, after in pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert 0 < (after.timestamp - before.timestamp) & 0xFFFFFFFF < 8000 * 5


async def next_of(events: Events, kind: type[object]) -> object:
    while not isinstance(event := await events.next(), kind):
        pass
    return event


@pytest.mark.parametrize(
    ("rate", "channels", "width"),
    [(8000, 1, 2), (8000, 1, 1), (16000, 1, 2), (44100, 2, 2), (48000, 1, 2)],
)
def test_hold_music_of_any_usual_rate_keeps_its_pitch(
    tmp_path: Path, rate: int, channels: int, width: int
) -> None:
    async def run() -> None:
        async with running() as engine:
            with peers(Codec.PCMU) as people:
                bridged = Bridged(engine, people)
                prompt = engine.load_prompt(
                    write_tone(tmp_path / "hold.wav", rate, channels=channels, width=width)
                )
                assert 990 <= prompt.duration_ms <= 1010
                bridged.call.hear(bridged.legs[0], prompt)
                packets = await people[0].hear_many(40)
                assert abs(pitch(packets) - 660) < 12
                assert_one_stream(packets)
                assert all(follows_in_time(*pair) for pair in pairwise(packets))

    asyncio.run(run())


def test_a_loop_has_no_click(tmp_path: Path) -> None:
    """660 whole waves in a second: around the seam no step is larger than the wave's own steepest."""

    async def run() -> None:
        async with running() as engine:
            with peers(Codec.PCMU) as people:
                bridged = Bridged(engine, people)
                prompt = engine.load_prompt(write_tone(tmp_path / "hold.wav", 8000))
                bridged.call.hear(bridged.legs[0], prompt)
                sound = decoded(await people[0].hear_many(60))
                steepest = 2 * math.pi * 660 / 8000 * 32767 * 0.5
                assert np.abs(np.diff(sound)).max() < steepest * 1.15

    asyncio.run(run())


@pytest.mark.parametrize("content", [b"", b"RIFF\0\0\0\0WAVE", b"not a wave file at all"])
def test_what_is_no_wave_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    async def run() -> None:
        path = tmp_path / "broken.wav"
        path.write_bytes(content)
        async with running() as engine:
            with pytest.raises(MediaError, match=r"broken\.wav"):
                engine.load_prompt(path)

    asyncio.run(run())


@story(*THREE)
async def test_the_old_source_is_heard_until_the_first_packet_of_the_new(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant, agent = people
    legs = bridged.legs
    heard = []
    for _ in range(3):
        assistant.say(legs[1].local_address, ASSISTANT)
        heard.append(await caller.hear())
    bridged.call.hear(legs[2], legs[0])
    bridged.call.hear_when_heard(legs[0], legs[2], within_ms=60_000)
    for _ in range(3):
        assistant.say(legs[1].local_address, ASSISTANT)
        heard.append(await caller.hear())
    assert len({packet.payload for packet in heard}) == 1
    said = [agent.say(legs[2].local_address, AGENT) for _ in range(3)]
    assert await next_of(bridged.events, Switched) == Switched(legs[0], heard=True)
    assistant.say(legs[1].local_address, ASSISTANT)
    heard += await caller.hear_many(3)
    assert [packet.payload for packet in heard[-3:]] == [packet.payload for packet in said], "not one is lost"
    assert heard[-3].marker
    assert_one_stream(heard)
    agent.say(legs[2].local_address, AGENT)
    assert (await caller.hear()).payload == AGENT, "nothing of the assistant came after it"


@story(*THREE)
async def test_two_may_hear_the_caller_each_in_its_own_codec(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant, agent = people
    bridged.call.hear(bridged.legs[2], bridged.legs[0])
    said = caller.say(bridged.legs[0].local_address, bytes(range(160)))
    assert (await agent.hear()).payload == said.payload
    to_assistant = await assistant.hear()
    assert to_assistant.payload != said.payload
    assert to_assistant.payload_type == 8


@story(*THREE)
async def test_a_human_who_is_silent_is_waited_for_and_then_silence_goes_on(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant, agent = people
    legs = bridged.legs
    assistant.say(legs[1].local_address, ASSISTANT)
    heard = [await caller.hear()]
    bridged.call.hear_when_heard(legs[0], legs[2], within_ms=40)
    assert await next_of(bridged.events, Switched) == Switched(legs[0], heard=False)
    heard += await caller.hear_many(5)
    assert {packet.payload for packet in heard[1:]} == {b"\xff" * 160}
    agent.say(legs[2].local_address, AGENT)
    while heard[-1].payload != AGENT:
        heard.append(await caller.hear())
    assert_one_stream(heard)


@story(*THREE)
async def test_back_to_the_assistant_as_if_nothing_had_happened(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant, _ = people
    legs = bridged.legs
    bridged.call.hear(legs[0], None)
    heard = await caller.hear_many(3)
    bridged.call.bridge(legs[0], legs[1])
    assistant.say(legs[1].local_address, ASSISTANT)
    while heard[-1].payload == b"\xff" * 160:
        heard.append(await caller.hear())
    assert heard[-1].marker
    said = caller.say(legs[0].local_address)
    assert (await assistant.hear()).payload_type == 8
    assert said.payload_type == 0
    assert_one_stream(heard)


@story(Codec.PCMU, Codec.PCMU)
async def test_the_end_of_talking_is_told(bridged: Bridged, people: list[RtpPeer]) -> None:
    loud = bytes([0x20, 0xA0] * 80)
    leg = bridged.legs[1]
    people[1].say(leg.local_address, loud)
    assert await bridged.events.next() == FirstPacket(leg)
    leg.watch_silence(60)
    for _ in range(3):
        people[1].say(leg.local_address, loud)
    assert await bridged.events.next() == Quiet(leg)
    with pytest.raises(MediaError):
        leg.watch_silence(5)


def test_a_prompt_played_once_says_when_it_is_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with running() as engine:
            with peers(Codec.PCMA) as people:
                bridged = Bridged(engine, people)
                path = tmp_path / "short.wav"
                with wave.open(str(path), "wb") as file:
                    file.setparams((1, 2, 8000, 0, "NONE", ""))
                    file.writeframes(struct.pack("<h", 8000) * 400)
                bridged.call.hear(bridged.legs[0], engine.load_prompt(path), loop=False)
                assert await next_of(bridged.events, PromptEnded) == PromptEnded(bridged.legs[0])
                packets = await people[0].hear_many(6)
                assert packets[-1].payload == b"\xd5" * 160

    asyncio.run(run())


def test_hold_stops_the_music_and_resuming_goes_on_in_time(tmp_path: Path) -> None:
    async def run() -> None:
        async with running() as engine:
            with peers(Codec.PCMU) as people:
                bridged = Bridged(engine, people)
                leg = bridged.legs[0]
                bridged.call.hear(leg, engine.ringback())
                heard = await people[0].hear_many(2)
                leg.set_remote(people[0].parameters(send=False))
                sent = await no_more_is_sent(leg)
                leg.set_remote(people[0].parameters())
                await becomes_true(lambda: leg.statistics().packets_out > sent + 3)
                heard += await people[0].hear_many(4)
                assert_one_stream(heard)

    asyncio.run(run())
