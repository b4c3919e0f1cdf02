"""Calls from a trunk to a destination, from the first INVITE to the record: the good ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.events import Acknowledged, Answered, Cancelled, Ended, InviteReceived, Progress, Rejected
from sip_stack.message import Request
from sip_stack.sdp import Direction
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    CONFIGURATION,
    DESK,
    DESTINATIONS,
    SBC,
    Phone,
    World,
    answer,
    offer,
    play,
    refuse,
    ring,
)
from tests.support.fake_network import Wire


def test_caller_and_agent_talk_until_the_caller_hangs_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        answered = await sbc.until(Answered)
        assert [event.response.status for event in sbc.events if isinstance(event, Progress)] == [100, 180]
        assert answered.response.body_of_type("application/sdp") is not None
        caller, agent = world.legs()
        assert caller.peer is agent
        assert agent.peer is caller
        await asyncio.sleep(10)
        sbc.do(call.bye)
        assert (await desk.until(Ended)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.code, record.outcome.source) == (
            "normal_hangup",
            4000,
            "caller",
        )
        assert record.trunk == "acme-sbc"
        assert record.called == "desk"
        assert 9_900 <= record.duration_ms <= 10_500
        (attempt,) = record.attempts
        assert (attempt.destination, attempt.method) == ("front-desk", "invite")
        assert attempt.ringing is not None
        assert attempt.answered is not None
        assert [(leg.role, leg.ended_by) for leg in record.legs] == [
            ("caller", "caller"),
            ("agent", "caller"),
        ]

    play(story, tmp_path)


def test_the_agent_hangs_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Answered)
        await asyncio.sleep(3)
        desk.do(desk.sessions[0].bye)
        ended = await sbc.until(Ended)
        assert ended.by == "remote"
        assert isinstance(ended.message, Request)
        assert ended.message.headers.get("Reason") == 'Q.850;cause=16;text="normal_hangup"'
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "agent")

    play(story, tmp_path)


def test_early_media_reaches_the_caller_and_the_answer_repeats_its_description(tmp_path: Path) -> None:
    async def early(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(5)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, early)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        progress = await sbc.until(Progress, count=2)
        assert progress.response.status == 183
        caller, agent = world.legs()
        assert caller.peer is agent
        answered = await sbc.until(Answered)
        assert answered.response.body == progress.response.body
        sbc.do(call.bye)

    play(story, tmp_path)


def test_the_description_toward_the_caller_stays_through_a_failed_attempt(tmp_path: Path) -> None:
    """Early media of the first destination, then it is busy, then the fallback answers: one description."""

    async def early_then_busy(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(1)
        phone.do(lambda now: session.reject(now, 486))

    async def story(world: World) -> None:
        await world.phone(BILLING, early_then_busy)
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("billing")
        progress = await sbc.until(Progress, count=2)
        answered = await sbc.until(Answered)
        assert answered.response.body == progress.response.body
        sbc.do(call.bye)
        record = await world.record()
        assert [(each.destination, each.outcome.code if each.outcome else 0) for each in record.attempts] == [
            ("billing", 3010),
            ("front-desk", 4000),
        ]

    play(story, tmp_path, destinations=DESTINATIONS + "  fallback: front-desk\n")


def test_routes_are_tried_in_order_each_as_an_attempt(tmp_path: Path) -> None:
    destinations = DESTINATIONS.replace(
        f"route: sip:operator@{DESK}", f"route: [sip:first@{BILLING}, sip:second@{DESK}]"
    )

    async def story(world: World) -> None:
        await world.phone(BILLING, refuse(480))
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(call.bye)
        record = await world.record()
        assert [attempt.target for attempt in record.attempts] == [
            f"sip:first@{BILLING}",
            f"sip:second@{DESK}",
        ]

    play(story, tmp_path, destinations=destinations)


def test_what_the_destination_learns_of_the_caller(tmp_path: Path) -> None:
    destinations = DESTINATIONS.replace("  auth:", "  from_user: '+15550001000'\n  auth:")

    async def story(world: World) -> None:
        billing = await world.phone(BILLING)
        sbc = await world.phone(SBC)
        call = sbc.call(
            "billing",
            headers=(
                ("X-Customer", "4711"),
                ("X-Twilio-Secret", "no"),
                ("Authorization", 'Digest username="leak"'),
                ("Subject", "private"),
            ),
        )
        await sbc.until(Answered)
        (invite,) = billing.invites()
        assert invite.headers.get("X-Customer") == "4711"
        assert invite.headers.get("X-Caller") == "+15551230000"
        for absent in ("X-Reason", "X-Twilio-Secret", "Authorization", "Subject"):
            assert invite.headers.get(absent) is None, absent
        assert invite.from_.parsed_uri.user == "+15550001000"  # type: ignore[union-attr]
        assert invite.headers.get("P-Asserted-Identity") == f'"Alice" <sip:+15551230000@{B2BUA}>'
        assert invite.max_forwards == 69
        text = invite.encode().decode()
        assert SBC not in text, "nothing of the caller's side shows"
        assert call.call_id not in text
        sbc.do(call.bye)

    play(story, tmp_path, destinations=destinations)


def test_privacy_is_kept(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", headers=(("Privacy", "id"),))
        await sbc.until(Answered)
        assert "15551230000" not in desk.invites()[0].encode().decode()
        sbc.do(call.bye)

    play(story, tmp_path)


@pytest.mark.parametrize("moment", [0.005, 0.015, 0.5, 1.5])
def test_the_caller_leaves_before_the_answer(tmp_path: Path, moment: float) -> None:
    """In the routing window, before the first 1xx, while it rings: nobody stays behind."""

    async def slow_ring(phone: Phone, session: ServerSession, request: Request) -> None:
        await asyncio.sleep(1)
        await ring(phone, session, request)

    async def story(world: World) -> None:
        desk = await world.phone(DESK, slow_ring)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await asyncio.sleep(moment)
        sbc.do(call.cancel)
        await sbc.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.code, str(record.outcome.status)) == (
            "cancel",
            1000,
            "cancel",
        )
        assert record.answered is None
        if desk.sessions:
            await desk.until(Cancelled)

    play(story, tmp_path)


def test_the_caller_leaves_while_the_answer_is_on_its_way(tmp_path: Path) -> None:
    """CANCEL crosses the agent's 200: the agent is hung up on, and nobody is left in a call alone."""

    async def prompt(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 180))
        await asyncio.sleep(1.0)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, prompt)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await desk.until(InviteReceived)
        await asyncio.sleep(0.985)
        sbc.do(call.cancel)
        await desk.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "cancel"

    play(story, tmp_path)


