"""How often a daemon is asked about a leg, and how late what it says is noticed all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from weakref import WeakValueDictionary

import pytest

from media.engine import Codec, StreamParameters
from media.events import FirstPacket, MediaEvent, MediaTimeout, Switched
from media.rtpengine.call import RtpengineCall
from tests.support.rtpengine_double import NodeDouble
from tests.support.virtual_loop import run_virtual

PEER = StreamParameters(("198.51.100.1", 30_000), None, Codec.PCMU, 0, 101)


class Stage:
    """A leg on a daemon whose peer sends fifty packets a second while it talks."""

    def __init__(self) -> None:
        self.node = NodeDouble()
        self.events: list[tuple[float, MediaEvent]] = []
        self._time = asyncio.get_running_loop().time
        self.call = RtpengineCall(lambda: [self.node.as_node], WeakValueDictionary(), self._note)
        self.leg = self.call.open_leg("caller")
        self.leg.set_remote(PEER)
        self._packets = 0

    def _note(self, event: MediaEvent) -> None:
        self.events.append((self._time(), event))

    async def passes(self, seconds: float, *, talk: bool) -> float:
        """Time passes, with what the daemon was asked answered at once; the time then."""
        end = self._time() + seconds
        while self._time() < end:
            self._packets += talk
            self.node.count(leg0=self._packets)
            self.node.answer()
            await asyncio.sleep(0.02)
        return self._time()

    def when(self, kind: type[MediaEvent]) -> list[float]:
        """The times of these events."""
        return [at for at, event in self.events if isinstance(event, kind)]


def staged(told: Callable[[Stage], Awaitable[None]]) -> None:
    """Plays a story in virtual time."""

    async def run() -> None:
        await told(Stage())

    run_virtual(run())


def test_a_leg_that_is_heard_is_seldom_asked_for() -> None:
    async def told(stage: Stage) -> None:
        stage.leg.set_media_timeout(60.0)
        await stage.passes(600.0, talk=True)
        assert stage.node.questions <= 43
        assert stage.when(MediaTimeout) == []

    staged(told)


def test_a_leg_that_is_never_heard_is_asked_for_less_and_less() -> None:
    async def told(stage: Stage) -> None:
        answered = await stage.passes(0.0, talk=False)
        rang = await stage.passes(20.0, talk=False)
        assert stage.node.questions <= 10
        heard = await stage.passes(20.0, talk=True)
        (first,) = stage.when(FirstPacket)
        assert answered < first < heard
        assert first - rang <= rang - answered, "late by no more than it had waited"

    staged(told)


@pytest.mark.parametrize("talks", [3.0, 14.0, 31.0, 100.0])
def test_a_silence_is_noticed_in_time_though_the_daemon_is_seldom_asked(talks: float) -> None:
    async def told(stage: Stage) -> None:
        stage.leg.set_media_timeout(60.0)
        silent = await stage.passes(talks, talk=True)
        await stage.passes(100.0, talk=False)
        (noticed,) = stage.when(MediaTimeout)
        assert noticed - silent == pytest.approx(60.0, abs=1.2), "the daemon tells whole seconds"

    staged(told)


def test_who_resumes_is_given_no_longer_than_anybody_to_be_heard() -> None:
    async def told(stage: Stage) -> None:
        stage.leg.set_media_timeout(4.0)
        stage.leg.set_remote(replace(PEER, receive=False))
        await stage.passes(60.0, talk=False)
        assert stage.when(MediaTimeout) == []
        stage.leg.set_remote(PEER)
        resumed = await stage.passes(0.0, talk=False)
        await stage.passes(20.0, talk=False)
        (noticed,) = stage.when(MediaTimeout)
        assert noticed - resumed == pytest.approx(4.0, abs=0.2)

    staged(told)


@pytest.mark.parametrize("set_by", [-3600.0, 3600.0])
def test_a_daemon_whose_clock_is_set_does_not_make_a_silence(set_by: float) -> None:
    async def told(stage: Stage) -> None:
        stage.leg.set_media_timeout(60.0)
        await stage.passes(100.0, talk=True)
        stage.node.clock += set_by
        await stage.passes(100.0, talk=True)
        assert stage.when(MediaTimeout) == []

    staged(told)


def test_who_is_waited_for_in_vain_is_heard_late_by_a_share_of_that_alone() -> None:
    async def told(stage: Stage) -> None:
        listener = stage.call.open_leg("listener")
        listener.set_remote(replace(PEER, remote=("198.51.100.1", 30_002)))
        stage.call.hear_when_heard(listener, stage.leg)
        asked = await stage.passes(0.0, talk=False)
        spoken = await stage.passes(20.0, talk=False)
        assert stage.node.questions < 130
        await stage.passes(2.0, talk=True)
        assert listener.source is stage.leg
        assert stage.when(FirstPacket)[0] - spoken <= (spoken - asked) / 20 + 0.1
        assert [event for _, event in stage.events if isinstance(event, Switched)] == [
            Switched(listener, heard=False)
        ]

    staged(told)


def test_whoever_looks_at_the_figures_twice_sees_new_ones() -> None:
    async def told(stage: Stage) -> None:
        await stage.passes(20.0, talk=True)
        stage.leg.statistics()
        before = stage.node.questions
        await stage.passes(0.2, talk=True)
        assert stage.node.questions == before + 1
        assert stage.leg.statistics().packets_in == pytest.approx(1000, abs=10)

    staged(told)
