"""The native engine's ports, descriptors and endings: nothing leaks, nothing is closed twice, misuse is told."""

from __future__ import annotations

import asyncio
import gc
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from media.engine import Codec, MediaError, NoAddress, PortsExhausted
from media.events import EngineLost
from media.native import NativeEngine, NativeSettings
from tests.support.native_calls import ANY_PORTS, Bridged, Events, becomes_true, running, story
from tests.support.ports import free_port_range
from tests.support.rtp_peer import RtpPeer

TWO = (Codec.PCMU, Codec.PCMU)


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


@pytest.mark.parametrize(
    ("address", "versions"), [("::", {4, 6}), ("0.0.0.0", {4}), ("127.0.0.1", {4}), ("::1", {6})]
)
def test_a_leg_has_a_version_of_ip_that_its_address_takes(address: str, versions: set[int]) -> None:
    async def run() -> None:
        engine = NativeEngine(replace(ANY_PORTS, address=address))
        await engine.start()
        try:
            call = engine.open_call(lambda event: None)
            for version in (4, 6):
                if version in versions:
                    call.open_leg("caller", ipv6=version == 6)
                    continue
                with pytest.raises(NoAddress, match=f"takes no audio over IPv{version}"):
                    call.open_leg("caller", ipv6=version == 6)
        finally:
            await engine.close()

    asyncio.run(run())


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
        low, high = free_port_range(6)
        async with running(NativeSettings(ports=(low, high), quarantine=0.2)) as engine:
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
        low, high = free_port_range(4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as occupied:
            occupied.bind(("127.0.0.1", low + 1))
            async with running(NativeSettings(ports=(low, high), quarantine=60.0)) as engine:
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
    assert _descriptors() <= before


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


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
