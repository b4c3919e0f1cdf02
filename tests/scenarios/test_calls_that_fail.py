"""Calls that come to nothing: every ending has a name, a code, a status, and the caller learns it in time.

The table of docs/outcomes.md as stories. Expectations are written out, not taken from the program's own table.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.events import Answered, Cancelled, Ended, Progress, Rejected
from sip_stack.message import Request
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    CONFIGURATION,
    DESK,
    DESTINATIONS,
    SBC,
    Phone,
    World,
    offer,
    play,
    refuse,
    ring,
)
from tests.support.outcomes import reasons, summary

SHORT = CONFIGURATION + "timers: {connect_timeout: 4s, ring_timeout: 30s, auth_timeout: 5s}\n"


@pytest.mark.parametrize(
    ("status", "name", "code", "outcome_status", "to_caller", "q850"),
    [
        (486, "busy", 3010, "busy", 486, 17),
        (600, "busy", 3100, "busy", 600, 17),
        (603, "rejected", 3110, "failed", 603, 21),
        (480, "no-answer", 3000, "no-answer", 480, 19),
        (408, "no-answer", 3070, "no-answer", 480, 18),
        (403, "forbidden", 3040, "failed", 403, 21),
        (404, "unallocated", 3050, "failed", 404, 1),
        (604, "unallocated", 3120, "failed", 604, 1),
        (410, "out_of_service", 2010, "failed", 410, 22),
        (482, "loop_detected", 2060, "failed", 482, 25),
        (488, "media_not_acceptable", 11030, "failed", 488, 88),
        (503, "carrier_congestion", 3090, "failed", 500, 42),
        (500, "carrier_error", 3080, "failed", 500, 41),
        (302, "routing_error", 5020, "failed", 500, 127),
        (423, "routing_error", 5020, "failed", 500, 127),
    ],
)
def test_a_refusal_has_its_name(
    tmp_path: Path, status: int, name: str, code: int, outcome_status: str, to_caller: int, q850: int
) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, refuse(status))
        sbc = await world.phone(SBC)
        sbc.call("desk")
        rejected = await sbc.until(Rejected)
        assert rejected.response.status == to_caller
        assert reasons(rejected.response) == [f'Q.850;cause={q850};text="{name}"', f"SIP;cause={status}"]
        record = await world.record()
        assert summary(record.outcome) == (name, code, outcome_status)
        assert record.outcome is not None
        assert record.outcome.sip_status == status
        assert record.outcome.source == "agent"
        assert summary(record.attempts[0].outcome) == (name, code, outcome_status)

    play(story, tmp_path)


def test_nobody_picks_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        sbc = await world.phone(SBC)
        began = world.stack.now()
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 480
        assert 30.0 <= world.stack.now() - began <= 30.3
        await desk.until(Cancelled)
        record = await world.record()
        assert summary(record.outcome) == ("no-answer", 6010, "no-answer")
        assert record.attempts[0].ringing is not None

    play(story, tmp_path, main=SHORT)


def test_an_answer_after_the_ring_timeout_is_hung_up_on(tmp_path: Path) -> None:
    """The agent's 200 crosses our CANCEL: ACK and BYE, and the outcome stands."""

    async def late(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 180))
        await asyncio.sleep(29.985)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, late)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 480
        assert (await desk.until(Ended)).by == "remote"
        assert summary((await world.record()).outcome) == ("no-answer", 6010, "no-answer")

    play(story, tmp_path, main=SHORT)


def test_silence_from_the_start_is_a_network_error_after_connect_timeout(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        began = world.stack.now()
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 500
        assert 4.0 <= world.stack.now() - began <= 4.3
        record = await world.record()
        assert summary(record.outcome) == ("network_error", 5000, "failed")
        assert record.outcome is not None
        assert record.outcome.source == "network"
        assert "CANCEL" not in world.network.titles([(B2BUA, 5060)]), (
            "no CANCEL before a provisional response"
        )

    play(story, tmp_path, main=SHORT)


def test_the_last_attempt_decides_what_the_caller_hears(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, refuse(486))
        await world.phone(DESK, refuse(404))
        sbc = await world.phone(SBC)
        sbc.call("billing")
        assert (await sbc.until(Rejected)).response.status == 404
        record = await world.record()
        assert [summary(attempt.outcome)[1] for attempt in record.attempts] == [3010, 3050]
        assert summary(record.outcome)[1] == 3050

    play(story, tmp_path, destinations=DESTINATIONS + "  fallback: front-desk\n")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(offer(DESK, payload="9 101"), id="no-common-codec"),
        pytest.param(offer(DESK, port=0), id="audio-refused"),
        pytest.param(b"", id="no-description"),
        pytest.param(b"nonsense", id="nonsense"),
    ],
)
def test_an_answer_we_cannot_use_is_hung_up_on(tmp_path: Path, body: bytes) -> None:
    async def useless(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.answer(now, body=body))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, useless)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 488
        assert (await desk.until(Ended)).by == "remote"
        assert summary((await world.record()).outcome) == ("media_not_acceptable", 11030, "failed")

    play(story, tmp_path)


def test_a_lost_media_engine_ends_its_calls(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Answered)
        world.media.calls[-1].lose()
        await sbc.until(Ended)
        await desk.until(Ended)
        assert summary((await world.record()).outcome) == ("media_engine_lost", 11070, "failed")

    play(story, tmp_path)


def test_a_defect_of_ours_ends_one_call_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)

        def broken(*arguments: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(world.media, "open_call", world.media.open_call)
        sbc.call("desk")
        await sbc.until(Progress)
        monkeypatch.setattr(world.media.calls[-1], "bridge", broken)
        assert (await sbc.until(Rejected)).response.status == 500
        assert summary((await world.record()).outcome) == ("internal_error", 5010, "failed")
        assert world.registry.failures == 1
        world.registry.failures = 0

    play(story, tmp_path)


def test_a_caller_that_never_acknowledges_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Progress, count=2)
        world.network.wire.drop("ACK")
        await sbc.until(Ended)
        await desk.until(Ended)
        record = await world.record()
        assert summary(record.outcome) == ("not_acknowledged", 11061, "failed")

    play(story, tmp_path)
