"""Three in one call over real sockets: each hears the other two and not themself. And legs that change their call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from media.engine import Codec, MediaError, MediaLeg
from media.events import DtmfDigit, FirstPacket, MediaTimeout
from media.native import NativeSettings
from tests.support.audio import (
    Samples,
    a_law,
    from_a_law,
    from_mu_law,
    level,
    longest_gap,
    mu_law,
    share_of,
    sound,
    tone,
)
from tests.support.native_calls import ANY_PORTS, Bridged, Events, peers, running, story
from tests.support.rtp_peer import Packet, RtpPeer
from tests.unit.test_native_switching import assert_one_stream

LAWS = (Codec.PCMU, Codec.PCMA, Codec.PCMU)
TONES = (300.0, 700.0, 1100.0)
ALL = ((0, 1, 2), (1, 0, 2), (2, 0, 1))
"""Listener and the two that it hears."""


def speech(codec: Codec, hertz: float) -> bytes:
    """A second of a tone in a law; whole waves, so that it may be repeated."""
    return (mu_law if codec is Codec.PCMU else a_law)(tone(hertz, 1.0))


def heard(packets: Sequence[Packet], codec: Codec) -> Samples:
    """What packets sound like."""
    octets = b"".join(packet.payload for packet in packets)
    return (from_mu_law if codec is Codec.PCMU else from_a_law)(octets)


@asynccontextmanager
async def talking(
    people: list[RtpPeer], legs: Sequence[MediaLeg], hertz: Sequence[float] = TONES
) -> AsyncIterator[None]:
    """Everybody says their tone, a packet every 20 ms, until the block ends."""

    async def talk() -> None:
        loop = asyncio.get_running_loop()
        begun, said = (
            loop.time(),
            [speech(peer.codec, each) for peer, each in zip(people, hertz, strict=True)],
        )
        for number in range(1_000):
            for peer, leg, octets in zip(people, legs, said, strict=True):
                start = number % 50 * 160
                peer.say(leg.local_address, octets[start : start + 160])
            await asyncio.sleep(max(0.0, begun + 0.02 * (number + 1) - loop.time()))

    task = asyncio.ensure_future(talk())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@story(*LAWS)
async def test_each_of_three_hears_the_other_two_and_not_themself(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    legs = bridged.legs
    for listener, one, other in ALL:
        bridged.call.mix(legs[listener], legs[one], legs[other])
    async with talking(people, legs):
        every = await asyncio.gather(*(peer.hear_many(70) for peer in people))
    for me, packets in enumerate(every):
        assert_one_stream(packets)
        talk = sound(heard(packets, LAWS[me]))[-8000:]
        others = [hertz for number, hertz in enumerate(TONES) if number != me]
        shares = [share_of(talk, hertz) for hertz in others]
        assert sum(shares) > 0.95, shares
        assert min(shares) > 0.4, "both equally loud"
        assert share_of(talk, TONES[me]) < 0.01, "not themself"


@story(*LAWS)
async def test_the_mix_takes_the_place_of_what_was_heard_in_the_one_stream_and_gives_it_back(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    legs = bridged.legs
    async with talking(people, legs):
        packets = await people[0].hear_many(10)
        bridged.call.mix(legs[0], legs[1], legs[2])
        packets += await people[0].hear_many(60)
        bridged.call.bridge(legs[0], legs[2])
        packets += await people[0].hear_many(50)
    assert_one_stream(packets)
    alone = heard(packets[-40:], LAWS[0])
    assert share_of(alone, TONES[2]) > 0.95
    talk = sound(heard(packets, LAWS[0]))
    assert longest_gap(talk) <= 0.2, "a guard: five times what a switch into the mix costs"


@story(*LAWS)
async def test_who_is_left_of_two_is_heard_alone(bridged: Bridged, people: list[RtpPeer]) -> None:
    legs = bridged.legs
    bridged.call.mix(legs[0], legs[1], legs[2])
    async with talking(people, legs):
        packets = await people[0].hear_many(30)
        bridged.call.close_leg(legs[1])
        packets += await people[0].hear_many(60)
    assert_one_stream(packets)
    assert share_of(heard(packets[-45:], LAWS[0]), TONES[2]) > 0.95


@story(*LAWS)
async def test_with_nobody_left_there_is_silence_in_time(bridged: Bridged, people: list[RtpPeer]) -> None:
    legs = bridged.legs
    bridged.call.mix(legs[0], legs[1], legs[2])
    for leg in legs[1:]:
        bridged.call.close_leg(leg)
    packets = await people[0].hear_many(15)
    assert_one_stream(packets)
    assert {packet.payload for packet in packets} == {b"\xff" * 160}


@story(*LAWS)
async def test_loud_and_loud_is_held_at_the_limit(bridged: Bridged, people: list[RtpPeer]) -> None:
    legs = bridged.legs
    bridged.call.mix(legs[0], legs[1], legs[2])
    loud = [mu_law(np.full(160, 30_000, np.int16)), a_law(np.full(160, 30_000, np.int16))]
    packets: list[Packet] = []
    while not packets or level(heard(packets[-1:], Codec.PCMU)) < 31_000:
        people[1].say(legs[1].local_address, loud[1])
        people[2].say(legs[2].local_address, loud[0])
        packets.append(await people[0].hear())
        assert len(packets) < 200, "never as loud as it gets"
    assert heard(packets, Codec.PCMU).min() >= 0, "nothing wraps around"


@story(*LAWS)
async def test_a_digit_reaches_the_call_and_not_the_mix(bridged: Bridged, people: list[RtpPeer]) -> None:
    legs = bridged.legs
    bridged.call.mix(legs[0], legs[1], legs[2])
    people[1].say(legs[1].local_address)
    people[1].press(legs[1].local_address, 5)
    while not isinstance(event := await bridged.events.next(), DtmfDigit):
        pass
    assert event.digit == "5"
    assert {packet.payload_type for packet in await people[0].hear_many(10)} == {0}


@story(*LAWS)
async def test_misuse_of_a_mix_is_refused(bridged: Bridged, people: list[RtpPeer]) -> None:
    legs = bridged.legs
    for picked in [(0, 0, 1), (0, 1, 1), (0, 1, 0)]:
        with pytest.raises(MediaError):
            bridged.call.mix(*(legs[number] for number in picked))
    bridged.call.close_leg(legs[2])
    bridged.call.mix(legs[0], legs[1], legs[2])
    said = people[1].say(legs[1].local_address, b"\x2a" * 160)
    assert (await people[0].hear()).timestamp is not None, "the bridge of before is untouched"
    assert said.payload


@pytest.mark.parametrize("workers", [1, 2], ids=["on one worker", "from worker to worker"])
def test_a_leg_changes_its_call_and_keeps_its_stream(workers: int) -> None:
    async def run() -> None:
        async with running(NativeSettings(ports=(0, 0), workers=workers)) as engine:
            with peers(Codec.PCMU, Codec.PCMU) as here, peers(Codec.PCMU, Codec.PCMU) as there:
                one, other = Bridged(engine, here), Bridged(engine, there)
                assert (one.call.worker != other.call.worker) is (workers == 2)  # type: ignore[attr-defined]
                moved, kept = other.legs[0], one.legs[0]
                before = []
                for _ in range(3):
                    there[1].say(other.legs[1].local_address)
                    before.append(await there[0].hear())
                there[0].say(moved.local_address)
                await there[1].hear()
                one.call.adopt(moved, other.call)
                one.call.bridge(kept, moved)
                for _ in range(3):
                    said = here[0].say(kept.local_address, b"\x2a" * 160)
                    before.append(await there[0].hear())
                    assert before[-1].payload == said.payload
                answered = there[0].say(moved.local_address, b"\x55" * 160)
                assert (await here[0].hear()).payload == answered.payload
                assert_one_stream(before)
                assert moved.statistics().packets_in == 2
                other.call.close()
                moved.set_media_timeout(0.05)
                while not isinstance(event := await one.events.next(), MediaTimeout):
                    assert isinstance(event, FirstPacket)
                assert event.leg is moved
                free = engine.free_ports
                one.call.close()
                assert free <= engine.free_ports

    asyncio.run(run())


def test_only_an_open_leg_of_the_call_it_is_said_to_be_of_is_adopted() -> None:
    async def run() -> None:
        async with running(ANY_PORTS) as engine:
            calls = [engine.open_call(Events().put_nowait) for _ in range(2)]
            leg = calls[0].open_leg("caller")
            with pytest.raises(MediaError, match="another call"):
                calls[0].adopt(leg, calls[1])
            calls[0].close_leg(leg)
            with pytest.raises(MediaError, match="closed"):
                calls[1].adopt(leg, calls[0])
            leg = calls[0].open_leg("caller")
            calls[1].close()
            with pytest.raises(MediaError, match="closed"):
                calls[1].adopt(leg, calls[0])

    asyncio.run(run())


def test_the_laws_of_these_tests_are_those_of_the_core() -> None:
    samples = np.arange(-32_000, 32_000, 7).astype(np.int16)
    for encode, decode in [(mu_law, from_mu_law), (a_law, from_a_law)]:
        error = np.abs(decode(encode(samples)).astype(int) - samples)
        assert (error <= np.maximum(np.abs(samples.astype(int)) / 16, 16)).all()
