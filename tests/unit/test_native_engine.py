"""The native engine over real loopback sockets: who hears whom, and what nobody hears.

Nothing here waits for time to pass: what must not arrive is followed by something that must, on the same path.
"""

from __future__ import annotations

import asyncio
import math
import struct
from dataclasses import replace
from itertools import pairwise

from media.engine import Codec
from media.events import DtmfDigit, FirstPacket, MediaTimeout
from media.native import NativeSettings
from tests.support.native_calls import Bridged, becomes_true, running, story
from tests.support.rtp_peer import STALL, Packet, RtpPeer

TWO = (Codec.PCMU, Codec.PCMU)


@story(*TWO)
async def test_both_sides_hear_each_other(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    said = caller.say(bridged.legs[0].local_address, bytes(range(160)))
    answered = assistant.say(bridged.legs[1].local_address, bytes(reversed(range(160))))
    assert (await assistant.hear()).payload == said.payload
    assert (await caller.hear()).payload == answered.payload
    statistics = bridged.legs[0].statistics()
    assert (statistics.codec, statistics.packets_in, statistics.octets_in) == (Codec.PCMU, 1, 160)


@story(*TWO)
async def test_the_first_packet_is_told_once_per_leg(bridged: Bridged, people: list[RtpPeer]) -> None:
    for _ in range(3):
        people[0].say(bridged.legs[0].local_address)
    people[1].say(bridged.legs[1].local_address)
    assert await bridged.events.next() == FirstPacket(bridged.legs[0])
    assert await bridged.events.next() == FirstPacket(bridged.legs[1])
    assert bridged.events.empty()


@story(*TWO)
async def test_a_peer_behind_nat_is_answered_where_it_sends_from(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    with RtpPeer() as named:
        bridged.legs[0].set_remote(caller.parameters(remote=named.address))
        assistant.say(bridged.legs[1].local_address)
        assert (await named.hear()).payload  # nothing heard from the caller yet: its SDP decides
        caller.say(bridged.legs[0].local_address)
        await assistant.hear()
        said = assistant.say(bridged.legs[1].local_address, b"\x11" * 160)
        assert (await caller.hear()).payload == said.payload


@story(*TWO)
async def test_a_foreign_source_is_dropped_and_counted(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    caller.say(bridged.legs[0].local_address)
    with RtpPeer(ssrc=caller.ssrc) as stranger:
        stranger.sequence, stranger.timestamp = caller.sequence, caller.timestamp
        stranger.say(bridged.legs[0].local_address, b"\x66" * 160)
    caller.say(bridged.legs[0].local_address, b"\x77" * 160)
    heard = await assistant.hear_many(2)
    assert [packet.payload[0] for packet in heard] == [0xFF, 0x77]
    assert bridged.legs[0].statistics().foreign == 1


@story(*TWO)
async def test_latching_needs_valid_rtp(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    with RtpPeer() as stranger:
        stranger.send(leg.local_address, b"\x00\x01\x00\x00 a STUN request or so")
        stranger.send(leg.local_address, b"")
        stranger.send(leg.local_address, Packet(1, 1, 1, b"").encode())
        stranger.say(leg.local_address, payload_type=96)
    caller.say(leg.local_address, b"\x55" * 160)
    assert (await assistant.hear()).payload == b"\x55" * 160
    statistics = leg.statistics()
    assert (statistics.malformed, statistics.dropped, statistics.foreign) == (3, 1, 0)


@story(*TWO)
async def test_a_new_address_in_the_sdp_arms_latching_anew(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    caller.say(leg.local_address)
    await assistant.hear()
    assert await bridged.events.next() == FirstPacket(leg)
    with RtpPeer(ssrc=0x9999) as moved:
        leg.set_remote(moved.parameters())
        caller.say(leg.local_address, b"\x66" * 160)  # still under way from the old address
        moved.say(leg.local_address, b"\x77" * 160)
        assert (await assistant.hear()).payload == b"\x77" * 160
        assert await bridged.events.next() == FirstPacket(leg)
        assistant.say(bridged.legs[1].local_address)
        assert await moved.hear()
    assert leg.statistics().foreign == 1


@story(*TWO)
async def test_the_same_address_again_keeps_the_latch(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    with RtpPeer() as named:
        leg.set_remote(caller.parameters(remote=named.address))
        caller.say(leg.local_address)
        await assistant.hear()
        leg.set_remote(caller.parameters(remote=named.address))
        assistant.say(bridged.legs[1].local_address)
        assert await caller.hear()


@story(Codec.PCMU, Codec.PCMA)
async def test_a_tone_survives_transcoding(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    tone = [round(9000 * math.sin(2 * math.pi * 440 * n / 8000)) for n in range(800)]
    octets = bytes(_mu_law(sample) for sample in tone)
    for start in range(0, 800, 160):
        caller.say(bridged.legs[0].local_address, octets[start : start + 160])
    heard = await assistant.hear_many(5)
    assert {packet.payload_type for packet in heard} == {8}
    samples = [_from_a_law(octet) for packet in heard for octet in packet.payload]
    error = sum((a - b) ** 2 for a, b in zip(tone, samples, strict=True)) / sum(a * a for a in tone)
    assert error < 10 ** (-30 / 10)  # 30 dB, what two quantisations leave


@story(*TWO)
async def test_a_digit_crosses_with_the_other_sides_payload_type(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    bridged.legs[1].set_remote(replace(assistant.parameters(), telephone_event=96))
    caller.say(bridged.legs[0].local_address)
    caller.press(bridged.legs[0].local_address, 5)
    caller.say(bridged.legs[0].local_address)
    audio, *digit, after = await assistant.hear_many(10)
    assert {packet.payload_type for packet in digit} == {96}
    assert {packet.timestamp for packet in digit} == {audio.timestamp + 160}
    assert [packet.marker for packet in digit] == [True] + [False] * 7
    assert [struct.unpack("!BBH", packet.payload)[2] for packet in digit] == [
        *range(160, 960, 160),
        *[960] * 3,
    ]
    assert after.timestamp == audio.timestamp + 160 + 960
    assert [b.sequence - a.sequence for a, b in pairwise([audio, *digit, after])] == [1] * 9
    assert await bridged.events.next() == FirstPacket(bridged.legs[0])
    assert await bridged.events.next() == DtmfDigit(bridged.legs[0], "5", 120)
    assert bridged.events.empty()


@story(*TWO)
async def test_a_digit_toward_a_side_without_events_leaves_no_gap(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    bridged.legs[1].set_remote(replace(assistant.parameters(), telephone_event=None))
    caller.say(bridged.legs[0].local_address)
    caller.press(bridged.legs[0].local_address, 11)
    caller.say(bridged.legs[0].local_address)
    before, after = await assistant.hear_many(2)
    assert after.sequence == (before.sequence + 1) & 0xFFFF
    await bridged.events.next()
    assert await bridged.events.next() == DtmfDigit(bridged.legs[0], "#", 120)


@story(Codec.PCMU, Codec.PCMU, Codec.PCMA)
async def test_a_rebridge_is_one_stream_to_the_caller(bridged: Bridged, people: list[RtpPeer]) -> None:
    """Assistant, then agent, then assistant: one SSRC, no sequence gap, a marker on each switch."""
    caller, assistant, agent = people
    to_assistant, to_agent = bridged.legs[1].local_address, bridged.legs[2].local_address
    for _ in range(3):
        assistant.say(to_assistant)
    heard = await caller.hear_many(3)
    bridged.call.bridge(bridged.legs[0], bridged.legs[2])
    assistant.say(to_assistant, b"\x01" * 160)  # must not be heard any more
    for _ in range(3):
        agent.say(to_agent, b"\xd5" * 160)
    heard += await caller.hear_many(3)
    bridged.call.bridge(bridged.legs[1], bridged.legs[0])
    assistant.say(to_assistant)
    heard += await caller.hear_many(1)
    assert len({packet.ssrc for packet in heard}) == 1
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(heard)] == [1] * 6
    assert [packet.marker for packet in heard] == [True, False, False, True, False, False, True]
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(heard)]
    assert all(160 <= step < 8000 * STALL for step in steps)
    assert all(packet.payload != b"\x01" * 160 for packet in heard)
    caller.say(bridged.legs[0].local_address)
    assert await assistant.hear()


@story(*TWO)
async def test_loss_and_reordering_stay_visible_and_duplicates_go(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    packets = [Packet(n, 160 * n, 7, bytes([n]) * 160).encode() for n in range(10)]
    for n in (0, 1, 3, 2, 2, 6):
        caller.send(leg.local_address, packets[n])
    heard = await assistant.hear_many(5)
    assert [packet.payload[0] for packet in heard] == [0, 1, 3, 2, 6]
    first = heard[0].sequence
    assert [(packet.sequence - first) & 0xFFFF for packet in heard] == [0, 1, 3, 2, 6]
    assert [(packet.timestamp - heard[0].timestamp) & 0xFFFFFFFF for packet in heard] == [
        160 * n for n in (0, 1, 3, 2, 6)
    ]
    statistics = leg.statistics()
    assert (statistics.packets_in, statistics.lost, statistics.dropped) == (5, 2, 1)
    assert (statistics.late, statistics.duplicates) == (1, 1)


@story(*TWO)
async def test_hold_stops_one_direction_or_both(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    to_caller_leg, to_assistant_leg = (leg.local_address for leg in bridged.legs)
    assistant.say(to_assistant_leg)
    before = await caller.hear()
    bridged.legs[0].set_remote(caller.parameters(send=False))
    assistant.say(to_assistant_leg)
    caller.say(to_caller_leg)
    assert await assistant.hear()  # the other direction goes on, and the held packet has been handled
    bridged.legs[0].set_remote(replace(caller.parameters(), remote=None))
    assistant.say(to_assistant_leg)
    caller.say(to_caller_leg)
    assert await assistant.hear()
    bridged.legs[0].set_remote(caller.parameters(receive=False))
    caller.say(to_caller_leg, b"\x66" * 160)
    resumed = assistant.say(to_assistant_leg, b"\x44" * 160)
    after = await caller.hear()
    assert (after.payload, after.marker) == (resumed.payload, True)
    assert after.sequence == (before.sequence + 1) & 0xFFFF
    bridged.legs[0].set_remote(caller.parameters())
    caller.say(to_caller_leg, b"\x55" * 160)
    assert (await assistant.hear()).payload == b"\x55" * 160
    assert bridged.legs[0].statistics().packets_in == 4


@story(*TWO)
async def test_what_a_relay_did_not_pass_on_while_held_is_not_lost(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    """Asterisk's native bridge: the numbers of the phone behind it go on while we are told nothing."""
    caller, assistant = people
    leg = bridged.legs[0]
    caller.say(leg.local_address)
    before = await assistant.hear()
    leg.set_remote(caller.parameters(receive=False))
    caller.sequence += 30
    leg.set_remote(caller.parameters())
    caller.say(leg.local_address, b"\x55" * 160)
    after = await assistant.hear()
    assert (after.payload, after.marker) == (b"\x55" * 160, True)
    assert after.sequence == (before.sequence + 1) & 0xFFFF
    assert leg.statistics().lost == 0
    caller.sequence += 1
    caller.say(leg.local_address)
    await assistant.hear()
    assert leg.statistics().lost == 1, "what is lost afterwards counts"


@story(*TWO)
async def test_unbridged_legs_still_count_but_nobody_hears_them(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    to_caller_leg = bridged.legs[0].local_address
    caller.say(to_caller_leg)
    before = await assistant.hear()
    bridged.call.unbridge(bridged.legs[1])
    caller.say(to_caller_leg, b"\x66" * 160)
    await becomes_true(lambda: bridged.legs[0].statistics().packets_in == 2)
    bridged.call.bridge(*bridged.legs)
    caller.say(to_caller_leg, b"\x77" * 160)
    after = await assistant.hear()
    assert (after.payload, after.marker) == (b"\x77" * 160, True)
    assert after.sequence == (before.sequence + 1) & 0xFFFF
    assert bridged.legs[0].statistics().packets_in == 3


@story(*TWO)
async def test_silence_is_reported_once_and_again_after_packets_came_back(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    leg = bridged.legs[0]
    leg.set_media_timeout(0.03)
    assert await bridged.events.next() == MediaTimeout(leg)
    people[0].say(leg.local_address)
    assert await bridged.events.next() == FirstPacket(leg)
    assert await bridged.events.next() == MediaTimeout(leg)
    bridged.legs[1].set_media_timeout(0.12)  # four more of the first leg's would have come before it
    assert await bridged.events.next() == MediaTimeout(bridged.legs[1])
    leg.set_media_timeout(None)
    assert bridged.events.empty()


@story(*TWO)
async def test_the_media_timeout_stands_still_on_hold(bridged: Bridged, people: list[RtpPeer]) -> None:
    held, other = bridged.legs
    held.set_remote(people[0].parameters(receive=False))
    held.set_media_timeout(0.02)
    other.set_media_timeout(0.1)
    assert await bridged.events.next() == MediaTimeout(other)
    other.set_media_timeout(None)
    held.set_remote(people[0].parameters())
    assert await bridged.events.next() == MediaTimeout(held)


@story(*TWO)
async def test_comfort_noise_nobody_agreed_on_is_a_sign_of_life_before_any_audio(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    """Asterisk's rtp_keepalive, while its dialplan only waits. Nobody has been heard yet."""
    leg = bridged.legs[0]
    leg.set_media_timeout(0.03)
    assert await bridged.events.next() == MediaTimeout(leg)
    people[0].say(leg.local_address, b"\x7f", payload_type=13)
    assert await bridged.events.next() == MediaTimeout(leg), "it was alive in between"


@story(*TWO)
async def test_rtcp_is_received_and_counted(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    host, port = bridged.legs[0].local_address
    report = struct.pack("!BBHI", 0x80, 201, 1, caller.ssrc)
    caller.send((host, port + 1), report)
    caller.send((host, port), report)  # multiplexed (RFC 5761)
    caller.send((host, port + 1), b"noise")
    caller.say((host, port))
    await assistant.hear()
    # The RTCP socket has an order of its own.
    await becomes_true(lambda: bridged.legs[0].statistics().malformed == 1)
    statistics = bridged.legs[0].statistics()
    assert (statistics.rtcp_in, statistics.malformed, statistics.packets_in) == (2, 1, 1)


def test_ipv6_and_both_families_on_one_socket() -> None:
    async def run() -> None:
        async with running(NativeSettings(address="::", ports=(0, 0))) as engine:
            with RtpPeer(host="::1") as six, RtpPeer() as four:
                bridged = Bridged(engine, [six, four])
                (_, port_six), (_, port_four) = (leg.local_address for leg in bridged.legs)
                said = six.say(("::1", port_six))
                assert (await four.hear()).payload == said.payload
                answered = four.say(("127.0.0.1", port_four), b"\x11" * 160)
                assert (await six.hear()).payload == answered.payload
                four.say(("127.0.0.1", port_four), b"\x12" * 160)
                assert (await six.hear()).payload == b"\x12" * 160
                assert [leg.statistics().foreign for leg in bridged.legs] == [0, 0]

    asyncio.run(run())


def _mu_law(sample: int) -> int:
    magnitude = min(abs(sample), 32635) + 132
    segment = magnitude.bit_length() - 8
    return ~((0x80 if sample < 0 else 0) | segment << 4 | magnitude >> (segment + 3) & 0x0F) & 0xFF


def _from_a_law(octet: int) -> int:
    code = octet ^ 0x55
    segment, step = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = step + 8 if segment == 0 else (step + 0x108) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude
