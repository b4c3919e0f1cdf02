"""The engine over rtpengine, a real daemon, and RTP peers: what the native engine's tests hear, where it can."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from media.engine import (
    Codec,
    DtmfDigit,
    EngineLost,
    FirstPacket,
    MediaError,
    MediaTimeout,
    PortsExhausted,
    PromptEnded,
    Switched,
)
from media.srtp import CryptoSuite
from tests.support.audio import tone, write_wav
from tests.support.listening import AGENT, ASSISTANT, MUSIC, heard_until, story_of, talking
from tests.support.native_calls import Bridged, becomes_true, peers
from tests.support.rtp_peer import RtpPeer
from tests.support.rtpengine import RtpengineDaemon, engine_on
from tests.support.srtp_peer import PROFILES, SrtpPeer, srtp_peers

PCMU, PCMA = Codec.PCMU, Codec.PCMA


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtpengineDaemon]:
    with RtpengineDaemon(tmp_path_factory.mktemp("rtpengine")) as running:
        yield running


Told = Callable[[Bridged, list[RtpPeer]], Awaitable[None]]


def play(daemon: RtpengineDaemon, told: Told, *codecs: Codec, transport: str = "tcp") -> None:
    """A call between peers of these codecs."""

    async def run() -> None:
        async with engine_on(daemon, transport=transport) as engine:
            with peers(*codecs) as people:
                await told(Bridged(engine, people), people)

    asyncio.run(run())


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("codecs", [(PCMU, PCMU), (PCMA, PCMA), (PCMU, PCMA)])
def test_two_peers_hear_each_other(
    daemon: RtpengineDaemon, codecs: tuple[Codec, Codec], transport: str
) -> None:
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

    play(daemon, told, *codecs, transport=transport)


def test_what_a_listener_hears_changes_at_once(daemon: RtpengineDaemon, tmp_path: Path) -> None:
    """Music, silence in time, one peer, another: nothing of the old after the first of the new."""

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
        assert story_of(taken) == [ASSISTANT, MUSIC, None, ASSISTANT, AGENT]

    play(daemon, told, PCMU, PCMA, PCMU)


def test_the_old_source_is_heard_until_the_new_one_speaks(daemon: RtpengineDaemon) -> None:
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
        assert story_of(taken) == [ASSISTANT, AGENT]
        assert Switched(legs[0], heard=True) in await call.events.until(Switched)

    play(daemon, told, PCMU, PCMU, PCMU)


def test_who_is_not_heard_in_time_is_silence(daemon: RtpengineDaemon) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant, agent), legs = people, call.legs
        async with talking(assistant, legs[1].local_address, ASSISTANT):
            taken = await heard_until(caller, ASSISTANT)
            call.call.hear_when_heard(legs[0], legs[2], within_ms=100)
            taken += await heard_until(caller, None)
            assert Switched(legs[0], heard=False) in await call.events.until(Switched)
            async with talking(agent, legs[2].local_address, AGENT):
                taken += await heard_until(caller, AGENT)
        assert story_of(taken) == [ASSISTANT, None, AGENT]

    play(daemon, told, PCMU, PCMU, PCMU)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_keys_are_told_once_and_passed_on(daemon: RtpengineDaemon, transport: str) -> None:
    async def told(call: Bridged, people: list[RtpPeer]) -> None:
        (caller, assistant), legs = people, call.legs
        async with talking(caller, legs[0].local_address, MUSIC):
            await heard_until(assistant, MUSIC)
        caller.press(legs[0].local_address, 5)
        caller.press(legs[0].local_address, 11)
        events = await call.events.until(DtmfDigit, count=2)
        digits = [event for event in events if isinstance(event, DtmfDigit)]
        assert [(each.leg, each.digit) for each in digits] == [(legs[0], "5"), (legs[0], "#")]
        passed_on = []
        while len(passed_on) < 16:
            packet = await assistant.hear()
            passed_on += [packet.payload[0]] if packet.payload_type == 101 else []
        assert passed_on == [5] * 8 + [11] * 8

    play(daemon, told, PCMU, PCMU, transport=transport)


def test_a_prompt_played_once_tells_of_its_end_and_silence_of_a_peer_is_noticed(
    daemon: RtpengineDaemon, tmp_path: Path
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
        assert heard.lost is None, "rtpengine does not count it"

    play(daemon, told, PCMU, PCMU)


@pytest.mark.parametrize("suite", PROFILES)
def test_one_side_is_encrypted_under_keys_of_the_daemons(daemon: RtpengineDaemon, suite: CryptoSuite) -> None:
    async def run() -> None:
        async with engine_on(daemon) as engine:
            with srtp_peers(suite, None) as people:
                secure, plain = people
                assert isinstance(secure, SrtpPeer)
                call = engine.open_call(lambda event: None)
                legs = [call.open_leg("caller"), call.open_leg("agent")]
                with pytest.raises(MediaError):
                    legs[0].set_remote(secure.parameters())  # a key that the daemon does not have
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


def test_what_a_foreign_source_sends_reaches_nobody(daemon: RtpengineDaemon) -> None:
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

    play(daemon, told, PCMU, PCMU)


def test_a_leg_moves_to_another_call(daemon: RtpengineDaemon) -> None:
    async def run() -> None:
        async with engine_on(daemon) as engine:
            with peers(PCMU, PCMU, PCMU) as people:
                first, second = Bridged(engine, people[:2]), Bridged(engine, people[2:])
                second.call.adopt(first.legs[1], first.call)
                first.call.close()
                second.call.bridge(second.legs[0], first.legs[1])
                async with talking(people[2], second.legs[0].local_address, AGENT):
                    await heard_until(people[1], AGENT)
                assert engine.capacity - engine.free_ports == 2
                second.call.close()
                assert engine.capacity == engine.free_ports

    asyncio.run(run())


@pytest.mark.parametrize("suite", [None, CryptoSuite.AES_CM_128_HMAC_SHA1_80])
def test_legs_outlive_the_process_that_opened_them(
    daemon: RtpengineDaemon, suite: CryptoSuite | None
) -> None:
    """As after `kill -9`: another engine takes them over at their addresses, with their keys."""

    async def run() -> None:
        async with engine_on(daemon) as killed, engine_on(daemon) as engine:
            with srtp_peers(suite, None) as people:
                before = killed.open_call(lambda event: None)
                old = [before.open_leg("caller"), before.open_leg("agent")]
                caller = people[0]
                if isinstance(caller, SrtpPeer):
                    caller.our_key = old[0].master_key(caller.suite)
                    caller.begin()
                for leg, peer in zip(old, people, strict=True):
                    leg.set_remote(peer.parameters())
                before.bridge(*old)
                before.hear(old[1], None)
                async with (
                    talking(caller, old[0].local_address, ASSISTANT),
                    talking(people[1], old[1].local_address, AGENT),
                ):
                    await heard_until(people[1], None)
                    after = engine.open_call(lambda event: None)
                    new = [await after.take_over(leg.identity, leg.role) for leg in old]
                    assert [leg.local_address for leg in new] == [leg.local_address for leg in old]
                    for leg, peer in zip(new, people, strict=True):
                        leg.set_remote(peer.parameters())
                    after.bridge(*new)
                    await heard_until(people[1], ASSISTANT, more=20)
                    await heard_until(caller, AGENT, more=20)
                with pytest.raises(MediaError):
                    await after.take_over(f"{daemon.tcp} nobody 127.0.0.1", "agent")

    asyncio.run(run())


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_killed_daemon_loses_its_calls_and_is_used_again_when_it_is_back(
    tmp_path: Path, transport: str
) -> None:
    async def run() -> None:
        with RtpengineDaemon(tmp_path) as killed:
            async with engine_on(killed, transport=transport) as engine:
                with peers(PCMU, PCMU) as people:
                    call = Bridged(engine, people)
                    killed.send_signal(SIGKILL)
                    await call.events.until(EngineLost)
                    await becomes_true(lambda: engine.free_ports == 0)
                    with pytest.raises(PortsExhausted):
                        engine.open_call(lambda event: None).open_leg("caller")
                    with killed.again():
                        await becomes_true(lambda: engine.free_ports > 1)
                        again = Bridged(engine, people)
                        async with talking(people[0], again.legs[0].local_address, ASSISTANT):
                            await heard_until(people[1], ASSISTANT)

    asyncio.run(run())
