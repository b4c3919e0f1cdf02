"""Prompts of the native engine, from the file to the packets on a loopback socket."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from numpy.typing import NDArray

from media.engine import G711, Codec, MediaError, Prompt
from media.events import DtmfDigit, FirstPacket, PromptEnded
from media.native import NativeEngine, NativeSettings
from tests.support.audio import dominant_frequency, mu_law, share_of
from tests.support.listening import MUSIC, SILENCE, assert_one_stream, heard, samples, tone_of
from tests.support.native_calls import Bridged, no_more_is_sent, peers, running, story
from tests.support.rtp_peer import Packet, RtpPeer
from tests.support.wav_files import A_LAW, MU_LAW, floats, pcm, riff, save, sine

LOUD = 0.4 * 32767
"""Peak of `sine`."""
MU_STEP = 1024
"""Widest step of either law at that level, in sample units."""


def prompts() -> NativeEngine:
    """Loading needs no running engine."""
    return NativeEngine(NativeSettings(ports=(0, 0)))


def play(path: Path, *, codec: Codec = Codec.PCMU, packets: int = 25, loop: bool = True) -> NDArray[np.int32]:
    """What a lone listener hears of a file."""

    async def run() -> NDArray[np.int32]:
        async with running() as engine:
            with peers(codec) as people:
                bridged = Bridged(engine, people)
                bridged.call.hear(bridged.legs[0], engine.load_prompt(path), loop=loop)
                taken = [each.packet for each in await heard(people[0], packets)]
                assert {packet.payload_type for packet in taken} == {people[0].payload_type}
                assert {len(packet.payload) for packet in taken} == {160}
                return samples(taken)

    return asyncio.run(run())


KINDS = {
    "8 kHz": pcm(sine(MUSIC, 8000), 8000),
    "11.025 kHz": pcm(sine(MUSIC, 11_025, 11_025), 11_025),
    "16 kHz": pcm(sine(MUSIC, 16_000, 16_000), 16_000),
    "44.1 kHz": pcm(sine(MUSIC, 44_100, 44_100), 44_100),
    "48 kHz": pcm(sine(MUSIC, 48_000, 48_000), 48_000),
    "44.1 kHz stereo": pcm(sine(MUSIC, 44_100, 44_100, 0.8), 44_100, channels=2),
    "8 bit": pcm(sine(MUSIC, 8000), 8000, bits=8),
    "24 bit": pcm(sine(MUSIC, 48_000, 48_000), 48_000, bits=24),
    "float": floats(sine(MUSIC, 16_000, 16_000), 16_000),
    "mu-law": riff(
        mu_law(np.round(sine(MUSIC, 8000) * 32767).astype(np.int16)), tag=MU_LAW, bits=8, rate=8000
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_any_usual_kind_sounds_as_it_should(tmp_path: Path, kind: str) -> None:
    sound = play(save(tmp_path, KINDS[kind])).astype(np.int16)
    assert abs(dominant_frequency(sound) - MUSIC) < 2
    assert share_of(sound, MUSIC) > 0.99
    assert abs(int(np.abs(sound).max()) - LOUD) < MU_STEP, "as loud as in the file"


def test_an_a_law_file_reaches_an_a_law_listener_as_it_is(tmp_path: Path) -> None:
    octets = bytes(range(0x100)) * 5
    path = save(tmp_path, riff(octets, tag=A_LAW, bits=8, rate=8000))
    file = samples([Packet(0, 0, 0, octets, payload_type=8)])
    assert list(play(path, codec=Codec.PCMA, packets=8, loop=False)) == list(file)


def test_what_eight_kilohertz_cannot_carry_is_gone(tmp_path: Path) -> None:
    both = sine(MUSIC, 48_000, 48_000) + sine(6000, 48_000, 48_000)
    sound = play(save(tmp_path, pcm(both, 48_000))).astype(np.int16)
    assert share_of(sound, MUSIC) > 0.99, "6 kHz would fold over to 2 kHz"


@pytest.mark.parametrize("codec", G711)
def test_a_loop_that_fits_is_repeated_sample_by_sample(tmp_path: Path, codec: Codec) -> None:
    path = save(tmp_path, pcm(sine(MUSIC, 1200), 8000))
    sound = play(path, codec=codec, packets=23)
    assert np.array_equal(sound[:1200], sound[1200:2400])
    assert np.array_equal(sound[:1200], sound[2400:3600])


@pytest.mark.parametrize("more", [10, 17, 20, 30])
def test_a_loop_that_does_not_fit_is_joined_without_a_click(tmp_path: Path, more: int) -> None:
    """200 Hz, cut off in the middle of a wave: a plain cut would jump, up to the whole amplitude."""
    path = save(tmp_path, pcm(sine(200, 1000 + more), 8000))
    sound = play(path, packets=30)
    slope = LOUD * 2 * np.pi * 200 / 8000
    assert np.abs(np.diff(sound)).max() < slope + MU_STEP
    bend = slope * 2 * np.pi * 200 / 8000
    assert np.abs(np.diff(sound, n=2)).max() < bend + 2 * MU_STEP


def test_a_prompt_shorter_than_a_packet_is_looped_too(tmp_path: Path) -> None:
    path = save(tmp_path, pcm(sine(MUSIC, 400)[:97], 8000))
    assert tone_of(Packet(0, 0, 0, b"\0" * 160)) is not None
    assert np.abs(play(path, packets=5)).max() > LOUD / 2


def beep() -> Prompt:
    """660 Hz for 250 ms: twelve packets and a half."""
    with TemporaryDirectory() as folder:
        return prompts().load_prompt(save(Path(folder), pcm(sine(MUSIC, 2000), 8000)))


@story(Codec.PCMU)
async def test_once_ends_in_an_event_and_silence_in_time(bridged: Bridged, people: list[RtpPeer]) -> None:
    [listener], [leg] = people, bridged.legs
    prompt = beep()
    assert prompt.duration_ms == 250
    bridged.call.hear(leg, prompt, loop=False)
    assert await bridged.events.next() == PromptEnded(leg)
    taken = [each.packet for each in await heard(listener, 20)]
    assert [tone_of(packet) for packet in taken] == [MUSIC] * 13 + [None] * 7
    assert [packet.payload for packet in taken[13:]] == [SILENCE[Codec.PCMU]] * 7
    assert bridged.events.empty()


@story(Codec.PCMU, Codec.PCMA)
async def test_one_prompt_is_heard_by_many_in_their_own_law(bridged: Bridged, people: list[RtpPeer]) -> None:
    ringback = prompts().ringback()
    for leg in bridged.legs:
        bridged.call.hear(leg, ringback)
    for peer in people:
        taken = [each.packet for each in await heard(peer, 40)]
        assert {packet.payload_type for packet in taken} == {peer.payload_type}
        sound = samples(taken).astype(np.int16)
        assert share_of(sound, 440) > 0.4
        assert share_of(sound, 480) > 0.4


def test_ringback_is_two_seconds_in_six() -> None:
    assert prompts().ringback().duration_ms == 6000


@story(Codec.PCMU)
async def test_it_goes_to_the_address_of_the_sdp_and_then_to_the_one_heard(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    [caller], [leg] = people, bridged.legs
    with RtpPeer() as named:
        leg.set_remote(caller.parameters(remote=named.address))
        bridged.call.hear(leg, None)
        before = [each.packet for each in await heard(named, 3)]
        caller.say(leg.local_address)
        after = await caller.hear()
    assert after.ssrc == before[0].ssrc
    assert after.sequence > before[-1].sequence or after.sequence < 100


@story(Codec.PCMU)
async def test_digits_are_told_while_a_prompt_plays(bridged: Bridged, people: list[RtpPeer]) -> None:
    [caller], [leg] = people, bridged.legs
    bridged.call.hear(leg, prompts().ringback())
    caller.press(leg.local_address, 5)
    assert await bridged.events.next() == FirstPacket(leg)
    assert await bridged.events.next() == DtmfDigit(leg, "5", 120)
    assert len(await heard(caller, 3)) == 3


@story(Codec.PCMU)
async def test_a_held_listener_hears_nothing_and_then_the_same_stream(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    [caller], [leg] = people, bridged.legs
    bridged.call.hear(leg, None)
    before = await heard(caller, 3)
    leg.set_remote(caller.parameters(send=False))
    sent = await no_more_is_sent(leg)
    before += await heard(caller, sent - 3)
    leg.set_remote(caller.parameters())
    after = await heard(caller, 3)
    assert_one_stream(before)
    first, last = after[0].packet, before[-1].packet
    assert (first.sequence, first.marker) == ((last.sequence + 1) & 0xFFFF, True)
    assert (first.timestamp - last.timestamp) & 0xFFFFFFFF > 5 * 160, "the clock went on"


@story(Codec.PCMU)
async def test_the_codec_may_change_while_a_prompt_plays(bridged: Bridged, people: list[RtpPeer]) -> None:
    [caller], [leg] = people, bridged.legs
    bridged.call.hear(leg, None)
    await caller.hear()
    leg.set_remote(replace(caller.parameters(), codec=Codec.PCMA, payload_type=8))
    async with asyncio.timeout(5):
        while (packet := await caller.hear()).payload_type == 0:
            assert packet.payload == SILENCE[Codec.PCMU]
    assert packet.payload == SILENCE[Codec.PCMA]


UNUSABLE = {
    "no file": None,
    "empty": b"",
    "something else": b"ID3\x04" + bytes(5000),
    "no sound": pcm(sine(MUSIC, 0), 8000),
    "no data chunk": pcm(sine(MUSIC, 0), 8000)[:36],
    "another codec": riff(bytes(330), tag=0x31, bits=8, rate=8000),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, kind: str) -> None:
    data = UNUSABLE[kind]
    path = tmp_path / "music.wav" if data is None else save(tmp_path, data, "music.wav")
    with pytest.raises(MediaError, match=re.escape(str(path))):
        prompts().load_prompt(path)
