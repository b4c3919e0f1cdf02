"""Where the native engine believes its peers to be: `auto` is told in test_native_engine, the other settings here, and
whom a stranger cannot rob of their call."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from media.engine import Latching, MediaCall, MediaLeg
from media.events import FirstPacket
from media.native import NativeSettings
from tests.support.native_calls import Events, running
from tests.support.rtp_peer import STALL, RtpPeer

Told = Callable[[MediaLeg, MediaLeg, Events], Awaitable[None]]


def with_legs(latching: Latching, caller: RtpPeer, assistant: RtpPeer, told: Told) -> None:
    """Runs a story with a caller's leg of this setting, bridged with an assistant's."""

    async def run() -> None:
        async with running() as engine:
            events = Events()
            call: MediaCall = engine.open_call(events.put_nowait)
            leg, other = call.open_leg("caller", latching), call.open_leg("assistant")
            leg.set_remote(caller.parameters())
            other.set_remote(assistant.parameters())
            call.bridge(leg, other)
            await told(leg, other, events)

    asyncio.run(run())


def test_strict_hears_the_address_of_the_sdp_alone() -> None:
    with RtpPeer() as caller, RtpPeer() as assistant, RtpPeer() as elsewhere:

        async def told(leg: MediaLeg, other: MediaLeg, events: Events) -> None:
            elsewhere.say(leg.local_address, b"\x66" * 160)
            caller.say(leg.local_address, b"\x77" * 160)
            assert (await assistant.hear()).payload == b"\x77" * 160
            assert await events.next() == FirstPacket(leg)
            assistant.say(other.local_address)
            assert await caller.hear()
            assert leg.statistics().foreign == 1

        with_legs(Latching.STRICT, caller, assistant, told)


def test_strict_follows_the_sdp_to_another_address() -> None:
    with RtpPeer() as caller, RtpPeer() as assistant, RtpPeer() as moved:

        async def told(leg: MediaLeg, _other: MediaLeg, _events: Events) -> None:
            caller.say(leg.local_address)
            await assistant.hear()
            leg.set_remote(moved.parameters())
            caller.say(leg.local_address, b"\x66" * 160)
            moved.ssrc = 9
            moved.say(leg.local_address, b"\x77" * 160)
            assert (await assistant.hear()).payload == b"\x77" * 160

        with_legs(Latching.STRICT, caller, assistant, told)


def test_disabled_hears_a_peer_that_sends_from_another_port_and_answers_the_sdp() -> None:
    with RtpPeer() as caller, RtpPeer() as assistant, RtpPeer() as sender, RtpPeer(ssrc=7) as stranger:

        async def told(leg: MediaLeg, other: MediaLeg, _events: Events) -> None:
            sender.say(leg.local_address, b"\x77" * 160)
            stranger.say(leg.local_address, b"\x66" * 160)
            sender.say(leg.local_address, b"\x78" * 160)
            assert [each.payload[0] for each in await assistant.hear_many(2)] == [0x77, 0x78]
            said = assistant.say(other.local_address)
            assert (await caller.hear()).payload == said.payload
            assert leg.statistics().foreign == 1

        with_legs(Latching.DISABLED, caller, assistant, told)


@pytest.mark.parametrize("latching", [Latching.AUTO, Latching.DISABLED])
def test_a_stranger_who_sent_first_loses_the_call_to_whom_the_sdp_names(latching: Latching) -> None:
    """Who sends to all of our ports needs no luck but to be early ("RTP bleed"): it must not keep what it gets."""
    with RtpPeer() as caller, RtpPeer() as assistant, RtpPeer(ssrc=7) as stranger:

        async def told(leg: MediaLeg, other: MediaLeg, events: Events) -> None:
            stranger.say(leg.local_address, b"\x66" * 160)
            assert (await assistant.hear()).payload == b"\x66" * 160
            caller.say(leg.local_address, b"\x77" * 160)
            stranger.say(leg.local_address, b"\x67" * 160)
            caller.say(leg.local_address, b"\x78" * 160)
            assert [each.payload[0] for each in await assistant.hear_many(2)] == [0x77, 0x78]
            said = assistant.say(other.local_address)
            assert (await caller.hear()).payload == said.payload
            assert leg.statistics().foreign == 1
            assert await events.next() == FirstPacket(leg), "of the stranger, for all we knew then"

        with_legs(latching, caller, assistant, told)


def test_what_is_no_audio_of_the_call_gives_nobody_their_place_back() -> None:
    """A packet with a forged source would be enough otherwise, and the peer is behind a NAT."""
    with RtpPeer() as inside, RtpPeer() as assistant, RtpPeer(ssrc=7) as outside:

        async def told(leg: MediaLeg, other: MediaLeg, _events: Events) -> None:
            outside.say(leg.local_address, b"\x66" * 160)
            await assistant.hear()
            inside.say(leg.local_address, b"\x77" * 160, payload_type=96)
            outside.say(leg.local_address, b"\x67" * 160)
            assert (await assistant.hear()).payload == b"\x67" * 160
            said = assistant.say(other.local_address)
            assert (await outside.hear()).payload == said.payload

        with_legs(Latching.AUTO, inside, assistant, told)


@pytest.mark.parametrize(
    ("address", "host"), [("127.0.0.1", "127.0.0.1"), ("::", "::1"), ("::", "127.0.0.1")]
)
def test_packets_carry_the_class_of_service(address: str, host: str) -> None:
    """In the header of each packet, on sockets of both families and to both families."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    level, option, kind = (
        (socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_TCLASS)
        if family == socket.AF_INET6
        else (socket.IPPROTO_IP, socket.IP_RECVTOS, socket.IP_TOS)
    )

    async def run() -> list[tuple[int, int, bytes]]:
        async with running(NativeSettings(address=address, ports=(0, 0), dscp=34)) as engine:
            with RtpPeer(host=host) as caller, socket.socket(family, socket.SOCK_DGRAM) as listener:
                listener.bind((host, 0))
                listener.setsockopt(level, option, 1)
                listener.settimeout(STALL)
                call = engine.open_call(lambda event: None)
                one, other = call.open_leg("caller"), call.open_leg("agent")
                one.set_remote(caller.parameters())
                other.set_remote(caller.parameters(remote=listener.getsockname()[:2]))
                call.bridge(one, other)
                caller.say((host, one.local_address[1]))
                _, ancillary, _, _ = await asyncio.to_thread(listener.recvmsg, 2048, 256)
                return ancillary

    ((_, found, value),) = asyncio.run(run())
    assert (found, value[0]) == (kind, 34 << 2)