def test_hold_and_resume_are_answered_by_us_and_the_media_follows(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        caller, _ = world.legs()
        held = offer(SBC).replace(b"sendrecv", b"sendonly")
        sbc.do(lambda now: call.reoffer(now, held))
        await asyncio.sleep(1)
        assert caller.parameters is not None
        assert (caller.parameters.receive, caller.parameters.send) == (True, False)
        moved = offer(SBC, port=4444)
        sbc.do(lambda now: call.reoffer(now, moved))
        await asyncio.sleep(1)
        assert caller.parameters.send is True
        assert caller.parameters.remote == (SBC, 4444)
        sbc.do(call.bye)

    play(story, tmp_path)


def test_another_codec_in_mid_call_is_refused_and_the_call_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(lambda now: call.reoffer(now, offer(SBC, payload="9 101")))
        await asyncio.sleep(1)
        assert world.registry.calls, "the call goes on"
        assert "488 INVITE" in world.network.titles([(B2BUA, 5060)])
        sbc.do(call.bye)

    play(story, tmp_path)


def test_on_hold_both_may_be_silent_and_afterwards_a_dead_one_ends_the_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Answered)
        caller, agent = world.legs()
        await desk.until(Acknowledged)
        assert (caller.timeout, agent.timeout) == (60.0, 60.0)
        desk.reoffer(desk.sessions[0], Direction.SENDONLY)
        await asyncio.sleep(100)
        assert (caller.timeout, agent.timeout) == (None, None)
        desk.reoffer(desk.sessions[0], Direction.SENDRECV)
        await asyncio.sleep(1)
        assert (caller.timeout, agent.timeout) == (60.0, 60.0)
        caller.fall_silent()
        await sbc.until(Ended)
        await desk.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (6020, "caller")

    play(story, tmp_path)


def test_the_time_limit_ends_a_call_toward_both_sides(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await sbc.until(Ended)
        await desk.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.code) == ("scheduled_hangup", 6000)
        assert 29_900 <= record.duration_ms <= 30_100

    play(story, tmp_path, main=CONFIGURATION + "timers: {time_limit: 30s}\n")


@pytest.mark.parametrize("seed", range(12))
def test_a_bad_network_delays_a_call_but_does_not_lose_it(tmp_path: Path, seed: int) -> None:
    """One datagram in ten lost, doubled or late on every side: both ends still agree, and nothing is left."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        answered = asyncio.ensure_future(sbc.until(Answered))
        failed = asyncio.ensure_future(sbc.until(Rejected))
        await asyncio.wait([answered, failed], return_when=asyncio.FIRST_COMPLETED)
        for task in (answered, failed):
            task.cancel()
        await asyncio.gather(answered, failed, return_exceptions=True)
        await asyncio.sleep(5)
        if any(isinstance(event, Answered) for event in sbc.events) and not any(
            isinstance(event, Ended) for event in sbc.events
        ):
            sbc.do(call.bye)
        record = await world.record()
        assert record.outcome is not None
        for session in desk.sessions:
            assert session.state != "early", "nobody is left ringing"

    play(story, tmp_path, wire=Wire(seed=seed, loss=0.1, duplicate=0.1, delay=0.01, jitter=0.05))
