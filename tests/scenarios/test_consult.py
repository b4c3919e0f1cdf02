"""The human is consulted before they get the caller: briefed, introduced, accepted or declined. Who leaves ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from b2bua.call.events import HandoffStopped
from b2bua.control import ControlError
from b2bua.handoff.begin import begin
from b2bua.handoff.consultation import ConsultPhase, tell
from b2bua.handoff.handoff import Handoff, HandoffRequest, HandoffState
from sip_stack.events import Ended, InviteReceived
from sip_stack.sdp import Direction
from tests.support.b2bua_world import DESK, DESTINATIONS, World, play, refuse
from tests.support.handoff_cast import MAIN, Cast, answer_at_once, summary, talking, with_route
from tests.support.media_leg_double import LegDouble, Mixed, Nothing, PromptDouble

BACK = DESTINATIONS.replace(
    "front-desk:\n", "front-desk:\n  consult_without_assistant: back\n  consult_timeout: 20s\n"
)


class Scene(Cast):
    """A caller with the assistant, and a human who is consulted."""

    handoff: Handoff

    def tell(self, verb: str) -> None:
        """What the application says."""
        (call,) = self.world.registry.calls.values()
        tell(call, self.handoff, verb)  # type: ignore[arg-type]

    async def until_phase(self, phase: ConsultPhase) -> None:
        await self.world.until(lambda: self.handoff.consult is phase)

    async def go(self, verb: str, phase: ConsultPhase) -> None:
        self.tell(verb)
        await self.until_phase(phase)

    def mixes(self, listener: LegDouble, *sources: LegDouble) -> bool:
        return isinstance(listener.source, Mixed) and set(listener.source.legs) == set(sources)

    def caller_is_with_assistant(self) -> bool:
        return self.caller.peer is self.assistant and self.assistant.peer is self.caller


async def consulting(world: World, **request: object) -> Scene:
    """The human has answered and waits to be told."""
    if DESK not in world.phones:
        await world.phone(DESK, answer_at_once)
    cast = await talking(world)
    scene = Scene(world, cast.sbc, cast.bot, cast.session)
    scene.handoff = world.hand_off(destination="front-desk", consult=True, **request)
    assert scene.handoff.consult is ConsultPhase.DIALING
    await world.until(lambda: scene.handoff.consult is not ConsultPhase.DIALING)
    return scene


def staged(
    told: Callable[[Scene], Awaitable[None]],
    *,
    main: str = MAIN,
    destinations: str = DESTINATIONS,
    **request: object,
) -> Callable[[Path], None]:
    """A story that begins with the human's answer."""

    def test(tmp_path: Path) -> None:
        async def story(world: World) -> None:
            await told(await consulting(world, **request))

        play(story, tmp_path, main=main, destinations=destinations)

    return test


async def _brief_then_accept(scene: Scene) -> None:
    before = scene.handoff.state
    assert before is HandoffState.RINGING
    assert scene.caller_is_with_assistant(), "the caller notices nothing"
    assert scene.agent().source is Nothing.SILENCE, "the human is expected"
    await scene.go("brief", ConsultPhase.BRIEFING)
    assert scene.assistant.peer is scene.agent()
    assert scene.agent().peer is scene.assistant
    assert scene.caller.source == PromptDouble("ringback"), "no music is configured"
    scene.tell("accept")
    await scene.until_awaited()
    scene.agent().hear()
    await scene.until_over(scene.handoff)
    assert scene.caller.peer is scene.agent()
    assert scene.agent().peer is scene.caller
    assert scene.handoff.consult is ConsultPhase.ACCEPTED
    assert scene.handoff.state is HandoffState.CONNECTED
    await scene.bot.until(Ended)
    scene.hang_up()
    record = await scene.world.record()
    assert summary(scene.handoff) == ("completed", "normal_hangup", 4000)
    assert [leg.role for leg in record.legs] == ["caller", "assistant", "agent"]
    assert scene.world.network.titles([("192.0.2.100", 5060)]).count("INVITE") == 2, "nobody is re-invited"


