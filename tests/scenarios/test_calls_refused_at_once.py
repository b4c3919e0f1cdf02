"""INVITEs of a trunk that are refused before anything begins: each has its record, its line in the log and its count.

Not those that are no end of a call: a challenge, a 422 (its sender tries again), a copy that came another way; and not
those of strangers, who could fill the file.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sip_stack.events import Answered, Rejected
from sip_stack.extensions import Extensions, TimerTerms
from sip_stack.message import parse_message
from sip_stack.transport import Flow
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, SBC, World, offer, play
from tests.support.raw_phone import RawPhone

STRANGER = "203.0.113.66"


def counted(world: World) -> list[tuple[str, ...]]:
    """The trunk, cause and code of each call that the metrics know."""
    return [(trunk, name, code) for (trunk, _, name, code), _ in world.registry.services.counters.calls]


async def one_record(world: World, name: str, code: int) -> None:
    """There is one record, and it says this."""
    record = await world.record()
    await asyncio.sleep(1)
    assert world.records == [record]
    assert record.outcome is not None
    assert (record.outcome.name, record.outcome.code, record.outcome.source) == (name, code, "caller")
    assert (record.trunk, record.answered) == ("acme-sbc", None)
    assert record.ended == record.started
    assert counted(world) == [("acme-sbc", name, str(code))]


@pytest.mark.parametrize(
    ("line", "status", "name", "code"),
    [
        ("Require: no-such-extension", 420, "bad_extension", 11106),
        ("Content-Encoding: gzip", 415, "media_not_acceptable", 11030),
        ("Max-Forwards: 0", 483, "loop_detected", 2060),
        ("Max-Forwards: x", 400, "bad_request", 11105),
        ("Content-Type: what", 400, "bad_request", 11105),
        ("To: <sip:again@192.0.2.100>", 400, "bad_request", 11105),
    ],
)
def test_what_the_stack_refuses_is_recorded(
    tmp_path: Path, line: str, status: int, name: str, code: int
) -> None:
    async def story(world: World) -> None:
        sbc = RawPhone(world.network, SBC, B2BUA, "desk")
        sbc.headers = [line]
        sbc.replaced = {line.partition(":")[0]} - {"To", "Content-Type"}
        with capture_logs() as logs:
            cseq = sbc.invite(offer(SBC))
            assert (await sbc.final("INVITE", cseq)).status == status
            await one_record(world, name, code)
        (told,) = [line for line in logs if line["event"] == "refused"]
        assert (told["call_id"], told["code"], told["status"]) == (world.records[0].call_id, code, status)

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("caller", "use", "status", "name", "code"),
    [
        (Extensions(), "required", 421, "extension_required", 11107),
        (Extensions(reliable="required"), "disabled", 420, "bad_extension", 11106),
    ],
)
def test_what_a_trunk_may_not_use_or_must_is_recorded(
    tmp_path: Path, caller: Extensions, use: str, status: int, name: str, code: int
) -> None:
    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        with capture_logs() as logs:
            sbc.call("desk", extensions=caller)
            response = (await sbc.until(Rejected)).response
            await one_record(world, name, code)
        assert response.status == status
        assert response.headers.get("Unsupported" if status == 420 else "Require") == "100rel"
        (told,) = [line for line in logs if line["event"] == "refused"]
        assert "100rel" in told["why"]
        record = world.records[0]
        assert (record.called, record.caller) == ("desk", f"sip:+15551230000@{SBC}")

    main = CONFIGURATION.replace("    max_calls: 100", f"    100rel: {use}\n    max_calls: 100")
    play(story, tmp_path, main=main)


def test_an_interval_that_is_too_short_is_no_end_of_the_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", extensions=Extensions(TimerTerms(use="supported", expires=90)))
        await sbc.until(Answered)
        titles = [each.title for each in world.network.wire.log if each.destination[0] == SBC]
        assert "422 INVITE" in titles
        sbc.do(call.bye)
        record = await world.record()
        assert len(world.records) == 1
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"

    timers = "    session_timers: {min_se: 10m}\n    max_calls: 100"
    play(story, tmp_path, main=CONFIGURATION.replace("    max_calls: 100", timers))


def test_a_copy_that_came_another_way_is_no_other_call(tmp_path: Path) -> None:
    """482 Request Merged (RFC 3261 section 8.2.2.2)."""

    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        copy = parse_message(call.invite.encode())
        flow = Flow("udp", (SBC, 5060), (B2BUA, 5060), (SBC, 5060))
        text = copy.encode().replace(call.invite.branch.encode(), b"z9hG4bKanother")
        world.network.open((SBC, 5099), world.phones[SBC].stack).send(text, flow)
        await world.until(lambda: any(e.title == "482 INVITE" for e in world.network.wire.log))
        sbc.do(call.bye)
        await world.record()
        assert len(world.records) == 1

    play(story, tmp_path)


def test_strangers_have_no_record(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        stranger = RawPhone(world.network, STRANGER, B2BUA, "desk")
        stranger.headers = ["Require: no-such-extension"]
        await stranger.final("INVITE", stranger.invite(offer(STRANGER)))
        await asyncio.sleep(1)
        assert world.records == []
        assert counted(world) == []

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("trunk", "more", "why"),
    [
        ("max_calls: 1", "", "max_calls of the trunk is 1"),
        ("max_calls: 100", "limits: {max_calls: 1}\n", "limits.max_calls is 1"),
    ],
)
def test_the_log_names_the_limit_that_was_reached(tmp_path: Path, trunk: str, more: str, why: str) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        with capture_logs() as logs:
            sessions = [sbc.call("desk") for _ in range(8)]
            await world.until(lambda: any(line["event"] == "refused" for line in logs))
            for session in sessions:
                sbc.do(session.bye)
            await asyncio.sleep(5)
        assert {line["why"] for line in logs if line["event"] == "refused"} == {why}

    play(story, tmp_path, main=CONFIGURATION.replace("max_calls: 100", trunk) + more)
