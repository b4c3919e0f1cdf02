"""Calls on a real native engine, between RTP peers on loopback sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from media.engine import Codec, Engine, MediaCall, MediaLeg
from media.events import MediaEvent
from media.native import NativeEngine, NativeSettings
from tests.support.rtp_peer import STALL, RtpPeer

ANY_PORTS = NativeSettings(ports=(0, 0))


class Events(asyncio.Queue[MediaEvent]):
    """What a call was told, in order."""

    async def next(self) -> MediaEvent:
        async with asyncio.timeout(STALL):
            return await self.get()

    async def until(self, kind: type[MediaEvent], count: int = 1) -> list[MediaEvent]:
        """All until so many of a kind have come."""
        taken: list[MediaEvent] = []
        while sum(isinstance(event, kind) for event in taken) < count:
            taken.append(await self.next())
        return taken


async def becomes_true(condition: Callable[[], bool]) -> None:
    """For what another thread finishes without telling."""
    async with asyncio.timeout(STALL):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.002)


async def no_more_is_sent(leg: MediaLeg) -> int:
    """Waits until a leg has sent nothing for ten packets' time. Returns how many it had sent."""
    sent = -1
    while sent != leg.statistics().packets_out:
        sent = leg.statistics().packets_out
        await asyncio.sleep(0.2)
    return sent


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
        self.engine = engine
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
