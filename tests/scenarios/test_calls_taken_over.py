"""Calls whose audio outlives the process that carried them: the next one goes on with them as if nothing had been."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from b2bua.journal.seal import Seal
from sip_stack.dialog import SessionState
from sip_stack.events import (
    Acknowledged,
    Answered,
    Ended,
    ReofferCompleted,
    ReofferReceived,
    RequestCompleted,
    RequestReceived,
)
from sip_stack.extensions import Extensions, TimerTerms
from sip_stack.message import Request
from sip_stack.sdp import Direction, parse
from tests.support.b2bua_world import B2BUA, CONFIGURATION, DESK, SBC, World, offer, play
from tests.support.handoff_cast import MAIN, Cast, talking, with_route
from tests.support.kept_history import as_object, as_objects
from tests.support.next_process import Watched
from tests.support.taken_over import fates, legs_now

SENDRECV, SENDONLY, RECVONLY = Direction.SENDRECV, Direction.SENDONLY, Direction.RECVONLY

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


async def outlived(world: World) -> tuple[Watched, Cast]:
    """A caller and the assistant who talk, and do not notice that the process is another one now."""
    world.media.outlives = True
    watched = Watched(world)
    cast = await talking(world)
    said = len(world.network.wire.log)
    await watched.kill_and_restart()
    assert world.network.wire.log[said:] == [], "nothing is said to anybody"
    return watched, cast


def version(body: bytes) -> tuple[str, int]:
    """Id and version of a description."""
    origin = parse(body).origin
    return origin.session_id, int(origin.version)


def test_the_audio_is_found_as_it_was(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await outlived(world)
        caller, assistant = legs_now(world)
        assert (caller.peer, assistant.peer) == (assistant, caller)
        assert caller.local_address == cast.caller.local_address
        assert (caller.agreed, assistant.agreed) == (cast.caller.agreed[-1:], cast.assistant.agreed[-1:])
        assert caller.timeout == cast.caller.timeout
        assert fates(world) == {("taken_over",): 1}
        cast.hang_up()
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_the_caller_hangs_up_and_there_is_one_record_from_the_beginning_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        (call,) = world.registry.calls.values()
        before = call.record.as_json()
        await watched.kill_and_restart()
        await asyncio.sleep(30)
        cast.hang_up()
        assert (await cast.bot.until(Ended)).by == "remote"
        assert (await cast.sbc.until(Ended)).by == "local"
        record = await world.record()
        told = record.as_json()
        for key in ("call_id", "session_id", "trunk", "caller", "called", "started", "answered", "node"):
            assert told[key] == before[key], key
        assert as_object(told["outcome"])["name"] == "normal_hangup"
        assert 30_000 < record.duration_ms < 60_000
        assert [leg["ended_by"] for leg in as_objects(told["legs"])] == ["caller", "caller"]
        assert len(world.records) == 1
        assert await watched.entries() == []
        await watched.kill_and_restart()
        assert len(world.records) == 1
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_the_other_side_hangs_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await outlived(world)
        cast.bot.do(cast.bot.sessions[0].bye)
        assert (await cast.sbc.until(Ended)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "assistant")
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_a_bye_that_comes_before_the_call_is_restored_is_not_lost(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        await watched.kill()
        cast.hang_up()
        await asyncio.sleep(3.0)
        await watched.restart()
        assert (await cast.bot.until(Ended)).by == "remote"
        assert (await cast.sbc.until(Ended)).by == "local"
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.source == "caller"
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_nobody_waits_longer_than_ten_seconds_for_a_store_that_does_not_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        await watched.kill()
        backend = watched.keeping.backend
        backend.failing = "it is down"
        await watched.restart()
        began = world.stack.now()
        cast.hang_up()
        await cast.sbc.until(Ended)
        assert 8 < world.stack.now() - began < 11
        assert world.network.titles([(B2BUA, 5060)])[-1] == "481 BYE"

        backend.failing = None
        await world.until(lambda: world.registry.calls)
        legs_now(world)[0].fall_silent()
        assert (await cast.bot.until(Ended)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.source) == ("media_timeout", "caller")
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_hold_crosses_with_the_version_that_follows(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        session = sbc.call("desk")
        answered = await sbc.until(Answered)
        await desk.until(Acknowledged)
        offered = version(desk.invites()[0].body)
        await watched.kill_and_restart()

        sbc.reoffer(session, SENDONLY)
        await desk.until(ReofferReceived)
        await asyncio.sleep(1)
        assert desk.reoffers() == [SENDONLY]
        assert version(desk.events_of(ReofferReceived)[0].request.body) == (offered[0], offered[1] + 1)
        caller, agent = legs_now(world, "agent")
        assert caller.parameters is not None
        assert agent.parameters is not None
        assert (caller.parameters.send, agent.parameters.receive) == (False, False)

        await watched.kill_and_restart()
        sbc.reoffer(session, SENDRECV)
        await desk.until(ReofferReceived, count=2)
        await asyncio.sleep(1)
        assert desk.reoffers() == [SENDONLY, SENDRECV]
        assert version(desk.events_of(ReofferReceived)[1].request.body) == (offered[0], offered[1] + 2)
        assert answered.response.body
        sbc.do(session.bye)
        await world.record()
        await watched.close()

    play(story, tmp_path, main=CONFIGURATION)


def test_a_handoff_works_as_ever(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await outlived(world)
        desk = await world.phone(DESK)
        handoff = world.hand_off(destination="front-desk")
        await world.until(lambda: legs_now(world, "caller")[0].awaits is not None)
        caller, agent = legs_now(world, "agent")
        agent.hear()
        assert caller.peer is agent
        assert (await cast.bot.until(Ended)).by == "remote"
        (invite,) = desk.invites()
        assert invite.from_.uri.startswith("sip:+15551230000@"), "on behalf of the caller"
        cast.hang_up()
        await desk.until(Ended)
        record = await world.record()
        assert [each["id"] for each in record.handoffs] == [handoff.id]
        assert [leg.role for leg in record.legs] == ["caller", "assistant", "agent"]
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_who_was_handed_over_before_comes_back_to_the_assistant_and_all_is_recorded(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        desk = await world.phone(DESK)
        handoff = world.hand_off(destination="front-desk", reason="billing", data={"plan": "gold"})
        await cast.until_awaited()
        cast.agent().hear()
        await cast.bot.until(Ended)
        await watched.kill_and_restart()

        shown = await watched.keeping.operations.handoff(handoff.id)
        assert (shown["state"], shown["reason"], shown["data"]) == ("connected", "billing", {"plan": "gold"})
        desk.do(desk.sessions[0].bye)
        await world.until(lambda: len(cast.bot.sessions) == 2)
        await asyncio.sleep(1)
        caller, assistant = legs_now(world)
        assert caller.peer is assistant
        shown = await watched.keeping.operations.handoff(handoff.id)
        assert (shown["state"], as_object(shown["outcome"])["code"]) == ("completed", 4000)
        cast.hang_up()
        record = await world.record()
        assert [(each["id"], as_object(each["outcome"])["code"]) for each in record.handoffs] == [
            (handoff.id, 4000)
        ]
        assert [leg.role for leg in record.legs] == ["caller", "assistant", "agent", "assistant"]
        assert all(leg.ended is not None for leg in record.legs)
        await watched.close()

    play(story, tmp_path, main=with_route("after_agent: assistant"))


def test_keys_are_heard_and_passed_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await outlived(world)
        cast.sbc.do(
            lambda now: cast.session.request(
                now, "INFO", body=b"Signal=5\r\n", content_type="application/dtmf-relay"
            )
        )
        await cast.bot.until(RequestReceived)
        assert b"Signal=5" in cast.bot.requests[0].body
        cast.hang_up()
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("sealed", [True, False])
def test_an_encrypted_call_goes_on_where_its_keys_may_be_written_down_sealed(
    tmp_path: Path, sealed: bool
) -> None:
    key = base64.b64encode(b"\x07" * 30).decode()
    body = offer(SBC).replace(b"RTP/AVP", b"RTP/SAVP")
    body += f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n".encode()

    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        watched.seal = watched.journal.seal = Seal(b"our private key") if sealed else None
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        session = sbc.call("desk", body=body)
        await sbc.until(Answered)
        await desk.until(Acknowledged)
        before = legs_now(world, "agent")[0].parameters
        assert before is not None
        assert before.keys is not None
        await watched.kill()
        written = " ".join(each.body for each in watched.keeping.backend.documents.values())
        assert key not in written
        assert base64.b64encode(before.keys.local).decode() not in written
        if not sealed:
            for leg in legs_now(world, "agent"):
                leg.call.close_leg(leg)
        await watched.restart()
        if sealed:
            assert legs_now(world, "agent")[0].parameters == before
            sbc.do(lambda now: session.reoffer(now, body))
            completed = await sbc.until(ReofferCompleted)
            assert completed.response is not None
            assert base64.b64encode(before.keys.local) in completed.response.body, "the same key of ours"
            sbc.do(session.bye)
        record = await world.record()
        assert as_object(record.as_json()["outcome"])["code"] == (4000 if sealed else 11072)
        await watched.close()

    main = CONFIGURATION.replace("media:\n", "media:\n  srtp: {keys_in_clear: true}\n")
    play(story, tmp_path, main=main.replace("max_calls: 100\n", "max_calls: 100\n    srtp: required\n"))


def test_what_is_left_of_its_time_is_counted_from_the_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        await asyncio.sleep(40)
        await watched.kill_and_restart()
        await cast.sbc.until(Ended, patience=30)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "scheduled_hangup"
        assert 59_000 < record.duration_ms < 62_000
        await watched.close()

    play(story, tmp_path, main=MAIN + "timers: {time_limit: 60s}\n")


def test_session_timers_go_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        session = sbc.call("desk", extensions=Extensions(TimerTerms("supported", 90, refresher="far_end")))
        await sbc.until(Answered)
        await desk.until(Acknowledged)
        await asyncio.sleep(0.5)
        await watched.kill_and_restart()
        await asyncio.sleep(600)
        assert session.state is SessionState.CONFIRMED, "we refresh"
        assert world.network.titles([(B2BUA, 5060)]).count("UPDATE") > 10
        world.network.wire.cut(SBC)
        assert (await desk.until(Ended, patience=120)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.code == 11060
        await watched.close()

    play(
        story,
        tmp_path,
        main=CONFIGURATION.replace("sip:\n", "sip:\n  session_timers: {expires: 90s}\n"),
        settle=False,
    )


def test_a_contact_and_a_session_interval_that_an_update_has_changed_are_known(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        cast = await talking(world)
        await asyncio.sleep(1)
        cast.session.contact_user = "alice-elsewhere"
        interval = [("Supported", "timer"), ("Session-Expires", "120;refresher=uas")]
        cast.sbc.do(lambda now: cast.session.request(now, "UPDATE", interval))
        await cast.sbc.until(RequestCompleted)
        await watched.kill_and_restart()
        (refresh,) = [
            each.message
            for each in world.network.wire.log
            if (each.source[0], each.title) == (B2BUA, "UPDATE") and isinstance(each.message, Request)
        ]
        assert refresh.uri == f"sip:alice-elsewhere@{SBC}:5060"
        assert refresh.headers.get("Session-Expires") == "120;refresher=uac"
        cast.bot.do(cast.bot.sessions[0].bye)
        bye = (await cast.sbc.until(Ended)).message
        assert isinstance(bye, Request)
        assert bye.uri == f"sip:alice-elsewhere@{SBC}:5060"
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_a_call_that_was_recorded_when_the_process_was_killed_is_not_recorded_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await outlived(world)
        watched.strikes = False
        cast.hang_up()
        record = await world.record()
        await watched.kill()
        assert [entry.call_id for entry in await watched.entries()] == [record.call_id]
        said = len(world.network.wire.log)
        watched.strikes = True
        await watched.restart()
        assert world.network.wire.log[said:] == []
        assert await watched.entries() == []
        assert len(world.records) == 1
        assert fates(world) == {("recorded_before",): 1}
        assert as_object((await watched.keeping.operations.call(record.call_id))["outcome"])["code"] == 4000
        await watched.close()

    play(story, tmp_path, main=MAIN)
