"""A destination whose name has several addresses: the next is tried, and what failed is tried last for a while."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.events import Answered, Rejected
from tests.support.b2bua_world import (
    BILLING,
    DESK,
    DESTINATIONS,
    SBC,
    Behaviour,
    World,
    answer,
    play,
    refuse,
)
from tests.support.outcomes import summary

NAMED = DESTINATIONS.replace(f"route: sip:operator@{DESK}", "route: sip:operator@pbx.example.com")


def test_an_unknown_host_is_a_network_error(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 500
        assert summary((await world.record()).outcome) == ("network_error", 5000, "failed")

    play(story, tmp_path, destinations=NAMED)


@pytest.mark.parametrize("first", [None, refuse(503)], ids=["dead", "503"])
def test_the_next_address_of_a_name_is_tried(tmp_path: Path, first: Behaviour | None) -> None:
    async def story(world: World) -> None:
        world.names["pbx.example.com"] = [BILLING, DESK]
        if first is not None:
            await world.phone(BILLING, first)
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(call.bye)
        record = await world.record()
        assert len(record.attempts) == 1, "one attempt, whatever its addresses"
        assert [leg.remote_address for leg in record.legs] == [
            f"{SBC}:5060",
            f"{BILLING}:5060",
            f"{DESK}:5060",
        ]

    play(story, tmp_path, destinations=NAMED)


@pytest.mark.parametrize(
    ("first", "avoided"),
    [(None, 30), (refuse(503), 30), (refuse(503, headers=[("Retry-After", "120 (so busy)")]), 120)],
    ids=["dead", "503", "Retry-After"],
)
def test_an_address_that_failed_is_tried_last_by_the_next_calls(
    tmp_path: Path, first: Behaviour | None, avoided: int
) -> None:
    async def story(world: World) -> None:
        async def call() -> list[str]:
            """The addresses that a call tried."""
            known, told = len(world.records), len(sbc.events)
            session = sbc.call("desk")
            await sbc.until(Answered, count=known + 1)
            sbc.do(session.bye)
            await world.until(lambda: len(world.records) > known)
            assert len(sbc.events) > told
            return [
                leg.remote_address.partition(":")[0] for leg in world.records[-1].legs if leg.role == "agent"
            ]

        world.names["pbx.example.com"] = [BILLING, DESK]
        if first is not None:
            await world.phone(BILLING, first)
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        assert await call() == [BILLING, DESK]
        failed_at = sbc.now
        assert await call() == [DESK]
        await asyncio.sleep(failed_at + avoided - 15 - sbc.now)
        assert await call() == [DESK]
        await asyncio.sleep(15)
        assert await call() == [BILLING, DESK], "it has its turn again"

    play(story, tmp_path, destinations=NAMED)


def test_the_only_address_is_tried_again_though_it_failed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, refuse(503))
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Rejected)
        desk.on_invite = answer
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(call.bye)

    play(story, tmp_path)
