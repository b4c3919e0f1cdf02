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
from tests.support.native_calls import Events, becomes_true, running
from tests.support.rtp_peer import STALL, RtpPeer

Told = Callable[[MediaLeg, MediaLeg, Events], Awaitable[None]]


def with_legs(
    latching: Latching, caller: RtpPeer, assistant: RtpPeer, told: Told, signalling: str | None = None
) -> None:
    """Runs a story with a caller's leg of this setting, bridged with an assistant's. `signalling` is where the caller's
    SIP comes from."""

    async def run() -> None:
        async with running() as engine:
            events = Events()
            call: MediaCall = engine.open_call(events.put_nowait)
            leg, other = call.open_leg("caller", latching, signalling=signalling), call.open_leg("assistant")
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


INSIDE, NAT, ELSEWHERE = "127.0.0.5", "127.0.0.6", "127.0.0.7"
"""The host that a peer behind a NAT says it has, the one that its packets and its SIP have outside, a stranger's."""


@pytest.mark.parametrize("latching", [Latching.AUTO, Latching.DISABLED])
def test_who_sends_to_all_ports_keeps_no_peer_behind_a_nat_from_being_heard(latching: Latching) -> None:
    """It is never heard where its SDP says, but from where its SIP comes."""
    with (
        RtpPeer(host=INSIDE) as inside,
        RtpPeer(host=NAT) as caller,
        RtpPeer() as assistant,
        RtpPeer(host=ELSEWHERE, ssrc=7) as stranger,
    ):

        async def told(leg: MediaLeg, other: MediaLeg, _events: Events) -> None:
            # Since the port was opened, long before the caller has something to say, and ever after.
            for _ in range(50):
                stranger.say(leg.local_address, b"\x66" * 160)
            await assistant.hear_many(50)
            for _ in range(50):
                caller.say(leg.local_address, b"\x77" * 160)
                stranger.say(leg.local_address, b"\x66" * 160)
            assert {each.payload[0] for each in await assistant.hear_many(50)} == {0x77}
            await becomes_true(lambda: leg.statistics().foreign == 50)
            said = assistant.say(other.local_address)
            hears = inside if latching is Latching.DISABLED else caller
            assert (await hears.hear()).payload == said.payload
            assert not stranger.has_heard()

        with_legs(latching, inside, assistant, told, signalling=NAT)


def test_an_address_that_the_peer_cannot_have_takes_no_audio_away() -> None:
    """Who signals from far away has no address of this machine's: packets from there are forged, or another's."""
    with (
        RtpPeer(host=INSIDE) as forger,
        RtpPeer(host=NAT) as caller,
        RtpPeer() as assistant,
    ):

        async def told(leg: MediaLeg, other: MediaLeg, _events: Events) -> None:
            caller.say(leg.local_address, b"\x77" * 160)
            forger.say(leg.local_address, b"\x66" * 160)
            caller.say(leg.local_address, b"\x78" * 160)
            assert [each.payload[0] for each in await assistant.hear_many(2)] == [0x77, 0x78]
            said = assistant.say(other.local_address)
            assert (await caller.hear()).payload == said.payload
            assert leg.statistics().foreign == 1

        with_legs(Latching.AUTO, forger, assistant, told, signalling="203.0.113.5")


def test_media_from_elsewhere_than_sip_and_sdp_say_is_heard_as_before() -> None:
    """Trunks that have a proxy for SIP and gateways for audio; phones behind the NAT of another line."""
    with RtpPeer(host=INSIDE) as gateway, RtpPeer(host=ELSEWHERE) as sends, RtpPeer() as assistant:

        async def told(leg: MediaLeg, other: MediaLeg, _events: Events) -> None:
            sends.say(leg.local_address, b"\x77" * 160)
            assert (await assistant.hear()).payload == b"\x77" * 160
            said = assistant.say(other.local_address)
            assert (await sends.hear()).payload == said.payload

        with_legs(Latching.AUTO, gateway, assistant, told, signalling=NAT)


def test_a_scope_in_the_address_of_sip_is_no_hindrance() -> None:
    with RtpPeer() as caller, RtpPeer() as assistant:

        async def told(leg: MediaLeg, _other: MediaLeg, _events: Events) -> None:
            caller.say(leg.local_address)
            assert await assistant.hear()

        with_legs(Latching.AUTO, caller, assistant, told, signalling="fe80::1%eth0")


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
