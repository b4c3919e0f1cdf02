"""Calls of our own, and calls that a phone has joined, go on in the next process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.call import joining
from b2bua.call_order import CallOrder
from b2bua.handoff.handoff import HandoffRequest
from sip_stack.events import Answered, Ended
from tests.support.attended_transfer import refer, replaces
from tests.support.b2bua_world import BILLING, DESK, SBC, World, play
from tests.support.handoff_cast import ASSISTANT, MAIN, answer_at_once
from tests.support.kept_history import as_object, as_objects
from tests.support.media_leg_double import Nothing
from tests.support.next_process import Watched
from tests.support.own_calls import ORDER, two_calls
from tests.support.taken_over import fates

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


def test_a_call_of_our_own_goes_on_and_is_joined_with_a_caller_later(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        alice, session, _, desk, placed = await two_calls(world)
        await asyncio.sleep(10)
        said = len(world.network.wire.log)
        await watched.kill_and_restart()
        assert world.network.wire.log[said:] == [], "nothing is said to anybody"
        assert fates(world) == {("taken_over",): 2}
        ours = world.registry.calls[placed.id]
        hers = next(call for call in world.registry.calls.values() if call is not ours)
        assert ours.record.placed
        assert ours.peer is not None
        assert ours.peer.media.source is Nothing.SILENCE, "the line is not dead"  # type: ignore[attr-defined]

        joining.bridge(ours, hers)
        assert hers.caller is not None
        assert hers.peer is not None
        assert hers.peer.media.peer is hers.caller.media  # type: ignore[attr-defined]
        await asyncio.sleep(10)
        alice.do(session.bye)
        assert (await desk.until(Ended)).by == "remote"
        await world.record(2)
        for record in world.records:
            assert record.outcome is not None
            assert record.outcome.code == 4000
            assert record.duration_ms >= 20_000
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("side", ["theirs", "api"])
def test_a_call_of_our_own_ends_as_ever(tmp_path: Path, side: str) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        desk = await world.phone(DESK, answer_at_once)
        placed = world.registry.place(ORDER)
        await world.until(lambda: placed.answered)
        await watched.kill_and_restart()
        if side == "theirs":
            desk.do(desk.sessions[0].bye)
        else:
            await watched.keeping.operations.hang_up(placed.id)
        await desk.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "agent" if side == "theirs" else "api")
        assert len(world.records) == 1
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_those_whom_a_phone_has_joined_talk_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        desk, billing = await world.phone(DESK, answer_at_once), await world.phone(BILLING, answer_at_once)
        pat = await world.phone(SBC)
        one = pat.call("desk")
        await pat.until(Answered)
        other = pat.call("billing")
        await pat.until(Answered, count=2)
        assert await refer(pat, one, replaces(other)) == 202
        await pat.until(Ended, count=2)
        ended = await world.record()
        await watched.kill_and_restart()
        first, second = world.media.calls[-1].legs
        assert (first.peer, second.peer) == (second, first)
        billing.do(billing.sessions[0].bye)
        assert (await desk.until(Ended)).by == "remote"
        told = (await world.record(2)).as_json()
        assert as_object(told["outcome"])["code"] == 4000
        assert [each["call_id"] for each in as_objects(told["bridges"])] == [ended.call_id]
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("side", ["caller", "agent", "api"])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_two_calls_that_were_joined_over_the_api_go_on(tmp_path: Path, side: str, times: int) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        alice, session, hers, desk, placed = await two_calls(world)
        joining.bridge(placed, hers)
        await asyncio.sleep(10)
        said = len(world.network.wire.log)
        for _ in range(times):
            await watched.kill_and_restart()
        assert world.network.wire.log[said:] == [], "nothing is said to anybody"
        assert fates(world) == ({("taken_over",): 2} if times else {})
        carried = next(call for call in world.media.calls[::-1] if call.legs)
        first, second = (leg for leg in carried.legs if not leg.closed)
        assert (first.peer, second.peer) == (second, first)
        if side == "api":
            await watched.keeping.operations.hang_up(placed.id)
        else:
            phone, its = (alice, session) if side == "caller" else (desk, desk.sessions[0])
            phone.do(its.bye)
        for phone in {"caller": [desk], "agent": [alice], "api": [desk, alice]}[side]:
            assert (await phone.until(Ended)).by == "remote"
        await world.record(2)
        records = {record.call_id: record.as_json() for record in world.records}
        assert set(records) == {hers.id, placed.id}
        assert len(world.records) == 2
        sources = {each: as_object(record["outcome"])["source"] for each, record in records.items()}
        assert [as_object(record["outcome"])["code"] for record in records.values()] == [4000, 4000]
        assert (
            sources
            == {
                "caller": {hers.id: "caller", placed.id: "agent"},
                "agent": {hers.id: "agent", placed.id: "caller"},
                "api": {hers.id: "api", placed.id: "api"},
            }[side]
        ), "each call tells of its own sides, as without a restart"
        bridges = {each: as_objects(record["bridges"]) for each, record in records.items()}
        assert [each["call_id"] for each in bridges[hers.id]] == [placed.id]
        assert [each["call_id"] for each in bridges[placed.id]] == [hers.id]
        assert all(leg["ended"] for record in records.values() for leg in as_objects(record["legs"]))
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("kind", ["two of our own", "two callers"])
def test_whoever_is_joined_talks_on_and_both_calls_end_with_them(tmp_path: Path, kind: str) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        await world.phone(ASSISTANT, answer_at_once)
        if kind == "two callers":
            one, other = await world.phone(SBC), await world.phone("192.0.2.78")
            sessions = [one.call("support"), other.call("support")]
            await other.until(Answered)
        else:
            one, other = await world.phone(DESK, answer_at_once), await world.phone(BILLING, answer_at_once)
            for name in ("front-desk", "billing"):
                world.registry.place(CallOrder(HandoffRequest(destination=name)))
        await world.until(lambda: [call.answered for call in world.registry.calls.values()] == [True] * 2)
        host, guest = world.registry.calls.values()
        joining.bridge(host, guest)
        await asyncio.sleep(10)
        await watched.kill_and_restart()
        assert fates(world) == {("taken_over",): 2}
        session = sessions[0] if kind == "two callers" else one.sessions[0]
        one.do(session.bye)
        assert (await other.until(Ended)).by == "remote"
        await world.record(2)
        assert {record.call_id for record in world.records} == {host.id, guest.id}
        assert len(world.records) == 2
        assert {as_object(record.as_json()["outcome"])["code"] for record in world.records} == {4000}
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_joined_calls_whose_audio_is_gone_are_ended_and_recorded_once_each(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        alice, _, hers, desk, placed = await two_calls(world)
        joining.bridge(placed, hers)
        await watched.kill_and_restart()
        assert (await desk.until(Ended)).by == "remote"
        assert (await alice.until(Ended)).by == "remote"
        await world.record(2)
        codes = [as_object(record.as_json()["outcome"])["code"] for record in world.records]
        assert codes == [11072, 11072]
        assert {record.call_id for record in world.records} == {hers.id, placed.id}
        assert fates(world) == {("ended",): 2}
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)
