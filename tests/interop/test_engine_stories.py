"""What RTP peers hear of each other, by our engine and by a real rtpengine: the same stories.

What our engine promises beyond, to the packet, is told in the `test_native_*` of tests/unit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from media.engine import Address, Codec, MediaError
from media.events import DtmfDigit, FirstPacket, MediaTimeout, PromptEnded, Switched
from media.srtp import CryptoSuite
from tests.support.audio import Samples, a_law, key_tones, mu_law, tone, write_wav
from tests.support.engines import Carrier, Limit
from tests.support.listening import (
    AGENT,
    ASSISTANT,
    MUSIC,
    PERIOD,
    Heard,
    assert_one_stream,
    heard_until,
    press,
    story_of,
    talking,
)
from tests.support.native_calls import Bridged, peers
from tests.support.rtp_peer import RtpPeer
from tests.support.srtp_peer import PROFILES, SrtpPeer, srtp_peers

PCMU, PCMA = Codec.PCMU, Codec.PCMA
WAYS = ("native", "rtpengine", "rtpengine-udp", "rtpengine-ws")
"""By whom, and in which ways it is told what to do."""


Told = Callable[[Bridged, list[RtpPeer]], Awaitable[None]]


def play(engine: Carrier, told: Told, *codecs: Codec) -> None:
    """A call between peers of these codecs."""

    async def run() -> None:
        async with engine.running() as running:
            with peers(*codecs) as people:
                await told(Bridged(running, people), people)

    asyncio.run(run())


def check_story(engine: Carrier, taken: list[Heard], *tones: int | None) -> None:
    """These tones were heard one after the other, in one stream where the engine makes it one."""
    assert story_of(taken) == list(tones), "nothing of the old after the first of the new"
    if engine.can(Limit.ONE_STREAM):
        assert_one_stream(taken)


@pytest.mark.parametrize("engine", WAYS, indirect=True)
@pytest.mark.parametrize("codecs", [(PCMU, PCMU), (PCMA, PCMA), (PCMU, PCMA)])
def test_two_peers_hear_each_other(engine: Carrier, codecs: tuple[Codec, Codec]) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (one, other), legs = people, call.legs
        async with (
            talking(one, legs[0].local_address, ASSISTANT),
            talking(other, legs[1].local_address, AGENT),
        ):
            taken = await heard_until(other, ASSISTANT)
            assert {each.packet.payload_type for each in taken} == {other.payload_type}
            await heard_until(one, AGENT)
            first = [await call.events.next(), await call.events.next()]
        assert {type(event) for event in first} == {FirstPacket}

    play(engine, told, *codecs)


def test_what_a_listener_hears_changes_at_once(engine: Carrier, tmp_path: Path) -> None:
    """Music, silence in time, one peer, another."""

    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant, agent), legs = people, call.legs
        music = call.engine.load_prompt(write_wav(tmp_path / "music.wav", tone(MUSIC, 1.0)))
        async with (
            talking(assistant, legs[1].local_address, ASSISTANT),
            talking(agent, legs[2].local_address, AGENT),
        ):
            taken = await heard_until(caller, ASSISTANT)
            call.call.hear(legs[0], music)
            taken += await heard_until(caller, MUSIC, more=70)
            call.call.hear(legs[0], None)
            taken += await heard_until(caller, None)
            call.call.hear(legs[0], legs[1])
            taken += await heard_until(caller, ASSISTANT)
            call.call.bridge(legs[0], legs[2])
            taken += await heard_until(caller, AGENT)
        check_story(engine, taken, ASSISTANT, MUSIC, None, ASSISTANT, AGENT)

    play(engine, told, PCMU, PCMA, PCMU)


def test_the_old_source_is_heard_until_the_new_one_speaks(engine: Carrier) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant, agent), legs = people, call.legs
        async with talking(assistant, legs[1].local_address, ASSISTANT):
            taken = await heard_until(caller, ASSISTANT)
            call.call.hear(legs[2], legs[0])
            call.call.hear_when_heard(legs[0], legs[2], within_ms=2000)
            taken += await heard_until(caller, ASSISTANT, more=10)
            async with talking(agent, legs[2].local_address, AGENT):
                taken += await heard_until(caller, AGENT)
                async with talking(caller, legs[0].local_address, MUSIC):
                    assert story_of(await heard_until(agent, MUSIC)) == [MUSIC]
        check_story(engine, taken, ASSISTANT, AGENT)
        assert Switched(legs[0], heard=True) in await call.events.until(Switched)

    play(engine, told, PCMU, PCMU, PCMU)


def test_who_is_not_heard_in_time_is_silence(engine: Carrier) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant, agent), legs = people, call.legs
        async with talking(assistant, legs[1].local_address, ASSISTANT):
            taken = await heard_until(caller, ASSISTANT)
            call.call.hear_when_heard(legs[0], legs[2], within_ms=100)
            taken += await heard_until(caller, None)
            assert Switched(legs[0], heard=False) in await call.events.until(Switched)
            async with talking(agent, legs[2].local_address, AGENT):
                taken += await heard_until(caller, AGENT)
        check_story(engine, taken, ASSISTANT, None, AGENT)

    play(engine, told, PCMU, PCMU, PCMU)


@pytest.mark.parametrize("engine", WAYS, indirect=True)
def test_keys_are_told_once_and_passed_on(engine: Carrier) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant), legs = people, call.legs
        async with talking(caller, legs[0].local_address, MUSIC):
            await heard_until(assistant, MUSIC)
        passed_on = []
        for packet in [*caller.pressed(5), *caller.pressed(11)]:
            # Not all at once, as no phone sends them: rtpengine's threads would let one overtake another.
            caller.send(legs[0].local_address, packet.encode())
            while (heard := await assistant.hear()).payload_type != assistant.telephone_event:
                pass
            passed_on.append(heard.payload[0])
        assert passed_on == [5] * 8 + [11] * 8
        events = await call.events.until(DtmfDigit, count=2)
        digits = [event for event in events if isinstance(event, DtmfDigit)]
        assert [(each.leg, each.digit) for each in digits] == [(legs[0], "5"), (legs[0], "#")]

    play(engine, told, PCMU, PCMU)


def test_a_prompt_played_once_tells_of_its_end_and_silence_of_a_peer_is_noticed(
    engine: Carrier, tmp_path: Path
) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, _), legs = people, call.legs
        beep = call.engine.load_prompt(write_wav(tmp_path / "beep.wav", tone(MUSIC, 0.3)))
        call.call.hear(legs[0], beep, loop=False)
        taken = await heard_until(caller, MUSIC)
        taken += await heard_until(caller, None)
        assert story_of(taken) in ([MUSIC, None], [None, MUSIC, None])
        assert PromptEnded(legs[0]) in await call.events.until(PromptEnded)
        async with talking(caller, legs[0].local_address, MUSIC):
            await call.events.until(FirstPacket)
        legs[0].set_media_timeout(0.4)
        assert MediaTimeout(legs[0]) in await call.events.until(MediaTimeout)
        heard = legs[0].statistics()
        assert heard.packets_in > 0
        assert heard.octets_in == 160 * heard.packets_in
        assert heard.lost == (0 if engine.can(Limit.COUNT_LOSS) else None)

    play(engine, told, PCMU, PCMU)


@pytest.mark.parametrize("engine", WAYS, indirect=True)
def test_the_figures_of_a_call_that_is_over_have_its_last_packets(engine: Carrier) -> None:
    """And those of who was let go before."""

    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant), legs = people, call.legs
        async with talking(caller, legs[0].local_address, MUSIC):
            heard = len(await heard_until(assistant, MUSIC))
        for payload in (b"\x2a" * 160, b"\x2b" * 160):
            caller.say(legs[0].local_address, payload)
            assistant.say(legs[1].local_address, payload)
            assert (await caller.hear()).payload == payload
            heard += 1
            while (await assistant.hear()).payload != payload:
                heard += 1
        call.call.close_leg(legs[1])
        call.call.close()
        await call.call.settle()
        hers, theirs = (leg.statistics() for leg in legs)
        # What came before it was known who hears it may be counted or not.
        assert heard <= hers.packets_in <= caller.sequence - 1000
        assert hers.octets_in == 160 * hers.packets_in
        assert (theirs.packets_in, theirs.octets_in) == (2, 320)

    play(engine, told, PCMU, PCMU)


@pytest.mark.parametrize("suite", PROFILES)
def test_one_side_is_encrypted(engine: Carrier, suite: CryptoSuite) -> None:
    async def run() -> None:
        async with engine.running() as running:
            with srtp_peers(suite, None) as people:
                secure, plain = people
                assert isinstance(secure, SrtpPeer)
                call = running.open_call(lambda event: None)
                legs = [call.open_leg("caller"), call.open_leg("agent")]
                secure.our_key = legs[0].master_key(suite)
                secure.begin()
                for leg, peer in zip(legs, people, strict=True):
                    leg.set_remote(peer.parameters())
                call.bridge(*legs)
                async with (
                    talking(secure, legs[0].local_address, ASSISTANT),
                    talking(plain, legs[1].local_address, AGENT),
                ):
                    await heard_until(plain, ASSISTANT)
                    await heard_until(secure, AGENT)
                    # Told again, as after a hold: the keys and their counters go on.
                    legs[0].set_remote(secure.parameters(send=False))
                    legs[0].set_remote(secure.parameters())
                    await heard_until(plain, ASSISTANT, more=20)
                    await heard_until(secure, AGENT, more=20)

    asyncio.run(run())


def test_what_a_foreign_source_sends_reaches_nobody(engine: Carrier) -> None:
    """Pitfall 78: the first source is the only one, whoever else knows the port."""

    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant), legs = people, call.legs
        with RtpPeer(ssrc=0x6666) as foreign:
            async with talking(caller, legs[0].local_address, ASSISTANT):
                await heard_until(assistant, ASSISTANT)
                async with talking(foreign, legs[0].local_address, MUSIC):
                    assert story_of(await heard_until(assistant, ASSISTANT, more=20)) == [ASSISTANT]
            with pytest.raises(BlockingIOError):
                foreign.peek()

    play(engine, told, PCMU, PCMU)


def test_a_leg_moves_to_another_call(engine: Carrier) -> None:
    async def run() -> None:
        async with engine.running() as running:
            with peers(PCMU, PCMU, PCMU) as people:
                first, second = Bridged(running, people[:2]), Bridged(running, people[2:])
                second.call.adopt(first.legs[1], first.call)
                first.call.close()
                second.call.bridge(second.legs[0], first.legs[1])
                async with talking(people[2], second.legs[0].local_address, AGENT):
                    await heard_until(people[1], AGENT)
                second.call.close()

    asyncio.run(run())


def test_who_is_heard_by_two(engine: Carrier) -> None:
    """By the last who asked alone where only one can hear them, and by the one before again when that one is gone."""

    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant, agent), legs = people, call.legs
        async with talking(caller, legs[0].local_address, MUSIC):
            await heard_until(assistant, MUSIC)
            call.call.hear(legs[2], legs[0])
            await heard_until(agent, MUSIC)
            if engine.can(Limit.SEVERAL_LISTENERS):
                await heard_until(assistant, MUSIC, more=20)
            else:
                while assistant.has_heard():
                    await assistant.hear()
                await heard_until(agent, MUSIC, more=5)
                assert not assistant.has_heard()
            call.call.hear(legs[2], None)
            await heard_until(assistant, MUSIC, more=20)

    play(engine, told, PCMU, PCMU, PCMU)


def test_comfort_noise_of_one_side(engine: Carrier) -> None:
    """It is left out toward a side that lacks it, or crosses as it comes."""
    noise = 13

    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant), legs = people, call.legs
        async with talking(caller, legs[0].local_address, MUSIC):
            await heard_until(assistant, MUSIC)
        legs[0].set_remote(replace(caller.parameters(), comfort_noise=True))
        caller.say(legs[0].local_address, b"\x4e", payload_type=noise)
        if not engine.can(Limit.COMFORT_NOISE):
            # rtpengine's threads may overtake each other with two packets that come together, so one is all there is.
            while (await assistant.hear()).payload_type != noise:
                pass
            return
        last = caller.say(legs[0].local_address, b"\x2a" * 160)
        while (packet := await assistant.hear()).payload != last.payload:
            assert packet.payload_type != noise

    play(engine, told, PCMU, PCMU)


def test_a_leg_that_was_plain_is_to_be_encrypted(engine: Carrier) -> None:
    """There is a key of ours for it, or none, and then the re-offer is refused."""
    suite = CryptoSuite.AES_CM_128_HMAC_SHA1_80

    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        leg = call.legs[0]
        if engine.can(Limit.PROTECT_LATER):
            assert len(leg.master_key(suite)) == suite.key_octets
        else:
            with pytest.raises(MediaError):
                leg.master_key(suite)

    play(engine, told, PCMU, PCMU)


def test_voices_are_added_up_or_that_is_refused(engine: Carrier) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant, agent), legs = people, call.legs
        if not engine.can(Limit.MIX):
            with pytest.raises(MediaError):
                call.call.mix(*legs)
            return
        call.call.mix(*legs)
        async with (
            talking(assistant, legs[1].local_address, ASSISTANT),
            talking(agent, legs[2].local_address, AGENT),
        ):
            await heard_until(caller, ASSISTANT)

    play(engine, told, PCMU, PCMU, PCMU)


def test_a_recording_is_made_or_refused(engine: Carrier, tmp_path: Path) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        path = tmp_path / "call.wav"
        if engine.can(Limit.RECORD):
            assert call.call.record(call.legs[0], path).path == path
        else:
            with pytest.raises(MediaError):
                call.call.record(call.legs[0], path)

    play(engine, told, PCMU, PCMU)


def test_a_number_for_keys_that_the_other_side_does_not_have(engine: Carrier) -> None:
    """Keys are told in any case; they are passed on under the other number where the engine can give it to them."""

    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant), legs = people, call.legs
        assistant.telephone_event = 96
        legs[1].set_remote(assistant.parameters())
        async with talking(caller, legs[0].local_address, MUSIC):
            await heard_until(assistant, MUSIC, more=10)
        await press(caller, legs[0].local_address, 5)
        caller.say(legs[0].local_address, b"\x2a" * 160)
        key = (await call.events.until(DtmfDigit))[-1]
        assert isinstance(key, DtmfDigit)
        assert key.digit == "5"
        kinds = set()
        while (packet := await assistant.hear()).payload != b"\x2a" * 160:
            kinds.add(packet.payload_type)
        assert (96 in kinds) is engine.can(Limit.RENUMBER_EVENTS)

    play(engine, told, PCMU, PCMU)


@pytest.mark.parametrize("codecs", [(PCMU, PCMU), (PCMA, PCMU)])
def test_keys_that_come_as_tones(engine: Carrier, codecs: tuple[Codec, Codec]) -> None:
    """They are told while somebody listens, and heard by who has no other keys either."""

    async def run() -> None:
        async with engine.running() as running:
            with peers(*codecs) as people:
                for peer in people:
                    peer.telephone_event = None
                await told(Bridged(running, people), people)

    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant), leg = people, call.legs[0]
        leg.listen_for_keys(True)
        async with talking(caller, leg.local_address, MUSIC):
            await heard_until(assistant, MUSIC, more=10)
        await say(caller, leg.local_address, key_tones("15#"))
        keys = (await call.events.until(DtmfDigit, 3))[-3:]
        assert [(key.digit, key.in_band) for key in keys if isinstance(key, DtmfDigit)] == [
            ("1", True),
            ("5", True),
            ("#", True),
        ]
        leg.listen_for_keys(False)
        async with talking(caller, leg.local_address, MUSIC):
            await heard_until(assistant, MUSIC, more=10)
        await say(caller, leg.local_address, key_tones("2"))
        async with talking(caller, leg.local_address, AGENT):
            heard = await heard_until(assistant, AGENT, more=20)
        assert {each.packet.payload_type for each in heard} == {assistant.payload_type}
        assert call.events.empty()

    asyncio.run(run())


async def say(peer: RtpPeer, to: Address, sound: Samples) -> None:
    """These sounds in time."""
    data = mu_law(sound) if peer.codec is PCMU else a_law(sound)
    for start in range(0, len(data) - 159, 160):
        peer.say(to, data[start : start + 160])
        await asyncio.sleep(PERIOD)
