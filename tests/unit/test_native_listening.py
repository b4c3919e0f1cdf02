"""What the native engine hears in a peer's audio when asked, and digits that it sends; over loopback sockets."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from media.engine import Codec, MachineSign, MediaError, Ringback
from media.events import AnswerJudged, DtmfDigit, FirstPacket, PromptEnded
from media.native import NativeEngine, NativeSettings
from tests.support.audio import dominant_frequency, key_tones, mu_law, share_of, tone
from tests.support.listening import follows_in_time, heard, samples
from tests.support.native_calls import Bridged, Events, becomes_true, running, story
from tests.support.rtp_peer import Packet, RtpPeer

ROOM = 20
"""Packets that a socket's buffer surely holds."""
KEYS = ("123A", "456B", "789C", "*0#D")


async def say(peer: RtpPeer, bridged: Bridged, sound: NDArray[np.int16]) -> None:
    """Send sound to the peer's leg, faster than anybody talks; returns when it was heard."""
    [leg] = bridged.legs
    before = leg.statistics().packets_in
    for sent, start in enumerate(range(0, sound.size - 159, 160), 1):
        peer.say(leg.local_address, mu_law(sound[start : start + 160]))
        if sent % ROOM == 0 or start + 319 > sound.size:
            await becomes_true(lambda sent=sent: leg.statistics().packets_in >= before + sent)  # type: ignore[misc]


async def next_of(events: Events, kind: type) -> object:
    """The next event of that kind."""
    while not isinstance(event := await events.next(), kind):
        pass
    return event


@story(Codec.PCMU)
async def test_every_key_that_comes_as_tones_is_told_once(bridged: Bridged, people: list[RtpPeer]) -> None:
    [caller], [leg] = people, bridged.legs
    leg.listen_for_keys(True)
    keys = "0123456789*#ABCD"
    await say(caller, bridged, key_tones(keys))
    assert await bridged.events.next() == FirstPacket(leg)
    told = [await bridged.events.next() for _ in keys]
    assert [event.digit for event in told if isinstance(event, DtmfDigit) and event.in_band] == list(keys)
    await say(caller, bridged, tone(0, 0.5))
    await asyncio.sleep(0.05)
    assert bridged.events.empty()


