"""A process is killed in the middle of a handoff: the next one brings it to its end, and the call goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.handoff.begin import begin
from b2bua.handoff.consultation import ConsultPhase, tell
from b2bua.handoff.handoff import HandoffRequest
from sip_stack.dialog import ServerSession
from sip_stack.dialog.refer import SIPFRAG, is_terminated, read_sipfrag, sipfrag, subscription_state
from sip_stack.events import Cancelled, Ended, RequestCompleted, RequestReceived
from sip_stack.message import Request
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    DESK,
    DESTINATIONS,
    Phone,
    World,
    answer,
    offer,
    play,
    ring,
)
from tests.support.handoff_cast import MAIN, Cast, answer_at_once, talking, with_route
from tests.support.kept_history import as_object, as_objects
from tests.support.media_leg_double import PromptDouble
from tests.support.next_process import Watched
from tests.support.taken_over import fates, killed, legs_now, shown

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


def refer(cast: Cast, target: str) -> None:
    """The assistant refers the caller to `target`."""
    session = cast.bot.sessions[0]
    cast.bot.do(lambda now: session.request(now, "REFER", headers=[("Refer-To", f"<{target}>")]))


def notified(cast: Cast) -> list[int | None]:
    """The statuses of the NOTIFYs that reached the assistant."""
    return [read_sipfrag(request.body) for request in cast.bot.requests if request.method == "NOTIFY"]


async def talking_through_it(world: World) -> tuple[Watched, Cast]:
    """The caller is connected to the assistant, on an engine that goes on when the process is killed."""
    world.media.outlives = True
    watched = Watched(world)
    return watched, await talking(world)


async def ended(world: World, watched: Watched, cast: Cast) -> None:
    """The caller hangs up; one record, nothing left."""
    cast.hang_up()
    record = await world.record()
    assert len(world.records) == 1
    assert all(leg["ended"] for leg in record.as_json()["legs"])  # type: ignore[attr-defined]
    assert await watched.entries() == []
    await watched.close()


# -- a human who has answered -----------------------------------------------------------------------------------------


def test_a_human_who_has_answered_and_is_not_heard_yet_gets_the_caller(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        desk = await world.phone(DESK)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        await killed(world, watched)
        caller, agent = legs_now(world, "agent")
        assert (caller.peer, agent.peer) == (agent, caller)
        assert (await cast.bot.until(Ended)).by == "remote"
        assert await shown(watched, handoff) == ("connected", None)
        desk.do(desk.sessions[0].bye)
        assert (await cast.sbc.until(Ended)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "agent")
        assert await shown(watched, handoff) == ("completed", 4000)
        assert [as_object(each["outcome"])["code"] for each in record.handoffs] == [4000]
        assert [leg.role for leg in record.legs] == ["caller", "assistant", "agent"]
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_a_phone_that_answers_while_there_is_no_process_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        desk = await world.phone(DESK, ring)
        handoff = world.hand_off(destination="front-desk")
        await asyncio.sleep(1.0)
        await watched.kill()
        desk.do(lambda now: desk.sessions[0].answer(now, body=offer(DESK)))
        await asyncio.sleep(3.0)
        await watched.restart()
        assert (await desk.until(Ended)).by == "remote"
        assert await shown(watched, handoff) == ("failed", 11072)
        await ended(world, watched, cast)

    play(story, tmp_path, main=MAIN)


def test_a_phone_that_was_challenged_is_told_by_the_invite_that_it_took(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)

        async def challenge_once(phone: Phone, session: ServerSession, request: Request) -> None:
            if "Authorization" in request.headers:
                await ring(phone, session, request)
            else:
                www = [("WWW-Authenticate", 'Digest realm="acme", nonce="17", algorithm=MD5')]
                phone.do(lambda now: session.reject(now, 401, headers=www))

        billing = await world.phone(BILLING, challenge_once)
        world.hand_off(destination="billing")
        await asyncio.sleep(1.0)
        await killed(world, watched)
        await billing.until(Cancelled)
        await ended(world, watched, cast)

    play(story, tmp_path, main=MAIN)


def test_of_several_phones_that_ring_each_is_told_though_the_call_is_ended(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched = Watched(world)
        cast = await talking(world)
        desk, billing = await world.phone(DESK, ring), await world.phone(BILLING, ring)
        world.hand_off(destination="everybody")
        await asyncio.sleep(1.0)
        await killed(world, watched, "ended")
        for phone in (desk, billing):
            await phone.until(Cancelled)
        assert (await cast.sbc.until(Ended)).by == "remote"
        await world.record()
        assert await watched.entries() == []
        await watched.close()

    place = f"  method: invite\n  encryption: udp/rtp\n  ring: together\n  route: [sip:a@{DESK}, sip:b@{BILLING}]\n"
    play(story, tmp_path, main=MAIN, destinations=f"{DESTINATIONS}everybody:\n{place}")


def test_the_assistant_that_asked_hears_that_it_worked_before_it_is_let_go(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        await world.phone(DESK)
        refer(cast, f"sip:front-desk@{B2BUA}")
        await cast.until_awaited()
        await killed(world, watched)
        assert (await cast.bot.until(Ended)).by == "remote"
        assert notified(cast) == [100, 180, 200]
        assert is_terminated(cast.bot.requests[-1])
        await ended(world, watched, cast)

    play(story, tmp_path, main=MAIN)


def test_a_human_who_has_not_accepted_yet_is_let_go(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        desk = await world.phone(DESK, answer_at_once)
        handoff = world.hand_off(destination="front-desk")
        await world.until(lambda: desk.sessions)
        await asyncio.sleep(1)
        await killed(world, watched)
        assert (await desk.until(Ended)).by == "remote"
        caller, assistant = legs_now(world)
        assert (caller.peer, assistant.peer) == (assistant, caller)
        assert await shown(watched, handoff) == ("failed", 11072)
        await ended(world, watched, cast)

    held = f'  route: sip:operator@{DESK}\n  accept_key: "1"\n'
    play(
        story, tmp_path, main=MAIN, destinations=DESTINATIONS.replace(f"  route: sip:operator@{DESK}\n", held)
    )


@pytest.mark.parametrize("phase", [ConsultPhase.WAITING, ConsultPhase.BRIEFING])
def test_a_consultation_is_over_and_the_caller_is_back_with_the_assistant(
    tmp_path: Path, phase: ConsultPhase
) -> None:
    async def story(world: World) -> None:
        world.media.outlives = True
        watched = Watched(world)
        desk = await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk", consult=True)
        await world.until(lambda: handoff.consult is ConsultPhase.WAITING)
        if phase is ConsultPhase.BRIEFING:
            (call,) = world.registry.calls.values()
            tell(call, handoff, "brief")
            await world.until(lambda: handoff.consult is phase)
        await killed(world, watched)
        assert (await desk.until(Ended)).by == "remote"
        caller, assistant = legs_now(world)
        assert (caller.peer, assistant.peer) == (assistant, caller)
        assert await shown(watched, handoff) == ("failed", 11072)
        assert (await watched.keeping.operations.handoff(handoff.id))["consult"] == "declined"
        await ended(world, watched, cast)

    play(story, tmp_path, main=MAIN)


# -- nobody has answered ----------------------------------------------------------------------------------------------


def test_a_call_goes_on_without_the_handoff_that_nobody_had_answered(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        desk = await world.phone(DESK, ring)
        handoff = world.hand_off(destination="front-desk")
        await asyncio.sleep(1.0)
        await killed(world, watched)
        caller, assistant = legs_now(world)
        assert (caller.peer, assistant.peer) == (assistant, caller)
        assert await shown(watched, handoff) == ("failed", 11072)
        await desk.until(Cancelled)

        desk.on_invite = answer
        again = world.hand_off(destination="front-desk")
        await world.until(lambda: legs_now(world, "caller")[0].awaits is not None)
        legs_now(world, "agent")[1].hear()
        await world.until(lambda: again.is_connected)
        await cast.bot.until(Ended)
        cast.hang_up()
        record = await world.record()
        assert [as_object(each["outcome"])["code"] for each in record.handoffs] == [11072, 4000]
        await watched.close()

    play(story, tmp_path, main=MAIN)


def test_the_assistant_that_asked_hears_that_it_failed_and_may_ask_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        desk = await world.phone(DESK, ring)
        refer(cast, f"sip:front-desk@{B2BUA}")
        await world.until(lambda: notified(cast) == [100, 180])
        await killed(world, watched)
        await world.until(lambda: len(notified(cast)) == 3)
        assert notified(cast)[-1] == 500
        assert is_terminated(cast.bot.requests[-1])

        desk.on_invite = answer
        refer(cast, f"sip:front-desk@{B2BUA}")
        completed = await cast.bot.until(RequestCompleted, count=2)
        assert completed.response is not None
        assert completed.response.status == 202
        await world.until(lambda: len(notified(cast)) == 4)
        event = cast.bot.requests[-1].headers.get("Event")
        assert event == f"refer;id={completed.response.cseq.number}", "it is the second of the dialog"
        await world.until(lambda: legs_now(world, "caller")[0].awaits is not None)
        legs_now(world, "agent")[1].hear()
        await cast.bot.until(Ended)
        await ended(world, watched, cast)

    play(story, tmp_path, main=MAIN)


def test_who_asks_again_with_the_same_key_gets_the_handoff_that_there_was(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        await world.phone(DESK)
        handoff = world.hand_off(destination="front-desk", idempotency_key="once")
        await cast.until_awaited()
        await killed(world, watched)
        (call,) = world.registry.calls.values()
        again = begin(call, HandoffRequest(destination="front-desk", idempotency_key="once"))
        assert again.id == handoff.id
        await ended(world, watched, cast)

    play(story, tmp_path, main=MAIN)


# -- a caller who is alone --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["redial_assistant: true", "on_assistant_lost: default_destination"])
def test_a_caller_who_waits_alone_gets_whom_the_route_has_for_that(tmp_path: Path, route: str) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        desk = await world.phone(DESK, ring)
        handoff = world.hand_off(
            destination="billing", release_assistant="before_dial", hold_music="ringback"
        )
        await cast.bot.until(Ended)
        await asyncio.sleep(1)
        desk.on_invite = cast.bot.on_invite = answer
        await killed(world, watched)
        assert isinstance(legs_now(world, "caller")[0].source, PromptDouble), (
            "they hear that somebody is called"
        )
        role = "assistant" if "redial" in route else "agent"
        await world.until(lambda: legs_now(world, "caller")[0].peer is not None)
        caller, found = legs_now(world, role)
        assert (caller.peer, found.peer) == (found, caller)
        assert await shown(watched, handoff) == ("failed", 11072)
        await ended(world, watched, cast)

    play(story, tmp_path, main=with_route(route))


def test_a_caller_who_waits_alone_and_for_whom_the_route_has_nobody_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        await world.phone(DESK, ring)
        world.hand_off(destination="billing", release_assistant="before_dial")
        await cast.bot.until(Ended)
        await asyncio.sleep(1)
        await killed(world, watched)
        assert (await cast.sbc.until(Ended)).by == "remote"
        record = await world.record()
        assert [as_object(each["outcome"])["code"] for each in record.handoffs] == [11072]
        assert all(leg.ended is not None for leg in record.legs)
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN)


# -- by REFER and by BYE to the caller's side -------------------------------------------------------------------------

BY_REFER = (
    DESTINATIONS
    + f"""\
queue:
  method: refer
  route: sip:queue@{BILLING}
taken-back:
  method: bye
  headers: {{X-Queue: billing}}
"""
)


def answer_refer(phone: Phone, event: RequestReceived) -> None:
    """202 to a REFER, 200 to anything else."""
    event.session.respond(phone.now, event.transaction, 202 if event.request.method == "REFER" else 200)


def notify(cast: Cast, status: int) -> None:
    """The caller's side says what became of the REFER."""
    headers = [("Event", "refer"), ("Subscription-State", subscription_state(active=status < 200))]
    cast.sbc.do(
        lambda now: cast.session.request(
            now, "NOTIFY", headers=headers, body=sipfrag(status), content_type=SIPFRAG
        )
    )


@pytest.mark.parametrize("end", ["notify", "bye", "failure", "silence"])
def test_a_refer_is_followed_to_its_end_by_the_next_process(tmp_path: Path, end: str) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        cast.sbc.on_request = answer_refer
        handoff = world.hand_off(destination="queue")
        await cast.sbc.until(RequestReceived)
        await asyncio.sleep(0.5)
        await killed(world, watched)
        assert await shown(watched, handoff) == ("dialing", None)
        assert [each.method for each in cast.sbc.requests] == ["REFER"], "it is not sent again"
        if end == "bye":
            cast.hang_up()
        elif end != "silence":
            notify(cast, 200 if end == "notify" else 486)
        if end in ("notify", "bye"):
            assert (await cast.bot.until(Ended)).by == "remote"
            record = await world.record()
            assert await shown(watched, handoff) == ("completed", 4000)
            assert record.handoffs[0]["confirmed"] == end
            assert record.outcome is not None
            assert record.outcome.name == "normal_hangup"
            assert await watched.entries() == []
            await watched.close()
            return
        await world.until(
            lambda: world.registry.calls and not next(iter(world.registry.calls.values())).handoff
        )
        assert await shown(watched, handoff) == ("failed", 3010 if end == "failure" else 11041)
        caller, assistant = legs_now(world)
        assert (caller.peer, assistant.peer) == (assistant, caller)
        await ended(world, watched, cast)

    play(story, tmp_path, main=MAIN, destinations=BY_REFER)


