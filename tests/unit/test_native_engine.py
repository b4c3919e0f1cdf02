"""The native engine over real loopback sockets: who hears whom, and what nobody hears.

Nothing here waits for time to pass: what must not arrive is followed by something that must, on the same path.
"""

from __future__ import annotations

import asyncio
import gc
import math
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from media.engine import (
    Codec,
    DtmfDigit,
    Engine,
    EngineLost,
    FirstPacket,
    MediaCall,
    MediaError,
    MediaEvent,
    MediaLeg,
    MediaTimeout,
    PortsExhausted,
)
from media.native import NativeEngine, NativeSettings
from tests.support.rtp_peer import STALL, Packet, RtpPeer

ANY_PORTS = NativeSettings(ports=(0, 0))


class Events(asyncio.Queue[MediaEvent]):
    """What a call was told, in order."""

    async def next(self) -> MediaEvent:
        async with asyncio.timeout(STALL):
            return await self.get()


async def becomes_true(condition: Callable[[], bool]) -> None:
    """For what another thread finishes without telling."""
    async with asyncio.timeout(STALL):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.002)


@asynccontextmanager
async def running(settings: NativeSettings = ANY_PORTS) -> AsyncIterator[NativeEngine]:
    engine = NativeEngine(settings)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


@contextmanager
def peers(*codecs: Codec) -> Iterator[list[RtpPeer]]:
    opened = [RtpPeer(codec, ssrc=0x1000 + n) for n, codec in enumerate(codecs)]
    try:
        yield opened
    finally:
        for peer in opened:
            peer.close()


class Bridged:
    """A call with one leg per peer; the first two hear each other."""

    def __init__(self, engine: Engine, people: list[RtpPeer]) -> None:
        self.events = Events()
        self.call: MediaCall = engine.open_call(self.events.put_nowait)
        self.legs: list[MediaLeg] = []
        for number, peer in enumerate(people):
            leg = self.call.open_leg(("caller", "assistant", "agent")[number])
            leg.set_remote(peer.parameters())
            self.legs.append(leg)
        if len(people) > 1:
            self.call.bridge(self.legs[0], self.legs[1])