test_the_assistant_briefs_the_human_who_then_gets_the_caller = staged(_brief_then_accept)


async def _introduce(scene: Scene) -> None:
    await scene.go("brief", ConsultPhase.BRIEFING)
    await scene.go("introduce", ConsultPhase.INTRODUCING)
    assert scene.mixes(scene.caller, scene.assistant, scene.agent())
    assert scene.mixes(scene.assistant, scene.caller, scene.agent())
    assert scene.mixes(scene.agent(), scene.caller, scene.assistant)
    await scene.go("brief", ConsultPhase.BRIEFING)
    assert scene.assistant.peer is scene.agent()
    assert scene.caller.source == PromptDouble("ringback")
    await scene.go("introduce", ConsultPhase.INTRODUCING)
    scene.tell("accept")
    await scene.until_awaited()
    scene.agent().hear()
    await scene.until_over(scene.handoff)
    assert scene.caller.peer is scene.agent()
    scene.hang_up()


test_three_hear_each_other_for_an_introduction = staged(_introduce)


@pytest.mark.parametrize(
    "before", [(), ("brief",), ("brief", "introduce")], ids=["waiting", "briefing", "introducing"]
)
@pytest.mark.parametrize("how", ["declined", "agent leaves", "timeout", "cancelled"])
def test_a_human_who_does_not_get_the_caller_is_let_go_and_the_caller_is_back(
    tmp_path: Path, before: tuple[str, ...], how: str
) -> None:
    async def story(world: World) -> None:
        scene = await consulting(world, consult_timeout=15.0)
        for verb in before:
            scene.tell(verb)
        await asyncio.sleep(1)
        desk = world.phones[DESK]
        if how == "declined":
            scene.tell("decline")
        elif how == "agent leaves":
            desk.do(desk.sessions[0].bye)
        elif how == "cancelled":
            (call,) = world.registry.calls.values()
            call.inbox.put(HandoffStopped(scene.handoff))
        await scene.until_over(scene.handoff)
        expected = ("cancelled", "cancel", 1000) if how == "cancelled" else ("failed", "confirm_failed", 9110)
        assert summary(scene.handoff) == expected
        assert scene.handoff.consult is ConsultPhase.DECLINED
        source = {"declined": "api", "agent leaves": "agent", "timeout": "b2bua", "cancelled": "api"}[how]
        assert scene.handoff.outcome is not None
        assert scene.handoff.outcome.source == source
        await desk.until(Ended)
        assert scene.caller_is_with_assistant()
        again = world.hand_off(destination="front-desk")
        assert again.id != scene.handoff.id, "another may follow"
        scene.hang_up()
        await world.record()

    play(story, tmp_path, main=MAIN)


def test_no_fallback_is_dialled_for_a_human_who_declined_and_one_is_for_a_busy_one(tmp_path: Path) -> None:
    destinations = DESTINATIONS.replace("billing:\n", "billing:\n  fallback: front-desk\n")

    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_at_once)
        billing = await world.phone("198.51.100.2", answer_at_once)
        cast = await talking(world)
        (call,) = world.registry.calls.values()
        request = HandoffRequest(destination="billing", consult=True)
        first = begin(call, request)
        await world.until(lambda: first.consult is ConsultPhase.WAITING)
        tell(call, first, "decline")
        await cast.until_over(first)
        assert not desk.invites()
        billing.on_invite = refuse(486)
        second = begin(call, request)
        await world.until(lambda: second.consult is ConsultPhase.WAITING)
        assert second.destination == "front-desk"
        assert desk.invites()
        cast.hang_up()
        await world.record()
        assert second.consult is ConsultPhase.DECLINED

    play(story, tmp_path, main=MAIN, destinations=destinations)


@pytest.mark.parametrize(
    "before", [(), ("brief",), ("brief", "introduce")], ids=["waiting", "briefing", "introducing"]
)
def test_the_caller_who_leaves_ends_it_all(tmp_path: Path, before: tuple[str, ...]) -> None:
    async def story(world: World) -> None:
        scene = await consulting(world)
        for verb in before:
            scene.tell(verb)
        await asyncio.sleep(1)
        scene.hang_up()
        record = await world.record()
        await world.phones[DESK].until(Ended)
        await scene.bot.until(Ended)
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.source) == ("normal_hangup", "caller")
        assert summary(scene.handoff) == ("failed", "cancel", 1000)

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize(
    "before", [(), ("brief",), ("brief", "introduce")], ids=["waiting", "briefing", "introducing"]
)
def test_the_assistant_leaves_and_the_human_gets_the_caller(tmp_path: Path, before: tuple[str, ...]) -> None:
    async def story(world: World) -> None:
        scene = await consulting(world)
        for verb in before:
            scene.tell(verb)
        await asyncio.sleep(1)
        scene.bot.do(scene.bot.sessions[0].bye)
        await scene.until_awaited()
        assert scene.caller.source is not Nothing.NOBODY
        scene.agent().hear()
        await scene.until_over(scene.handoff)
        assert scene.caller.peer is scene.agent()
        assert scene.handoff.is_connected
        scene.hang_up()

    play(story, tmp_path, main=MAIN)


def test_the_assistant_leaves_and_the_human_is_let_go_where_that_is_configured(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        scene = await consulting(world)
        await scene.go("brief", ConsultPhase.BRIEFING)
        scene.bot.do(scene.bot.sessions[0].bye)
        await scene.until_over(scene.handoff)
        assert summary(scene.handoff) == ("failed", "confirm_failed", 9110)
        await scene.bot.until(InviteReceived, count=2)
        await world.until(lambda: scene.call.leg("assistant") is not scene.assistant)
        await world.until(lambda: scene.caller.peer is scene.call.leg("assistant"))
        scene.hang_up()

    play(story, tmp_path, main=with_route("redial_assistant: true"), destinations=BACK)


async def _on_answer(scene: Scene) -> None:
    await scene.until_phase(ConsultPhase.BRIEFING)
    assert scene.agent().peer is scene.assistant
    scene.hang_up()


test_the_briefing_may_begin_with_the_answer = staged(_on_answer, brief="on_answer")


async def _refused(scene: Scene) -> None:
    scene.tell("accept")
    await scene.until_awaited()
    with pytest.raises(ControlError) as raised:
        scene.tell("brief")
    assert raised.value.code == "not_consulting"
    scene.agent().hear()
    await scene.until_over(scene.handoff)
    with pytest.raises(ControlError) as raised:
        scene.tell("decline")
    assert (raised.value.status, raised.value.code) == (409, "handoff_final")
    plain = HandoffRequest(destination="front-desk")
    (call,) = scene.world.registry.calls.values()
    with pytest.raises(ControlError) as raised:
        tell(call, begin(call, plain), "accept")
    assert raised.value.code == "not_consulting"
    scene.hang_up()


test_what_is_decided_cannot_be_told_again = staged(_refused)


def test_keys_and_hold_pass_between_the_assistant_and_the_human_during_the_briefing(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        scene = await consulting(world)
        await scene.go("brief", ConsultPhase.BRIEFING)
        desk = world.phones[DESK]
        desk.reoffer(desk.sessions[0], Direction.SENDONLY)
        await world.until(lambda: scene.bot.reoffers())
        assert not scene.sbc.reoffers(), "the caller has nothing to do with it"
        scene.tell("decline")
        await scene.until_over(scene.handoff)
        await asyncio.sleep(2)
        assert len(scene.bot.reoffers()) == 2, "the assistant is resumed"
        scene.hang_up()

    play(story, tmp_path, main=MAIN)