def test_a_caller_whose_assistant_left_behind_a_refer_hears_ringback_until_it_is_decided(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        cast.sbc.on_request = answer_refer
        world.hand_off(destination="queue")
        await cast.sbc.until(RequestReceived)
        cast.bot.do(cast.bot.sessions[0].bye)
        await asyncio.sleep(0.5)
        assert cast.caller.source == PromptDouble("ringback")
        await killed(world, watched)
        assert world.media.calls[-1].leg("caller").source == PromptDouble("ringback")
        notify(cast, 200)
        record = await world.record()
        assert record.handoffs[0]["confirmed"] == "notify"
        await watched.close()

    play(story, tmp_path, main=MAIN, destinations=BY_REFER)


def test_a_refer_that_has_worked_before_the_kill_ends_the_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        watched, cast = await talking_through_it(world)
        cast.sbc.on_request = answer_refer
        handoff = world.hand_off(destination="queue")
        await cast.sbc.until(RequestReceived)
        await asyncio.sleep(0.5)
        notify(cast, 200)
        await world.until(lambda: handoff.state.final)
        await killed(world, watched)
        assert (await cast.sbc.until(Ended)).by == "remote"
        assert (await cast.bot.until(Ended)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"
        assert (record.handoffs[0]["confirmed"], await shown(watched, handoff)) == (
            "notify",
            ("completed", 4000),
        )
        await watched.close()

    play(story, tmp_path, main=MAIN, destinations=BY_REFER)


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("outlives", [True, False])
def test_a_handoff_by_bye_is_completed_whether_the_bye_had_arrived_or_not(
    tmp_path: Path, arrived: bool, outlives: bool
) -> None:
    async def story(world: World) -> None:
        world.media.outlives = outlives
        watched = Watched(world)
        cast = await talking(world)
        world.network.wire.drop("200 BYE" if arrived else "BYE", times=2)
        handoff = world.hand_off(destination="taken-back")
        await asyncio.sleep(0.7)
        await watched.kill()
        await watched.restart()
        bye = (await cast.sbc.until(Ended)).message
        assert isinstance(bye, Request)
        assert bye.headers.get("X-Queue") == "billing"
        assert (await cast.bot.until(Ended)).by == "remote"
        record = (await world.record()).as_json()
        assert as_object(record["outcome"])["name"] == "normal_hangup"
        (told,) = as_objects(record["handoffs"])
        outcome = as_object(told["outcome"])
        assert (told["confirmed"], outcome["code"]) == (True, 4000)
        assert outcome["sip_status"] == (481 if arrived else 200)
        assert await shown(watched, handoff) == ("completed", 4000)
        assert fates(world) == {("ended",): 1}
        assert await watched.entries() == []
        await watched.close()

    play(story, tmp_path, main=MAIN, destinations=BY_REFER)
