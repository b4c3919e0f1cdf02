"""What is neither silence nor speech: digits that must cross once, and comfort noise that must not cross unasked."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise

from media.engine import Codec
from media.events import DtmfDigit, FirstPacket
from tests.support.native_calls import Bridged, story
from tests.support.rtp_peer import Packet, RtpPeer

TWO = (Codec.PCMU, Codec.PCMU)
EVENT = 101
NOISE = 13


def press(
    caller: RtpPeer, code: int, durations: list[tuple[int, bool]], *, marked: bool = True
) -> list[bytes]:
    """The packets of a digit, each with its duration and whether it says the end; advances the sequence only."""
    packets = []
    for number, (duration, end) in enumerate(durations):
        payload = struct.pack("!BBH", code, end << 7 | 10, duration)
        marker = marked and number == 0
        packet = Packet(caller.sequence, caller.timestamp, caller.ssrc, payload, EVENT, marker)
        packets.append(packet.encode())
        caller.sequence += 1
    return packets


DIGIT = [(160, False), (320, False), (480, True), (480, True), (480, True)]


@story(*TWO)
async def test_digits_of_a_device_without_marker_bits_cross_marked(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    caller.say(leg.local_address)
    for code in (4, 4):
        for packet in press(caller, code, DIGIT, marked=False):
            caller.send(leg.local_address, packet)
        caller.timestamp += 480 + 800
    audio, *events = await assistant.hear_many(11)
    assert [event.marker for event in events] == [True, False, False, False, False] * 2
    assert [event.timestamp - audio.timestamp for event in events] == [160] * 5 + [160 + 1280] * 5
    assert [b.sequence - a.sequence for a, b in pairwise([audio, *events])] == [1] * 10
    assert [await bridged.events.next() for _ in range(3)] == [
        FirstPacket(leg),
        DtmfDigit(leg, "4", 60),
        DtmfDigit(leg, "4", 60),
    ]


@story(*TWO)
async def test_end_packets_are_as_many_as_were_sent(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    caller.say(leg.local_address)
    for packet in press(caller, 4, DIGIT):
        caller.send(leg.local_address, packet)
        caller.send(leg.local_address, packet)  # the network's copy of it, not the device's
    caller.timestamp += 480
    caller.say(leg.local_address)
    heard = await assistant.hear_many(7)
    assert [packet.payload[1] >> 7 for packet in heard[1:6]] == [0, 0, 1, 1, 1]
    assert heard[6].payload_type == 0
    assert leg.statistics().dropped == 5


@story(*TWO)
async def test_audio_goes_on_after_the_event_of_a_device_whose_clock_stood_still(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    leg = bridged.legs[0]
    caller.say(leg.local_address)
    for packet in press(caller, 4, [(400 * n, n > 4) for n in range(1, 8)]):
        caller.send(leg.local_address, packet)
    for _ in range(2):  # with the timestamp of the event's beginning, and 20 ms after it
        caller.say(leg.local_address)
    audio, *events, after, then = await assistant.hear_many(10)
    assert {event.timestamp for event in events} == {audio.timestamp + 160}
    assert after.timestamp >= audio.timestamp + 160 + 2800
    assert then.timestamp == after.timestamp + 160
    assert [b.sequence - a.sequence for a, b in pairwise([audio, *events, after, then])] == [1] * 9


@story(*TWO)
async def test_a_digit_interrupted_by_a_hold_is_not_two(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, assistant = people
    to_leg = bridged.legs[0].local_address
    caller.say(to_leg)
    one, two, *ends = press(caller, 4, DIGIT)
    caller.send(to_leg, one)
    first = (await assistant.hear_many(2))[1]
    bridged.legs[1].set_remote(assistant.parameters(send=False))
    caller.send(to_leg, two)
    assistant.say(bridged.legs[1].local_address)
    await caller.hear()  # what was sent during the hold has been handled
    bridged.legs[1].set_remote(assistant.parameters())
    for end in ends:
        caller.send(to_leg, end)
    caller.timestamp += 480
    caller.say(to_leg, b"\x77" * 160)
    after = await assistant.hear()
    assert (after.payload, after.sequence) == (b"\x77" * 160, first.sequence + 1 & 0xFFFF)


@story(Codec.PCMU, Codec.PCMU, Codec.PCMU)
async def test_who_comes_in_the_middle_of_a_digit_hears_none(bridged: Bridged, people: list[RtpPeer]) -> None:
    """The assistant was told of it already."""
    caller, assistant, agent = people
    to_leg = bridged.legs[0].local_address
    caller.say(to_leg)
    one, *others = press(caller, 4, DIGIT)
    caller.send(to_leg, one)
    await assistant.hear_many(2)
    bridged.call.bridge(bridged.legs[0], bridged.legs[2])
    for packet in others:
        caller.send(to_leg, packet)
    caller.timestamp += 480
    caller.say(to_leg)
    assert (await agent.hear()).payload_type == 0


@story(Codec.PCMU, Codec.PCMA)
async def test_comfort_noise_crosses_between_sides_that_both_have_it(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    for leg, peer in zip(bridged.legs, people, strict=True):
        leg.set_remote(replace(peer.parameters(), comfort_noise=True))
    caller.say(bridged.legs[0].local_address)
    caller.say(bridged.legs[0].local_address, b"\x4e\x10\x20", payload_type=NOISE)
    caller.timestamp += 8000
    caller.say(bridged.legs[0].local_address)
    before, noise, after = await assistant.hear_many(3)
    assert (noise.payload_type, noise.payload) == (NOISE, b"\x4e\x10\x20"), "levels are the same in both laws"
    assert noise.timestamp == before.timestamp + 160
    assert after.timestamp == noise.timestamp + 160 + 8000
    assert after.sequence == before.sequence + 2 & 0xFFFF
    assert bridged.legs[0].statistics().packets_in == 3


@story(*TWO)
async def test_comfort_noise_is_left_out_without_a_gap_where_one_side_lacks_it(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    caller, assistant = people
    with_noise = replace(caller.parameters(), comfort_noise=True)
    for parameters in (with_noise, caller.parameters()):
        bridged.legs[0].set_remote(parameters)
        caller.say(bridged.legs[0].local_address)
        caller.say(bridged.legs[0].local_address, b"\x4e", payload_type=NOISE)
        caller.say(bridged.legs[0].local_address)
        before, after = await assistant.hear_many(2)
        assert after.sequence == before.sequence + 1 & 0xFFFF
        assert after.timestamp == (before.timestamp + 320) & 0xFFFFFFFF


@story(*TWO)
async def test_a_peer_may_begin_with_comfort_noise(bridged: Bridged, people: list[RtpPeer]) -> None:
    caller, _ = people
    leg = bridged.legs[0]
    leg.set_remote(replace(caller.parameters(), comfort_noise=True))
    caller.say(leg.local_address, b"\x4e", payload_type=NOISE)
    assert await bridged.events.next() == FirstPacket(leg)
