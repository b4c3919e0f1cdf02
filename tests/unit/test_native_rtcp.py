"""RTCP of the native engine over real sockets, read and written by aiortc.

A leg says goodbye with its last report, which is how most of these stories come to one without waiting for the clock.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiortc.rtp import RtcpReceiverInfo, RtcpSenderInfo, RtcpSrPacket

from media.engine import Address, Codec
from media.native import NativeLeg
from tests.support.native_calls import Bridged, becomes_true, running, story
from tests.support.rtcp_peer import Report, RtcpPeer, pair, receiver_report
from tests.support.rtp_peer import Packet, RtpPeer

TWO = (Codec.PCMU, Codec.PCMU)


def above(address: Address) -> Address:
    return address[0], address[1] + 1


def leg_of(bridged: Bridged, number: int) -> NativeLeg:
    leg = bridged.legs[number]
    assert isinstance(leg, NativeLeg)
    return leg


@asynccontextmanager
async def reporting(bridged: Bridged, people: list[RtpPeer]) -> AsyncIterator[tuple[RtcpPeer, RtcpPeer]]:
    """RTCP sockets for both sides, named in their SDP."""
    with RtcpPeer() as caller, RtcpPeer() as assistant:
        for leg, peer, rtcp in zip(bridged.legs, people, (caller, assistant), strict=True):
            leg.set_remote(replace(peer.parameters(), remote_rtcp=rtcp.address))
        yield caller, assistant


@story(*TWO)
async def test_loss_and_jitter_are_those_of_the_stream(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    lost = {5, 17, 18, 19, 40}
    # All at once, while their timestamps are 20 ms apart: each comes 160 ticks earlier than the one before.
    jitter = 0.0
    previous = None
    async with reporting(bridged, people) as (rtcp, _):
        for number in (n for n in range(100) if n not in lost):
            caller.send(
                leg.local_address, Packet(65_500 + number & 0xFFFF, 160 * number, 77, b"\0" * 160).encode()
            )
            if previous is not None:
                jitter += (160 * (number - previous) - jitter) / 16
            previous = number
        await assistant.hear_many(95)
        assistant.say(
            bridged.legs[1].local_address
        )  # or nobody would know this leg, and it needed no goodbye
        await caller.hear()
        bridged.call.close_leg(leg)
        report = await rtcp.hear()
    assert report.goodbye
    assert report.block is not None
    assert (report.block.ssrc, report.block.packets_lost) == (77, 5)
    assert report.block.fraction_lost == 5 * 256 // 100
    assert report.block.highest_sequence == 65_500 + 99, "the sequence number wrapped once"
    assert (report.block.lsr, report.block.dlsr) == (0, 0)
    assert abs(report.block.jitter - jitter) < 40, "5 ms for what the machine adds"
    assert leg.statistics().lost == 5


@story(*TWO)
async def test_a_sender_tells_what_it_sent_and_when(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    async with reporting(bridged, people) as (_, rtcp):
        for _ in range(7):
            caller.say(bridged.legs[0].local_address)
        heard = await assistant.hear_many(7)
        bridged.call.close_leg(bridged.legs[1])
        report = await rtcp.hear()
    assert report.goodbye
    assert report.ssrc == heard[0].ssrc == leg_of(bridged, 1).ssrc
    assert report.sender is not None
    assert (report.sender.packet_count, report.sender.octet_count) == (7, 7 * 160)
    behind = (report.sender.rtp_timestamp - heard[-1].timestamp) & 0xFFFFFFFF
    assert 160 <= behind < 160 + 8000, "the end of the last packet, and what passed since"
    assert report.block is None, "nothing was heard from this side"


@story(*TWO)
async def test_each_leg_has_a_name_of_its_own(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    async with reporting(bridged, people) as sockets:
        caller.say(bridged.legs[0].local_address)
        assistant.say(bridged.legs[1].local_address)
        await caller.hear()
        await assistant.hear()
        bridged.call.close()
        names = {(await rtcp.hear()).name for rtcp in sockets}
    assert len(names) == 2
    assert {len(name) for name in names} == {16}, "96 random bits (RFC 7022)"


@story(*TWO)
async def test_rtcp_goes_to_the_port_above_unless_the_sdp_says_otherwise(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    rtp, rtcp = pair()
    with rtp, rtcp:
        bridged.legs[1].set_remote(rtp.parameters())
        people[0].say(bridged.legs[0].local_address)
        await rtp.hear()
        bridged.call.close_leg(bridged.legs[1])
        assert (await rtcp.hear()).goodbye


@story(*TWO)
async def test_rtcp_is_answered_where_it_came_from(bridged: Bridged, people: list[RtpPeer]) -> None:
    """A NAT gave the peer another RTCP port than its SDP could know."""
    leg = bridged.legs[1]
    people[0].say(bridged.legs[0].local_address)
    await people[1].hear()
    async with reporting(bridged, people):
        with RtcpPeer() as mapped:
            mapped.send(above(leg.local_address), struct.pack("!BBHI", 0x80, 201, 1, 5))
            await becomes_true(lambda: leg.statistics().rtcp_in == 1)
            bridged.call.close_leg(leg)
            assert (await mapped.hear()).goodbye


@story(*TWO)
async def test_rtcp_shares_the_rtp_port_when_agreed(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    leg = bridged.legs[1]
    leg.set_remote(replace(assistant.parameters(), rtcp_mux=True))
    caller.say(bridged.legs[0].local_address)
    await assistant.hear()
    block = RtcpReceiverInfo(leg_of(bridged, 1).ssrc, 0, 3, 1, 16, 0, 0)
    assistant.send(leg.local_address, receiver_report(assistant.ssrc, block))
    assistant.say(leg.local_address)
    await caller.hear()
    statistics = leg.statistics()
    assert (statistics.rtcp_in, statistics.packets_in, statistics.remote_lost) == (1, 1, 3)
    bridged.call.close_leg(leg)
    report = Report.read(await assistant.hear_data())
    assert report.goodbye
    assert report.sender is not None


@story(*TWO)
async def test_what_the_peer_reports_is_in_the_statistics(bridged: Bridged, people: list[RtpPeer]) -> None:
    leg = bridged.legs[0]
    assert leg.statistics().remote_lost is None
    async with reporting(bridged, people) as (rtcp, _):
        ours, somebody = leg_of(bridged, 0).ssrc, 99
        for block in (
            RtcpReceiverInfo(ours, 25, 12, 500, 80, 0, 0),
            RtcpReceiverInfo(somebody, 255, 999, 1, 9999, 0, 0),
        ):
            rtcp.send(above(leg.local_address), receiver_report(5, block))
        await becomes_true(lambda: leg.statistics().rtcp_in == 2)
        statistics = leg.statistics()
        assert (statistics.remote_lost, statistics.remote_jitter_ms) == (12, 10.0)
        assert statistics.round_trip_ms is None, "it has no report of ours to refer to"
        rtcp.send(above(leg.local_address), receiver_report(5, RtcpReceiverInfo(ours, 0, -4, 500, 80, 0, 0)))
        await becomes_true(lambda: leg.statistics().remote_lost == 0)


@story(*TWO)
async def test_reports_come_by_themselves_and_measure_the_round_trip(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    """The one story that waits for the clock: the first report comes after 1 to 3 seconds."""
    caller, assistant = people
    leg = bridged.legs[1]
    async with reporting(bridged, people) as (_, rtcp):
        caller.say(bridged.legs[0].local_address)
        assistant.say(leg.local_address)
        await assistant.hear()
        theirs = RtcpSrPacket(assistant.ssrc, RtcpSenderInfo(0x1111_2222_3333_4444, 0, 1, 160))
        rtcp.send(above(leg.local_address), bytes(theirs))
        report = await rtcp.hear()
        assert not report.goodbye
        assert report.sender is not None
        assert report.block is not None
        assert report.block.lsr == 0x2222_3333
        assert 0.5 * 65_536 < report.block.dlsr < 5 * 65_536
        # 250 ms on the way, says a peer that waited for a quarter of a second less than it did.
        middle = report.sender.ntp_timestamp >> 16 & 0xFFFFFFFF
        block = RtcpReceiverInfo(report.ssrc, 0, 0, 1, 0, (middle - 16_384) & 0xFFFFFFFF, 0)
        rtcp.send(above(leg.local_address), receiver_report(assistant.ssrc, block))
        await becomes_true(lambda: leg.statistics().round_trip_ms is not None)
        measured = leg.statistics().round_trip_ms
        assert measured is not None
        assert 249 <= measured < 1250


@story(*TWO)
async def test_reports_from_elsewhere_are_not_believed(bridged: Bridged, people: list[RtpPeer]) -> None:
    leg = bridged.legs[0]
    block = RtcpReceiverInfo(leg_of(bridged, 0).ssrc, 25, 12, 500, 80, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        stranger.sendto(receiver_report(5, block), above(leg.local_address))
        await becomes_true(lambda: leg.statistics().foreign == 1)
    assert leg.statistics().remote_lost is None


def test_who_never_spoke_says_no_goodbye_and_nobody_is_told_while_held_without_address() -> None:
    async def run() -> None:
        async with running() as engine:
            with RtpPeer() as one, RtpPeer() as other:
                free = engine.free_ports
                bridged = Bridged(engine, [one, other])
                one.say(bridged.legs[0].local_address)
                await other.hear()
                bridged.legs[1].set_remote(replace(other.parameters(), remote=None))
                bridged.call.close()
                await becomes_true(lambda: engine.free_ports == free)
                assert [leg.statistics().rtcp_out for leg in bridged.legs] == [0, 0]

    asyncio.run(run())
