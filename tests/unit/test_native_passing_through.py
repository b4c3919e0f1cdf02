"""Codecs that are passed through: encoded and decoded by aiortc, untouched on the way, on clocks of their own."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from aiortc.codecs.g722 import G722Decoder, G722Encoder
from aiortc.codecs.opus import OpusDecoder, OpusEncoder
from aiortc.jitterbuffer import JitterFrame

from media.engine import Codec
from media.events import DtmfDigit, PromptEnded
from tests.support.audio import dominant_frequency
from tests.support.native_calls import Bridged, becomes_true, story
from tests.support.rtp_peer import Packet, RtpPeer

TONE = 700
CODERS = {Codec.OPUS: (OpusEncoder, OpusDecoder, 48_000), Codec.G722: (G722Encoder, G722Decoder, 16_000)}
STEP = {Codec.OPUS: 960, Codec.G722: 160}
"""Ticks of 20 ms."""
PASSED = (Codec.OPUS, Codec.G722)


def encoded(codec: Codec, packets: int = 50) -> Iterator[bytes]:
    """A second of a tone."""
    encoder, rate = CODERS[codec][0](), CODERS[codec][2]
    samples = rate // 50
    for number in range(packets):
        time = (np.arange(samples) + number * samples) / rate
        mono = np.round(8000 * np.sin(2 * np.pi * TONE * time)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(mono.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, number * samples, Fraction(1, rate)
        payloads, _ = encoder.encode(frame)
        yield from payloads


def decoded(codec: Codec, payloads: list[bytes]) -> np.ndarray:
    """8000 samples a second of what a peer hears."""
    decoder, rate = CODERS[codec][1](), CODERS[codec][2]
    decodings = [frame for payload in payloads for frame in decoder.decode(JitterFrame(payload, 0))]
    frames = [frame for frame in decodings if isinstance(frame, av.AudioFrame)]
    channels = len(frames[0].layout.channels)
    sound = np.concatenate([np.asarray(frame.to_ndarray()).reshape(-1, channels)[:, 0] for frame in frames])
    return sound[:: rate // 8000].astype(np.int16)


def stream(peer: RtpPeer, payloads: list[bytes]) -> list[Packet]:
    return [
        Packet(100 + number, 5_000 + number * STEP[peer.codec], peer.ssrc, payload, peer.payload_type)
        for number, payload in enumerate(payloads)
    ]


@pytest.mark.parametrize("codec", PASSED)
def test_a_tone_is_heard_as_it_was_encoded_under_the_listeners_number(codec: Codec) -> None:
    @story(codec, codec)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = people
        agent.payload_type = 120
        bridged.legs[1].set_remote(agent.parameters())
        said = list(encoded(codec))
        heard = []
        for packet in stream(caller, said):
            caller.send(bridged.legs[0].local_address, packet.encode())
            heard.append(await agent.hear())
        assert [packet.payload for packet in heard] == said
        assert {packet.payload_type for packet in heard} == {120}
        assert {b.timestamp - a.timestamp & 0xFFFFFFFF for a, b in pairwise(heard)} == {STEP[codec]}
        assert dominant_frequency(decoded(codec, [packet.payload for packet in heard])) == pytest.approx(
            TONE, abs=3
        )
        statistics = bridged.legs[0].statistics()
        assert (statistics.codec, statistics.lost, statistics.dropped) == (codec, 0, 0)

    told()


def test_a_silence_of_many_seconds_on_a_clock_of_48_khz_is_no_leap() -> None:
    """Opus sends next to nothing while nobody speaks: the timestamps say how long, and the stream goes on."""

    @story(Codec.OPUS, Codec.OPUS)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = people
        heard = []
        for number, timestamp in enumerate((0, 960, 960 + 48 * 1_900, 960 + 48 * 3_800)):
            packet = Packet(number, timestamp, 7, b"\xf8\xff\xfe", 96)
            caller.send(bridged.legs[0].local_address, packet.encode())
            heard.append(await agent.hear())
        steps = [b.timestamp - a.timestamp & 0xFFFFFFFF for a, b in pairwise(heard)]
        assert steps == [960, 48 * 1_900, 48 * 1_900]
        assert [packet.marker for packet in heard] == [True, False, False, False]

    told()


def test_a_key_lasts_as_long_as_its_clock_says() -> None:
    @story(Codec.OPUS, Codec.OPUS)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = people
        for number, (end, duration) in enumerate([(0, 2_400), (0x80, 4_800)]):
            payload = struct.pack("!BBH", 5, end | 10, duration)
            packet = Packet(number, 0, 7, payload, 101, marker=not number)
            caller.send(bridged.legs[0].local_address, packet.encode())
            assert (await agent.hear()).payload == payload
        while not isinstance(event := await bridged.events.next(), DtmfDigit):
            pass
        assert (event.digit, event.duration_ms) == ("5", 100)

    told()


def test_nothing_is_made_of_what_is_not_understood() -> None:
    """No prompt, no recording, no other codec: the far end hears nothing, and what waits for an end is told of it."""

    @story(Codec.OPUS, Codec.PCMU)
    async def told(bridged: Bridged, people: list[RtpPeer]) -> None:
        caller, agent = people
        with TemporaryDirectory() as folder:
            recording = bridged.call.record(bridged.legs[0], Path(folder) / "call.wav")
            for packet in stream(caller, list(encoded(Codec.OPUS, 5))):
                caller.send(bridged.legs[0].local_address, packet.encode())
            await becomes_true(lambda: bridged.legs[0].statistics().packets_in == 5)
            agent.say(bridged.legs[1].local_address)
            await becomes_true(lambda: bridged.legs[1].statistics().packets_in == 1)
            bridged.call.hear(bridged.legs[0], bridged.engine.digits("1"), loop=False)
            while not isinstance(await bridged.events.next(), PromptEnded):
                pass
            recording.finish()
            assert recording.dropped == 0
        assert [leg.statistics().packets_out for leg in bridged.legs] == [0, 0]
        for peer in people:
            with pytest.raises(BlockingIOError):
                peer.peek()

    told()
