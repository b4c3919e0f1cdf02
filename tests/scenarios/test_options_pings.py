"""Far ends that are asked by OPTIONS whether they are there, and calls that do not wait for those that are not."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from b2bua import far_ends
from b2bua.reachability import Pinger, State
from sip_stack.events import Answered
from tests.support.b2bua_world import BILLING, CONFIGURATION, DESK, SBC, World, play

PINGED = f"""\
front-desk:
  default: true
  method: invite
  encryption: udp/rtp
  route: sip:operator@{DESK}
  ping: 30s
billing:
  method: invite
  encryption: udp/rtp
  route: sip:queue-1@{BILLING}
  ping: 30s
  fallback: front-desk
"""
ALONE = PINGED.replace("  fallback: front-desk\n", "")
BILLING_URI = f"sip:queue-1@{BILLING}"
FOUND_DOWN = 4 + 8.5 + 4
"""Seconds until a dead far end is known to be: two pings of `connect_timeout`, a quarter of `ping` between them."""


@asynccontextmanager
async def pinging(world: World) -> AsyncIterator[Pinger]:
    """The pinger of the world's B2BUA."""
    pinger = Pinger(world.registry.services)
    pinger.follow(world.configuration)
    try:
        yield pinger
    finally:
        await pinger.close()


def state(world: World) -> State | None:
    return world.registry.services.reachability.state(BILLING_URI, tls=False)


async def call(world: World) -> tuple[float, list[tuple[str, str]]]:
    """Call billing: seconds to the answer, and who was tried with what result."""
    sbc = world.phones.get(SBC) or await world.phone(SBC)
    begun, known = sbc.now, len(world.records)
    session = sbc.call("billing")
    await sbc.until(Answered, count=known + 1)
    took = sbc.now - begun
    sbc.do(session.bye)
    await world.until(lambda: len(world.records) > known)
    attempts = world.records[-1].attempts
    return took, [(each.destination, each.outcome.name if each.outcome else "") for each in attempts]


def test_a_far_end_that_answers_is_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING)
        async with pinging(world):
            await world.until(lambda: state(world) is State.UP)
            destination = world.configuration.destinations["billing"]
            assert far_ends.of_destination(destination, world.registry.services) == "up"

    play(story, tmp_path, destinations=PINGED)


def test_a_dead_one_is_passed_over_at_once_when_there_is_a_fallback(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        async with pinging(world):
            await asyncio.sleep(FOUND_DOWN)
            assert state(world) is State.DOWN
            took, attempts = await call(world)
            assert took < 3, "ringing included"
            assert [each for each, _ in attempts] == ["billing", "front-desk"]
            assert attempts[0] == ("billing", "network_error")

    play(story, tmp_path, destinations=PINGED)


def test_a_dead_one_without_a_fallback_is_called_all_the_same(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with pinging(world):
            await asyncio.sleep(FOUND_DOWN)
            assert state(world) is State.DOWN
            await world.phone(BILLING)  # it is back, and no ping has noticed yet
            _, attempts = await call(world)
            assert attempts == [("billing", "normal_hangup")]

    play(story, tmp_path, destinations=ALONE)


def test_it_recovers_by_itself(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        async with pinging(world):
            await asyncio.sleep(FOUND_DOWN)
            assert state(world) is State.DOWN
            await world.phone(BILLING)
            await asyncio.sleep(33 + 8.5)
            assert state(world) is State.UP

    play(story, tmp_path, destinations=PINGED)


@pytest.mark.parametrize(("draining", "expected"), [(False, State.UP), (True, State.DOWN)])
def test_whatever_responds_is_there_but_503_says_that_it_takes_no_calls(
    tmp_path: Path, draining: bool, expected: State
) -> None:
    async def story(world: World) -> None:
        phone = await world.phone(BILLING)
        phone.stack.endpoint.draining = draining
        async with pinging(world):
            await asyncio.sleep(FOUND_DOWN)
            assert state(world) is expected

    play(story, tmp_path, destinations=PINGED)


def test_one_lost_ping_changes_nothing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        phone = await world.phone(BILLING)
        async with pinging(world):
            await world.until(lambda: state(world) is State.UP)
            phone.stack.endpoint.draining = True
            await asyncio.sleep(34)
            phone.stack.endpoint.draining = False
            await asyncio.sleep(60)
            assert state(world) is State.UP

    play(story, tmp_path, destinations=PINGED)


def test_a_reload_stops_and_begins_pings(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING)
        async with pinging(world) as pinger:
            await world.until(lambda: state(world) is State.UP)
            without = dataclasses.replace(world.configuration, destinations={})
            pinger.follow(without)
            assert state(world) is None
            pinger.follow(world.configuration)
            await world.until(lambda: state(world) is State.UP)

    play(story, tmp_path, destinations=PINGED)


def test_a_trunk_is_pinged_where_it_is_called(tmp_path: Path) -> None:
    main = CONFIGURATION.replace(
        "    max_calls: 100\n", f"    max_calls: 100\n    outbound: {{uri: 'sip:{BILLING}', ping: 10s}}\n"
    )

    async def story(world: World) -> None:
        await world.phone(BILLING)
        async with pinging(world):
            await world.until(lambda: state(world) is State.UP)
            (trunk,) = far_ends.trunks(world.configuration, world.registry.services)
            assert (trunk["name"], trunk["reachability"]) == ("acme-sbc", "up")

    play(story, tmp_path, main=main)