def story(
    *codecs: Codec,
) -> Callable[[Callable[[Bridged, list[RtpPeer]], Awaitable[None]]], Callable[[], None]]:
    """Runs a test as a coroutine with a bridged call between peers of these codecs."""

    def decorate(told: Callable[[Bridged, list[RtpPeer]], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            async with running() as engine:
                with peers(*codecs) as people:
                    await told(Bridged(engine, people), people)

        def test() -> None:
            asyncio.run(run())

        test.__doc__ = told.__doc__
        return test

    return decorate


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
async def test_unbridged_legs_still_count_but_nobody_hears_them(
    bridged: Bridged, people: list[RtpPeer]
) -> None:
    bridged.call.unbridge(bridged.legs[1])
    people[0].say(bridged.legs[0].local_address, b"\x66" * 160)
    assert await bridged.events.next() == FirstPacket(bridged.legs[0])
    bridged.call.bridge(*bridged.legs)
    people[0].say(bridged.legs[0].local_address, b"\x77" * 160)
    assert (await people[1].hear()).payload == b"\x77" * 160
    assert bridged.legs[0].statistics().packets_in == 2


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


@story(*TWO)
async def test_closing_is_idempotent_and_ends_events(bridged: Bridged, people: list[RtpPeer]) -> None:
    leg, other = bridged.legs
    people[0].say(leg.local_address)
    await people[1].hear()
    bridged.call.close_leg(leg)
    bridged.call.close_leg(leg)
    bridged.call.bridge(leg, other)
    bridged.call.unbridge(leg)
    leg.set_remote(people[0].parameters())
    leg.set_media_timeout(0.0)
    bridged.call.close()
    bridged.call.close()
    assert leg.statistics().packets_in == 1
    with pytest.raises(MediaError, match="closed"):
        bridged.call.open_leg("agent")


@story(Codec.PCMU)
async def test_misuse_is_refused(bridged: Bridged, people: list[RtpPeer]) -> None:
    (leg,), parameters = bridged.legs, people[0].parameters()
    with pytest.raises(MediaError, match="itself"):
        bridged.call.bridge(leg, leg)
    for wrong in (
        replace(parameters, remote=("example.com", 1)),
        replace(parameters, remote=("127.0.0.1", 65_536)),
        replace(parameters, payload_type=128),
    ):
        with pytest.raises(MediaError):
            leg.set_remote(wrong)
    with pytest.raises(MediaError):
        leg.set_media_timeout(-1.0)


def test_a_leg_of_another_call_is_refused() -> None:
    async def run() -> None:
        async with running() as engine:
            one, two = engine.open_call(lambda event: None), engine.open_call(lambda event: None)
            a, b = one.open_leg("caller"), two.open_leg("agent")
            with pytest.raises(MediaError, match="another call"):
                one.bridge(a, b)

    asyncio.run(run())


def test_ports_run_out_rest_and_come_back() -> None:
    """Three pairs: a fourth leg is refused, also while released pairs rest."""

    async def run() -> None:
        low = _free_range(6)
        async with running(NativeSettings(ports=(low, low + 5), quarantine=0.2)) as engine:
            call = engine.open_call(lambda event: None)
            legs = [call.open_leg("caller") for _ in range(3)]
            assert [leg.local_address[1] for leg in legs] == [low, low + 2, low + 4]
            assert (engine.free_ports, engine.capacity) == (0, 3)
            with pytest.raises(PortsExhausted):
                call.open_leg("agent")
            call.close()
            again = engine.open_call(lambda event: None)
            with pytest.raises(PortsExhausted):
                again.open_leg("caller")
            await becomes_true(lambda: engine.free_ports == 3)
            assert again.open_leg("caller").local_address[1] in range(low, low + 6)

    asyncio.run(run())


def test_a_port_in_use_elsewhere_is_stepped_over() -> None:
    async def run() -> None:
        low = _free_range(4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as occupied:
            occupied.bind(("127.0.0.1", low + 1))
            async with running(NativeSettings(ports=(low, low + 3), quarantine=60.0)) as engine:
                call = engine.open_call(lambda event: None)
                assert call.open_leg("caller").local_address[1] == low + 2
                with pytest.raises(PortsExhausted):
                    call.open_leg("agent")

    asyncio.run(run())


def test_calls_leave_nothing_behind_closed_or_forgotten() -> None:
    async def run() -> None:
        async with running() as engine:
            free, descriptors = engine.free_ports, _descriptors()
            for number in range(20):
                call = engine.open_call(lambda event: None)
                call.bridge(call.open_leg("caller"), call.open_leg("agent"))
                if number % 2:
                    call.close()
                del call
            gc.collect()
            await becomes_true(lambda: (engine.free_ports, _descriptors()) == (free, descriptors))

    gc.collect()  # what earlier tests left for the collector
    before = _descriptors()
    asyncio.run(run())
    gc.collect()
    assert _descriptors() == before


def test_an_engine_that_is_not_running_says_so() -> None:
    async def run() -> None:
        engine = NativeEngine(ANY_PORTS)
        with pytest.raises(MediaError, match="not running"):
            engine.open_call(lambda event: None)
        await engine.start()
        with pytest.raises(MediaError, match="already started"):
            await engine.start()
        call = engine.open_call(lambda event: None)
        await engine.close()
        await engine.close()
        with pytest.raises(MediaError):
            call.open_leg("caller")

    asyncio.run(run())


@pytest.mark.parametrize("address", ["192.0.2.1", "localhost"])
def test_an_address_that_cannot_be_bound_is_told_at_the_start(address: str) -> None:
    async def run() -> None:
        with pytest.raises(MediaError):
            await NativeEngine(NativeSettings(address=address)).start()

    asyncio.run(run())


def test_a_lost_worker_is_told_to_its_calls_once() -> None:
    """How a panic becomes the event is tested in the core; here: what the event does."""

    async def run() -> None:
        async with running(replace(ANY_PORTS, workers=2)) as engine:
            events = Events(), Events()
            calls = [engine.open_call(queue.put_nowait) for queue in events]
            calls[0].open_leg("caller")
            other = engine.open_call(events[1].put_nowait)
            assert other.worker != calls[0].worker, "a new call goes to the worker with the fewest legs"
            for _ in range(2):
                engine.deliver([("worker_lost", calls[0].worker, "", 0)])
            assert isinstance(await events[0].next(), EngineLost)
            assert events[0].empty()
            with pytest.raises(MediaError, match="closed"):
                calls[0].open_leg("agent")
            assert other.open_leg("caller")

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


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _free_range(size: int) -> int:
    """The first of `size` ports, starting even, that nobody uses now."""
    for low in range(20_000, 30_000, size + size % 2):
        held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(size)]
        try:
            for offset, probe in enumerate(held):
                probe.bind(("127.0.0.1", low + offset))
        except OSError:
            continue
        else:
            return low
        finally:
            for probe in held:
                probe.close()
    raise AssertionError("no free ports")
