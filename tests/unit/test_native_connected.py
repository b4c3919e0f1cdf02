"""Legs of the native engine whose peer has settled: a socket connected to it, beside the one that hears everybody.

They get it with their first report, a second or two after they know their peer. Nothing may change by it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from media.engine import Codec, MediaLeg
from tests.support.native_calls import ANY_PORTS, Bridged, becomes_true, peers, running, story
from tests.support.rtp_peer import RtpPeer

TWO = (Codec.PCMU, Codec.PCMU)


def connected_to(leg: MediaLeg) -> int | None:
    """The port to which one of the sockets on this leg's is connected."""
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    remote = {line[1].split(":")[1]: line[2].split(":")[1] for line in lines if line[3] == "01"}
    port = remote.get(f"{leg.local_address[1]:04X}")
    return None if port is None else int(port, 16)


async def settle(leg: MediaLeg, peer: RtpPeer, listener: RtpPeer) -> None:
    """The peer is heard by its listener, and its leg is connected to it."""
    said = peer.say(leg.local_address)
    assert (await listener.hear()).payload == said.payload
    await becomes_true(lambda: connected_to(leg) == peer.address[1])


@story(*TWO)
async def test_strangers_are_counted_and_not_heard(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    await settle(leg, caller, assistant)
    with RtpPeer(ssrc=caller.ssrc) as stranger:
        stranger.say(leg.local_address, b"\x66" * 160)
        await becomes_true(lambda: leg.statistics().foreign == 1)
        caller.say(leg.local_address, b"\x77" * 160)
        assert (await assistant.hear()).payload == b"\x77" * 160
        assistant.say(bridged.legs[1].local_address, b"\x78" * 160)
        assert (await caller.hear()).payload == b"\x78" * 160


@story(*TWO)
async def test_a_peer_moves_and_its_former_address_is_a_stranger(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    leg, other = bridged.legs
    await settle(leg, caller, assistant)
    with RtpPeer(ssrc=9) as moved:
        leg.set_remote(moved.parameters())
        caller.say(leg.local_address, b"\x66" * 160)
        assistant.say(other.local_address, b"\x70" * 160)
        assert (await moved.hear()).payload == b"\x70" * 160, "before it was heard there"
        said = moved.say(leg.local_address)
        assert (await assistant.hear()).payload == said.payload
        assert connected_to(leg) is None, "until its next report"
        caller.say(leg.local_address, b"\x67" * 160)
        await becomes_true(lambda: leg.statistics().foreign == 2)
        assistant.say(other.local_address, b"\x71" * 160)
        assert (await moved.hear()).payload == b"\x71" * 160


@story(*TWO)
async def test_a_hold_changes_nothing(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    leg, other = bridged.legs
    await settle(leg, caller, assistant)
    leg.set_remote(replace(caller.parameters(), remote=None))
    leg.set_remote(caller.parameters())
    assistant.say(other.local_address, b"\x70" * 160)
    assert (await caller.hear()).payload == b"\x70" * 160
    assert connected_to(leg) == caller.address[1]


@story(*TWO)
async def test_a_peer_that_was_away_misses_nothing_after_it_is_back(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    """A connected socket is told that nobody was there (ICMP), by an error in place of the next packet."""
    caller, assistant = people
    leg, other = bridged.legs
    await settle(leg, caller, assistant)
    host, port = caller.address
    caller.close()
    assistant.say(other.local_address, b"\x70" * 160)
    await becomes_true(lambda: leg.statistics().packets_out == 1)
    with RtpPeer(host=host, port=port) as back:
        assistant.say(other.local_address, b"\x71" * 160)
        assert (await back.hear()).payload == b"\x71" * 160


def test_a_leg_goes_to_another_worker_with_it() -> None:
    async def run() -> None:
        async with running(replace(ANY_PORTS, workers=2)) as engine:
            with peers(*TWO) as people, peers(*TWO) as others:
                one, two = Bridged(engine, people), Bridged(engine, others)
                leg = one.legs[0]
                await settle(leg, people[0], people[1])
                two.call.adopt(leg, one.call)
                two.call.bridge(leg, two.legs[1])
                people[0].say(leg.local_address, b"\x77" * 160)
                assert (await others[1].hear()).payload == b"\x77" * 160
                others[1].say(two.legs[1].local_address, b"\x78" * 160)
                assert (await people[0].hear()).payload == b"\x78" * 160

    asyncio.run(run())
