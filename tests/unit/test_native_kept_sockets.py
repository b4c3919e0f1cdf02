"""Sockets of a finished call that serve the next one: nothing of the old call reaches it, and idle ones are closed."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

from media.engine import Codec
from media.events import FirstPacket
from media.native import NativeEngine, NativeSettings
from tests.support.native_calls import Bridged, Events, becomes_true, peers, running
from tests.support.ports import free_port_range
from tests.support.rtp_peer import RtpPeer

PCMU = Codec.PCMU


def test_the_next_call_on_the_same_sockets_hears_nothing_of_the_one_before() -> None:
    async def run() -> None:
        with peers(PCMU, PCMU) as (old, new):
            async with running(NativeSettings(ports=free_port_range(2), quarantine=0.2)) as engine:
                address = await _call(engine, old)
                kept = _sockets()
                old.say(address)
                await becomes_true(lambda: engine.free_ports == 1)
                old.say(address)
                events = Events()
                leg = engine.open_call(events.put_nowait).open_leg("caller")
                assert leg.local_address == address
                assert _sockets() == kept, "none was closed, none was opened"
                leg.set_remote(new.parameters())
                new.say(address)
                assert await events.next() == FirstPacket(leg)
                old.say(address)
                await becomes_true(lambda: leg.statistics().foreign == 1)
                assert leg.statistics().packets_in == 1

    asyncio.run(run())


def test_sockets_go_from_one_worker_to_another() -> None:
    async def run() -> None:
        with peers(PCMU, PCMU) as people:
            settings = NativeSettings(ports=free_port_range(4), quarantine=0.0, workers=2)
            async with running(settings) as engine:
                stays = engine.open_call(lambda event: None)
                stays.open_leg("caller")
                goes = engine.open_call(lambda event: None)
                assert goes.worker != stays.worker
                goes.open_leg("caller")
                kept = _sockets()
                goes.close()
                await becomes_true(lambda: engine.free_ports == 1)
                stays.close()
                await becomes_true(lambda: engine.free_ports == 2)
                bridged = Bridged(engine, people)
                assert _sockets() == kept
                for speaks, hears, leg in ((0, 1, bridged.legs[0]), (1, 0, bridged.legs[1])):
                    people[speaks].say(leg.local_address)
                    await people[hears].hear()

    asyncio.run(run())


def test_sockets_that_nobody_takes_are_closed() -> None:
    async def run() -> None:
        with peers(PCMU) as (peer,):
            async with running(NativeSettings(ports=free_port_range(6), quarantine=0.0)) as engine:
                before = _sockets()
                await _call(engine, peer)
                await becomes_true(lambda: engine.free_ports == 3)
                assert _sockets().total() == before.total() + 2
                await becomes_true(lambda: _sockets() == before)
                assert engine.free_ports == 3

    asyncio.run(run())


def test_an_engine_that_ends_closes_what_it_kept() -> None:
    async def run() -> None:
        with peers(PCMU) as (peer,):
            before = _sockets()
            async with running(NativeSettings(ports=free_port_range(2), quarantine=60.0)) as engine:
                await _call(engine, peer)
                assert engine.free_ports == 0
            assert _sockets() == before

    asyncio.run(run())


async def _call(engine: NativeEngine, peer: RtpPeer) -> tuple[str, int]:
    """A call of one leg that hears its peer, and ends. Returns where it was."""
    events = Events()
    call = engine.open_call(events.put_nowait)
    leg = call.open_leg("caller")
    leg.set_remote(peer.parameters())
    peer.say(leg.local_address)
    assert await events.next() == FirstPacket(leg)
    call.close()
    return leg.local_address


def _sockets() -> Counter[str]:
    """The sockets of this process, each with its number."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:  # the listing's own
            continue
    return Counter(link for link in links if link.startswith("socket:"))