@story(Codec.PCMU)
async def test_nobody_listens_who_was_not_asked_or_is_no_more(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    [caller], [leg] = people, bridged.legs
    await say(caller, bridged, key_tones("12"))
    leg.listen_for_keys(True)
    leg.listen_for_keys(False)
    await say(caller, bridged, key_tones("34"))
    leg.listen_for_keys(True)
    await say(caller, bridged, key_tones("5"))
    digit = await next_of(bridged.events, DtmfDigit)
    assert isinstance(digit, DtmfDigit)
    assert (digit.digit, digit.in_band) == ("5", True)


@story(Codec.PCMU)
async def test_a_lost_and_an_overtaken_packet_make_no_second_key(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    [caller], [leg] = people, bridged.legs
    leg.listen_for_keys(True)
    sound = mu_law(key_tones("7", 0.3, 0.1))
    packets = []
    for start in range(0, len(sound) - 159, 160):
        packets.append(
            Packet(caller.sequence, caller.timestamp, caller.ssrc, sound[start : start + 160], 0).encode()
        )
        caller.sequence, caller.timestamp = caller.sequence + 1, caller.timestamp + 160
    packets[5], packets[6] = packets[6], packets[5]
    del packets[9]
    for packet in packets:
        caller.send(leg.local_address, packet)
    await say(caller, bridged, key_tones("8"))
    assert [await next_of(bridged.events, DtmfDigit) for _ in "78"] == [
        DtmfDigit(leg, "7", 31, in_band=True),
        DtmfDigit(leg, "8", 31, in_band=True),
    ]


@story(Codec.PCMU)
async def test_a_machine_is_told_by_its_beep(bridged: Bridged, people: list[RtpPeer]) -> None:
    [caller], [leg] = people, bridged.legs
    leg.judge_answer(MachineSign.BEEP)
    await say(caller, bridged, np.concatenate([tone(0, 0.2), tone(1000, 0.4)]))
    assert await next_of(bridged.events, AnswerJudged) == AnswerJudged(leg, machine=True)
    await say(caller, bridged, tone(1000, 0.4))
    await asyncio.sleep(0.05)
    assert bridged.events.empty(), "once"


@story(Codec.PCMU)
async def test_a_machine_is_told_by_its_long_speech_and_not_when_nobody_asks_any_more(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    [caller], [leg] = people, bridged.legs
    syllables = np.arange(32_000) % 3200 < 2400
    speech = (np.random.default_rng(1).normal(0, 4000, 32_000) * syllables).astype(np.int16)
    leg.judge_answer(MachineSign.LONG_SPEECH)
    leg.judge_answer(None)
    await say(caller, bridged, speech)
    await asyncio.sleep(0.1)
    assert await bridged.events.next() == FirstPacket(leg)
    assert bridged.events.empty()
    leg.judge_answer(MachineSign.LONG_SPEECH)
    await asyncio.sleep(0.05)
    await say(caller, bridged, speech)
    assert await bridged.events.next() == AnswerJudged(leg, machine=True)


@story(Codec.PCMU)
async def test_who_sends_nothing_at_all_is_taken_for_a_person(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    [leg] = bridged.legs
    leg.judge_answer(MachineSign.LONG_SPEECH)
    assert await bridged.events.next() == AnswerJudged(leg, machine=False)


@story(Codec.PCMA)
async def test_digits_are_events_for_who_takes_them(bridged: Bridged, people: list[RtpPeer]) -> None:
    async with running() as engine:
        [agent], [leg] = people, bridged.legs
        bridged.call.hear(leg, engine.digits("1w#"), loop=False)
        taken = [each.packet for each in await heard(agent, 50)]
    assert await next_of(bridged.events, PromptEnded) == PromptEnded(leg)
    assert len({packet.ssrc for packet in taken}) == 1
    assert all((after.sequence - before.sequence) & 0xFFFF == 1 for before, after in pairwise(taken))
    events = [packet for packet in taken if packet.payload_type == 101]
    for code, packets in ((1, events[:7]), (11, events[7:])):
        assert [packet.payload for packet in packets] == [
            bytes([code, 9, *divmod(160 * n, 256)]) for n in range(1, 5)
        ] + [bytes([code, 0x89, 3, 32])] * 3
        assert len({packet.timestamp for packet in packets}) == 1
        assert [packet.marker for packet in packets[1:]] == [False] * 6
        assert packets[0].marker
    apart = (events[7].timestamp - events[0].timestamp) & 0xFFFFFFFF
    assert apart == pytest.approx(8 * 700, abs=8 * 40), "tone, pause, half a second"
    assert all(packet.payload_type == 8 for packet in taken if packet not in events)


def test_digits_are_tones_for_who_does_not() -> None:
    async def run() -> None:
        async with running() as engine:
            with RtpPeer(telephone_event=None) as agent:
                bridged = Bridged(engine, [agent])
                bridged.call.hear(bridged.legs[0], engine.digits("5D"), loop=False)
                taken = [each.packet for each in await heard(agent, 20)]
                assert await next_of(bridged.events, PromptEnded) == PromptEnded(bridged.legs[0])
        assert {packet.payload_type for packet in taken} == {0}
        assert all(follows_in_time(*pair) for pair in pairwise(taken))
        sound = samples(taken).astype(np.int16)
        for key, row, column in ((sound[:800], 770, 1336), (sound[1600:2400], 941, 1633)):
            assert share_of(key, row) + share_of(key, column) > 0.95
            assert share_of(key, row) > 0.3
        assert not sound[820:1600].any()

    asyncio.run(run())


@pytest.mark.parametrize("text", ["", "12x", "1 2", "1" * 65])
def test_what_are_no_digits(text: str) -> None:
    with pytest.raises(MediaError, match="digits are"):
        NativeEngine(NativeSettings(ports=(0, 0))).digits(text)


@pytest.mark.parametrize("country", Ringback)
def test_every_country_has_a_ringing_tone(country: Ringback) -> None:
    engine = NativeEngine(NativeSettings(ports=(0, 0)))
    assert 3000 <= engine.ringback(country).duration_ms <= 6000
    assert engine.ringback(country) is engine.ringback(country), "made once"


def test_the_british_phone_rings_twice() -> None:
    async def run() -> None:
        async with running() as engine:
            with RtpPeer() as caller:
                bridged = Bridged(engine, [caller])
                bridged.call.hear(bridged.legs[0], engine.ringback(Ringback.UK))
                sound = samples([each.packet for each in await heard(caller, 52)]).astype(np.int16)
        first, pause, second = sound[:3200], sound[3200:4800], sound[4800:8000]
        assert not pause.any()
        for ring in (first, second):
            assert share_of(ring, 400) + share_of(ring, 450) > 0.95
            assert dominant_frequency(ring) in (pytest.approx(400, abs=3), pytest.approx(450, abs=3))

    asyncio.run(run())
