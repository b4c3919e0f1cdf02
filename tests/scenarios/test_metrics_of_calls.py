"""What a scrape tells of calls: the metrics of stories, read back by Prometheus's own parser."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as classic

from b2bua.admission import Load
from b2bua.metrics import FAMILIES, Sources
from b2bua.metrics.exposition import Exposition
from b2bua.store import StoreStatus
from b2bua.telemetry.loop_meter import LoopMeter
from b2bua.webhooks.service import Counters
from sip_stack.aio.answer_cache import AnswerCache
from sip_stack.events import Ended, Progress
from tests.support.b2bua_world import BILLING, DESK, SBC, World, play, refuse, ring
from tests.support.virtual_loop import VirtualLoop

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@dataclass
class Idle:
    """What no call here uses."""

    written = lost = waiting = 0
    counters = Counters()


class Scrape:
    """A scrape, by name and labels."""

    def __init__(self, text: bytes, media_type: str, accept: str) -> None:
        self.media_type = media_type
        parse = open_metrics if accept else classic
        self.families = {family.name: family for family in parse(text.decode())}
        self.samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of a series; None when there is none."""
        return self.samples.get((f"b2bua_{name}", tuple(sorted(labels.items()))))


async def scraped(world: World, accept: str = "") -> Scrape:
    """What a scrape of a world tells."""
    world.answers = AnswerCache()  # type: ignore[attr-defined]  # it is its resolver as well
    loop = LoopMeter()
    loop.measured(Load(lag=0.004, busy=0.5))
    idle = cast(Any, Idle())
    store = StoreStatus("sqlite", available=True, waiting=0, written=0, lost=0, failures=0)
    sources = Sources(world.registry, idle, idle, loop, lambda: store)
    virtual = asyncio.get_running_loop()
    assert isinstance(virtual, VirtualLoop)
    with virtual.standing_still():  # A thread writes it down: hours of calls could pass until then.
        return Scrape(*await Exposition(sources).text(accept), accept)


def test_a_call_is_counted_from_its_setup_to_its_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        desk = await world.phone(DESK)
        session = alice.call("desk")
        await world.until(lambda: any(call.answered for call in world.registry.calls.values()))
        during = await scraped(world)
        assert during("calls_active", trunk="acme-sbc") == 1
        assert (
            during("calls_total", trunk="acme-sbc", status="completed", cause="normal_hangup", code="4000")
            is None
        )
        assert during("call_setup_seconds_count", trunk="acme-sbc") == 1
        assert during("call_setup_seconds_bucket", trunk="acme-sbc", le="2.0") in (0, 1)
        assert during("call_setup_seconds_bucket", trunk="acme-sbc", le="3.0") == 1
        assert during("attempts_total", destination="front-desk", cause="answered", sip_status="200") == 1
        assert during("attempt_answer_seconds_bucket", destination="front-desk", le="3.0") == 1
        assert during("sip_dialogs") == 2
        assert during("media_ports", state="in_use") == 2
        await asyncio.sleep(10)
        alice.do(session.bye)
        await desk.until(Ended)
        await world.record()

        after = await scraped(world)
        assert after("calls_active", trunk="acme-sbc") == 0
        assert (
            after("calls_total", trunk="acme-sbc", status="completed", cause="normal_hangup", code="4000")
            == 1
        )
        assert after("call_duration_seconds_bucket", trunk="acme-sbc", le="5.0") == 0
        assert after("call_duration_seconds_bucket", trunk="acme-sbc", le="15.0") == 1
        assert after("sip_requests_total", direction="received", method="INVITE") == 1
        assert after("sip_requests_total", direction="sent", method="INVITE") == 1
        assert after("sip_requests_total", direction="sent", method="BYE") == 1
        assert after("sip_responses_total", direction="received", status="180") == 1

    play(story, tmp_path)


def test_failed_attempts_and_a_caller_who_leaves_are_counted_by_cause(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        await world.phone(BILLING, refuse(486))
        await world.phone(DESK, ring)
        alice.call("billing")
        await world.record(1)
        session = alice.call("desk")
        await alice.until(Progress, count=1)
        alice.do(session.cancel)
        await world.record(2)
        alice.call("nobody")
        await world.record(3)

        scrape = await scraped(world)
        assert scrape("attempts_total", destination="billing", cause="busy", sip_status="486") == 1
        assert scrape("attempts_total", destination="front-desk", cause="given_up", sip_status="") == 1
        assert scrape("calls_total", trunk="acme-sbc", status="busy", cause="busy", code="3010") == 1
        assert scrape("calls_total", trunk="acme-sbc", status="cancel", cause="cancel", code="1000") == 1
        assert scrape("calls_total", trunk="acme-sbc", status="failed", cause="no_route", code="11101") == 1
        assert scrape("call_setup_seconds_count", trunk="acme-sbc") is None
        assert scrape("sip_responses_total", direction="sent", status="486") == 1

    play(story, tmp_path)


def test_handoffs_are_counted_by_how_they_ended(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        await world.phone(DESK)
        await world.phone(BILLING, refuse(603))
        session = alice.call("desk")
        await world.until(lambda: any(call.answered for call in world.registry.calls.values()))
        world.hand_off(destination="billing")
        assert (await scraped(world))("handoffs_active") == 1
        await world.until(lambda: not world.registry.services.counters.handoffs_active)

        scrape = await scraped(world)
        labels = {"destination": "billing", "method": "invite"}
        assert scrape("handoffs_total", **labels, state="failed", cause="rejected") == 1
        assert scrape("handoffs_active") == 0
        alice.do(session.bye)
        await world.record()

    play(story, tmp_path)


def test_how_long_a_caller_waits_for_the_human_is_told_by_method(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        await world.phone(DESK)
        await world.phone(BILLING)
        session = alice.call("desk")
        await world.until(lambda: any(call.answered for call in world.registry.calls.values()))
        handoff = world.hand_off(destination="billing")
        await world.until(lambda: handoff.is_talking)

        scrape = await scraped(world)
        # It is answered after two seconds, and heard a moment later.
        assert scrape("handoff_connect_seconds_bucket", method="invite", le="2.0") == 0
        assert scrape("handoff_connect_seconds_bucket", method="invite", le="5.0") == 1
        alice.do(session.bye)
        await world.record()
        ended = await scraped(world)
        labels = {"destination": "billing", "method": "invite"}
        assert ended("handoffs_total", **labels, state="completed", cause="normal_hangup") == 1
        assert ended("handoffs_active") == 0

    play(story, tmp_path)


def test_every_metric_is_told_with_its_meaning_in_both_formats(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for accept in ("", OPEN_METRICS):
            scrape = await scraped(world, accept)
            for family in FAMILIES:
                told = scrape.families[family.name.removesuffix("_total")]
                assert told.type == family.kind
                assert told.documentation == family.help
            assert ("openmetrics" in scrape.media_type) == bool(accept)
            assert scrape("event_loop_lag_seconds_bucket", le="0.005") == 1
            assert scrape("store_up") == 1
            assert "process_cpu_seconds" in scrape.families

    play(story, tmp_path)


def test_a_flood_of_methods_and_sources_makes_no_series_of_its_own(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        counters = world.stack.endpoint.counters
        for number in range(1000):
            counters.request_received(f"METHOD{number}")
        assert (await scraped(world))("sip_requests_total", direction="received", method="other") == 1000

    play(story, tmp_path)
