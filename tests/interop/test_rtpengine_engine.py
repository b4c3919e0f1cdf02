"""What only rtpengine has: legs that outlive this process, and a daemon that dies. What peers hear by it is told in
test_engine_stories."""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL

import pytest

from media.engine import Codec, MediaError, PortsExhausted
from media.events import EngineLost
from media.rtpengine.leg import RtpengineLeg
from media.srtp import CryptoSuite
from tests.support.audio import tone, write_wav
from tests.support.listening import AGENT, ASSISTANT, MUSIC, heard_until, talking
from tests.support.native_calls import Bridged, becomes_true, peers
from tests.support.rtpengine import RtpengineDaemon, engine_on
from tests.support.srtp_peer import SrtpPeer, srtp_peers

PCMU = Codec.PCMU


@pytest.mark.parametrize("suite", [None, CryptoSuite.AES_CM_128_HMAC_SHA1_80])
def test_legs_outlive_the_process_that_opened_them(
    rtpengine_daemon: RtpengineDaemon, suite: CryptoSuite | None
) -> None:
    """As after `kill -9`: another engine takes them over at their addresses, with their keys."""

    async def run() -> None:
        async with engine_on(rtpengine_daemon) as killed, engine_on(rtpengine_daemon) as engine:
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
                    new = [await after.take_over(str(leg.identity), leg.role) for leg in old]
                    assert [leg.local_address for leg in new] == [leg.local_address for leg in old]
                    for leg, peer in zip(new, people, strict=True):
                        leg.set_remote(peer.parameters())
                    after.bridge(*new)
                    await heard_until(people[1], ASSISTANT, more=20)
                    await heard_until(caller, AGENT, more=20)
                with pytest.raises(MediaError):
                    await after.take_over(f"{rtpengine_daemon.tcp} nobody 127.0.0.1", "agent")

    asyncio.run(run())


@pytest.mark.parametrize("transport", ["tcp", "ws"])
def test_a_prompt_that_no_datagram_holds_is_heard(
    rtpengine_daemon: RtpengineDaemon, tmp_path: Path, transport: str
) -> None:
    async def run() -> None:
        async with engine_on(rtpengine_daemon, transport=transport) as engine:
            with peers(PCMU) as people:
                call = Bridged(engine, people)
                music = engine.load_prompt(write_wav(tmp_path / "music.wav", tone(MUSIC, 20.0)))
                call.call.hear(call.legs[0], music)
                await heard_until(people[0], MUSIC, more=20)

    asyncio.run(run())


def test_a_prompt_that_no_datagram_holds_is_refused_by_udp(
    rtpengine_daemon: RtpengineDaemon, tmp_path: Path
) -> None:
    async def run() -> None:
        async with engine_on(rtpengine_daemon, transport="udp") as engine:
            with pytest.raises(MediaError, match="longer than 8 s"):
                engine.load_prompt(write_wav(tmp_path / "music.wav", tone(MUSIC, 20.0)))

    asyncio.run(run())


def test_what_a_killed_process_has_opened_ahead_is_dropped_and_who_talks_is_not(tmp_path: Path) -> None:
    async def run() -> None:
        with RtpengineDaemon(tmp_path, timeout=3, offer_timeout=2) as daemon:
            async with engine_on(daemon) as engine:
                with peers(PCMU, PCMU) as people:
                    call = Bridged(engine, people)
                    legs = {leg.id for leg in call.legs if isinstance(leg, RtpengineLeg)}
                    async with talking(people[0], call.legs[0].local_address, ASSISTANT):
                        await heard_until(people[1], ASSISTANT)
                        assert len(await daemon.calls()) > len(legs), "some are opened ahead"
                        async with asyncio.timeout(30.0):
                            # Nobody renews them here, as after `kill -9`.
                            while await daemon.calls() != legs:  # noqa: ASYNC110 - nobody tells
                                await asyncio.sleep(0.1)
                        await heard_until(people[1], ASSISTANT, more=20)

    asyncio.run(run())


@pytest.mark.parametrize("transport", ["tcp", "udp", "ws"])
def test_a_killed_daemon_loses_its_calls_and_is_used_again_when_it_is_back(
    tmp_path: Path, transport: str
) -> None:
    async def run() -> None:
        with RtpengineDaemon(tmp_path) as killed:
            async with engine_on(killed, transport=transport) as engine:
                with peers(PCMU, PCMU) as people:
                    before = engine.free_ports
                    call = Bridged(engine, people)
                    killed.send_signal(SIGKILL)
                    await call.events.until(EngineLost)
                    await becomes_true(lambda: engine.free_ports == 0)
                    with pytest.raises(PortsExhausted):
                        engine.open_call(lambda event: None).open_leg("caller")
                    with killed.again():
                        await becomes_true(lambda: engine.free_ports == before)
                        again = Bridged(engine, people)
                        async with talking(people[0], again.legs[0].local_address, ASSISTANT):
                            await heard_until(people[1], ASSISTANT)

    asyncio.run(run())
