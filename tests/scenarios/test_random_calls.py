"""Random calls on a bad network: whatever callers and destinations do, every call ends, once, and both sides know.

One datagram in ten is lost, one in ten comes twice, one in ten comes late, in every direction. `make test` plays 100
calls; `RANDOM_CALLS=1000 .venv/bin/pytest tests/scenarios/test_random_calls.py` plays more, the first 100 the same.
A world's number is its seed: `-k 'world-7'` plays it again, exactly.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from sip_stack.aio.network import Listen
from tests.support.b2bua_world import BILLING, CONFIGURATION, DESK, SBC, World, play
from tests.support.forking_proxy import LEFT, PROXY, RIGHT, ForkingProxy
from tests.support.random_calls import RandomCall, RandomPhone
from tests.support.random_plan import ALERTS, ANSWERS, BUSY, CHANGES, DESTINATIONS, ENDINGS, Plan
from tests.support.random_verdict import judge
from tests.support.random_wire import RoughWire

CALLS = int(os.environ.get("RANDOM_CALLS", "100"))
CALLS_PER_WORLD = 25
WORLDS = -(-CALLS // CALLS_PER_WORLD)

SILENT = "198.51.100.99"

MAIN = CONFIGURATION.partition("routes:")[0] + (
    "routes:\n"
    + "".join(
        f"  - {{trunk: acme-sbc, to: {name}, destination: {name}}}\n" for name in sorted(set(DESTINATIONS))
    )
    + "destinations: destinations.yaml\n"
    "records: {cdr: cdr.jsonl}\n"
    "timers: {connect_timeout: 4s, ring_timeout: 20s, auth_timeout: 5s, time_limit: 150s}\n"
)
TARGETS = f"""\
desk: {{route: "sip:desk@{DESK}", default: true}}
billing: {{route: "sip:queue@{BILLING}", auth: {{username: acme, password: s3cret-of-billing}}}}
fork: {{route: "sip:all@{PROXY}"}}
pair: {{route: ["sip:first@{BUSY}", "sip:second@{DESK}"]}}
fallback: {{route: "sip:first@{BUSY}", fallback: desk}}
nobody: {{route: "sip:ghost@{SILENT}"}}
unknown: {{route: "sip:desk@pbx.example.com"}}
"""
DESTINATIONS_YAML = TARGETS.replace("{route:", "{method: invite, encryption: udp/rtp, route:")


@pytest.mark.parametrize("seed", [pytest.param(n, id=f"world-{n}") for n in range(WORLDS)])
def test_every_random_call_ends_as_both_sides_know(tmp_path: Path, seed: int) -> None:
    wire = RoughWire(seed=seed, good={frozenset((PROXY, LEFT)), frozenset((PROXY, RIGHT))})
    count = min(CALLS_PER_WORLD, CALLS - seed * CALLS_PER_WORLD)
    outcomes: Counter[str] = Counter()

    async def story(world: World) -> None:
        before = asyncio.all_tasks()
        calls = {str(n): RandomCall(world, wire, Plan.draw(f"{seed}", n)) for n in range(count)}
        ForkingProxy(world.network)
        for host in (SBC, DESK, BILLING, BUSY, LEFT, RIGHT):
            phone = world.phones[host] = RandomPhone(world, host, calls)
            await phone.stack.start([Listen("udp", host, 5060)])
        await asyncio.gather(*(call.play() for call in calls.values()))
        for call in calls.values():
            judge(call, world.records)
        assert len(world.records) == count
        await world.settle()
        assert world.media.free_ports == world.media.capacity
        assert not [task for task in asyncio.all_tasks() - before if not task.done()], "a task is left"
        for stack in (world.stack, *(phone.stack for phone in world.phones.values())):
            assert stack.endpoint.next_timer() is None, "a timer is left"
        outcomes.update(record.outcome.name for record in world.records if record.outcome is not None)

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_YAML, wire=wire)
    sys.stdout.write(f"world {seed}: {dict(outcomes.most_common())}\n")


def test_a_hundred_plans_try_everything() -> None:
    plans = [Plan.draw(f"{seed}", n) for seed in range(4) for n in range(CALLS_PER_WORLD)]
    assert {plan.called for plan in plans} == set(DESTINATIONS)
    assert {plan.alert for plan in plans} == set(ALERTS)
    assert {plan.answer for plan in plans} == set(ANSWERS)
    assert {plan.ending for plan in plans} == set(ENDINGS)
    assert {change for plan in plans for _, _, change in plan.changes} == set(CHANGES)
    assert any(plan.patience < plan.rings for plan in plans), "somebody gives up"
    assert any(plan.rings > 20 for plan in plans), "somebody answers too late"
