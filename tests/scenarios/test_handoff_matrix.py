"""Each method of handoff in each of its phases: the caller, the assistant or the human leaves, or it is given up.

Whoever leaves when: the call ends when the caller left, the caller is with the human or the assistant when somebody
else did, every far end is let go, and the record says what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from b2bua.call.events import HandoffStopped
from b2bua.handoff.handoff import Handoff, HandoffState
from sip_stack.dialog import ServerSession, SessionState
from sip_stack.events import Cancelled, Ended, RequestReceived
from sip_stack.message import Request
from tests.scenarios.test_handoff_by_refer import REFER, accept, notify
from tests.support.b2bua_world import B2BUA, DESK, DESTINATIONS, Phone, World, offer, play, ring
from tests.support.handoff_cast import MAIN, Cast, summary, talking
from tests.support.media_leg_double import Nothing, PromptDouble

DESTINATIONS_OF_ALL = REFER.replace("method: bye", "method: bye\n  wait_for_silence: 0")


@dataclass
class Desk:
    """The human, who does what the test says."""

    phone: Phone
    sessions: list[ServerSession] = field(default_factory=list)

    async def take(self, phone: Phone, session: ServerSession, request: Request) -> None:
        self.sessions.append(session)

    def ring(self, status: int = 180) -> None:
        body = offer(DESK) if status == 183 else b""
        self.phone.do(lambda now: self.sessions[-1].progress(now, status, body=body))

    def answer(self) -> None:
        self.phone.do(lambda now: self.sessions[-1].answer(now, body=offer(DESK)))

    def leave(self) -> None:
        """Refuse, or hang up."""
        session = self.sessions[-1]
        if session.state is SessionState.EARLY:
            self.phone.do(lambda now: session.reject(now, 486))
        else:
            self.phone.do(session.bye)


async def desk_of(world: World) -> Desk:
    desk = Desk(await world.phone(DESK))
    desk.phone.on_invite = desk.take
    return desk


@dataclass
class Scene:
    """A handoff that has come to a phase."""

    world: World
    cast: Cast
    desk: Desk
    handoff: Handoff

    async def connect(self) -> None:
        """Let the human take the call, from whatever phase it is in."""
        if self.cast.assistant.quiet_ms is not None and not self.cast.assistant.closed:
            self.cast.assistant.stop_talking()
        await self.world.until(lambda: self.desk.sessions)
        if self.desk.sessions[-1].state is SessionState.EARLY:
            self.desk.answer()
        self.accept()
        if self.handoff.state is not HandoffState.CONNECTED:
            await self.cast.until_awaited()
            self.cast.agent().hear()
        await self.cast.until_over(self.handoff)

    def accept(self) -> None:
        """The human does what is asked of them, if anything is."""
        agent = self.cast.agent()
        if isinstance(agent.source, PromptDouble):
            agent.finish_prompt()
        elif agent.sign is not None:
            agent.turn_out(machine=False)
        elif agent.source is Nothing.SILENCE:
            agent.press("1")

    def stop(self) -> None:
        """Whoever asked gives up."""
        next(iter(self.world.registry.calls.values())).inbox.put(HandoffStopped(self.handoff))


PHASES = (
    "announcing",
    "dialing",
    "ringing",
    "early media",
    "digits",
    "screened",
    "asked",
    "answered",
    "announcing yet",
    "connected",
)
"""Of a handoff by INVITE."""
ACCEPTING: dict[str, dict[str, object]] = {
    "digits": {"post_dial_digits": "12W3"},
    "screened": {"detect_voicemail": "long_speech"},
    "asked": {"accept_key": "1"},
}
"""The phases between the human's answer and the bridge, and what of a request leads to them."""


async def by_invite(world: World, phase: str) -> Scene:
    """A handoff by INVITE in that phase."""
    desk = await desk_of(world)
    cast = await talking(world)
    request: dict[str, object] = {"destination": "front-desk"}
    if phase == "announcing":
        request |= {"hold_music": "silence", "wait_for_silence": 5.0}
    elif phase == "early media":
        request |= {"hold_music": "early_media"}
    elif phase in ACCEPTING:
        request |= {"hold_music": "early_media", **ACCEPTING[phase]}
    elif phase == "announcing yet":
        request |= {"utterance": "I am putting you through."}
    scene = Scene(world, cast, desk, world.hand_off(**request))
    if phase == "announcing":
        await world.until(lambda: cast.assistant.quiet_ms is not None)
        assert not desk.sessions, "the sentence first"
        return scene
    await world.until(lambda: desk.sessions)
    if phase != "dialing":
        desk.ring(183 if phase in ("early media", *ACCEPTING) else 180)
        await world.until(lambda: scene.handoff.state is HandoffState.RINGING)
    if phase in ACCEPTING:
        desk.answer()
        await world.until(lambda: cast.agent().source is not Nothing.NOBODY)
    if phase == "announcing yet":
        desk.answer()
        await world.until(lambda: cast.assistant.quiet_ms is not None)
    elif phase in ("answered", "connected"):
        desk.answer()
        await cast.until_awaited()
    if phase == "connected":
        cast.agent().hear()
        await cast.until_over(scene.handoff)
    await asyncio.sleep(0.1)
    return scene


@pytest.mark.parametrize("phase", PHASES)
def test_by_invite_the_caller_leaves(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_invite(world, phase)
        scene.cast.hang_up()
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "caller")
        met = phase == "connected"
        expected = ("completed", "normal_hangup", 4000) if met else ("failed", "cancel", 1000)
        assert summary(scene.handoff) == expected
        assert all(each.outcome and each.outcome.code == expected[2] for each in scene.handoff.attempts)
        await scene.cast.bot.until(Ended)
        if scene.desk.sessions:
            answered = phase in (*ACCEPTING, "answered", "announcing yet", "connected")
            await scene.desk.phone.until(Ended if answered else Cancelled)

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("phase", PHASES)
def test_by_invite_the_assistant_leaves(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_invite(world, phase)
        if phase != "connected":  # then it has got its BYE already
            scene.cast.bot.do(scene.cast.bot.sessions[0].bye)
            await asyncio.sleep(0.1)
        await scene.connect()
        assert scene.handoff.state is HandoffState.CONNECTED
        assert scene.cast.caller.peer is scene.cast.agent()
        assert scene.cast.agent().peer is scene.cast.caller
        scene.cast.hang_up()
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.source == "caller"

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("phase", PHASES[1:])
def test_by_invite_the_human_leaves(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_invite(world, phase)
        scene.desk.leave()
        await world.until(lambda: scene.handoff.state.final)
        if phase == "connected":
            assert summary(scene.handoff) == ("completed", "normal_hangup", 4000)
            assert (await scene.cast.sbc.until(Ended)).by == "remote"
            return
        answered = phase in (*ACCEPTING, "answered", "announcing yet")
        assert summary(scene.handoff) == (
            ("failed", "confirm_failed", 9110) if answered else ("failed", "busy", 3010)
        )
        assert scene.cast.caller.peer is scene.cast.assistant
        assert scene.cast.assistant.peer is scene.cast.caller
        assert scene.cast.caller.awaits is None
        assert scene.cast.agent().closed, "its ports are free again"
        assert scene.handoff.attempts[-1].outcome == scene.handoff.outcome
        scene.cast.hang_up()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("phase", PHASES)
def test_by_invite_it_is_given_up(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_invite(world, phase)
        scene.stop()
        await asyncio.sleep(1)
        if phase == "connected":
            assert scene.handoff.state is HandoffState.CONNECTED, "too late"
            assert not scene.handoff.can_be_stopped
        else:
            assert summary(scene.handoff) == ("cancelled", "cancel", 1000)
            assert scene.cast.caller.peer is scene.cast.assistant
            assert all(leg.closed for leg in scene.cast.call.legs if leg.role == "agent")
            assert not any(s.state is SessionState.CONFIRMED for s in scene.desk.sessions)
        scene.cast.hang_up()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("phase", PHASES)
def test_by_invite_the_server_stops(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_invite(world, phase)
        world.registry.end_all()
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "shutdown"
        await scene.cast.sbc.until(Ended)

    play(story, tmp_path, main=MAIN)


# -- REFER -------------------------------------------------------------------------------------------------------------

STEPS: dict[str, Callable[[Phone, RequestReceived], None]] = {
    "announcing": accept(),
    "sent": lambda phone, event: None,
    "accepted": accept(),
    "trying": accept(100),
    "ringing": accept(100, 180),
}
"""The phases of a handoff by REFER, by what the SBC has said to it."""


async def by_refer(world: World, phase: str, destination: str = "by-refer") -> Scene:
    """A handoff by REFER in that phase."""
    desk = await desk_of(world)
    cast = await talking(world)
    cast.sbc.on_request = STEPS[phase]
    request = {"wait_for_silence": 5.0} if phase == "announcing" else {}
    scene = Scene(world, cast, desk, world.hand_off(destination=destination, **request))
    if phase == "announcing":
        await world.until(lambda: cast.assistant.quiet_ms == 400)
        assert not cast.sbc.requests, "the sentence first"
    await asyncio.sleep(0.2)
    return scene


def refers(scene: Scene) -> list[RequestReceived]:
    """The REFERs that reached the SBC."""
    events = scene.cast.sbc.events
    return [each for each in events if isinstance(each, RequestReceived) and each.request.method == "REFER"]


async def finish(scene: Scene, status: int) -> None:
    """The SBC says how the transfer ended."""
    if scene.cast.assistant.quiet_ms is not None:
        scene.cast.assistant.stop_talking()
        await scene.world.until(lambda: refers(scene))
        await asyncio.sleep(0.1)
    event = refers(scene)[-1]
    scene.cast.sbc.do(lambda now: notify(scene.cast.sbc, event, status))
    await scene.cast.until_over(scene.handoff)


@pytest.mark.parametrize("phase", STEPS)
def test_by_refer_the_caller_leaves(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_refer(world, phase)
        scene.cast.hang_up()
        record = await world.record()
        accepted = phase in ("accepted", "trying", "ringing")
        expected = ("completed", "normal_hangup", 4000) if accepted else ("failed", "cancel", 1000)
        assert summary(scene.handoff) == expected
        assert scene.handoff.confirmed == ("bye" if accepted else None)
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "caller")
        await scene.cast.bot.until(Ended)

    # What the SBC never answers stays in its stack for ever: that REFER is the test's.
    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL, settle=phase != "sent")


@pytest.mark.parametrize("phase", [phase for phase in STEPS if phase != "sent"])
@pytest.mark.parametrize("status", [200, 486])
def test_by_refer_the_assistant_leaves(tmp_path: Path, phase: str, status: int) -> None:
    async def story(world: World) -> None:
        scene = await by_refer(world, phase)
        scene.cast.bot.do(scene.cast.bot.sessions[0].bye)
        await asyncio.sleep(0.2)
        assert scene.cast.caller.source == world.media.ringback(), "the caller is not left in silence"
        scene.cast.assistant.quiet_ms = None
        await world.until(lambda: refers(scene))
        await asyncio.sleep(0.1)
        await finish(scene, status)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.code == 4000
        expected = ("completed", "normal_hangup", 4000) if status == 200 else ("failed", "busy", 3010)
        assert summary(scene.handoff) == expected
        await scene.cast.sbc.until(Ended)

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL)


@pytest.mark.parametrize("phase", [phase for phase in STEPS if phase != "sent"])
def test_by_refer_the_far_side_refuses(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_refer(world, phase)
        await finish(scene, 486)
        assert summary(scene.handoff) == ("failed", "busy", 3010)
        assert scene.cast.caller.peer is scene.cast.assistant
        assert scene.cast.caller.timeout, "the audio of both is watched again"
        scene.cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL)


@pytest.mark.parametrize("phase", STEPS)
def test_by_refer_it_is_given_up(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_refer(world, phase)
        scene.stop()
        await asyncio.sleep(0.5)
        assert summary(scene.handoff) == ("cancelled", "cancel", 1000)
        assert scene.cast.caller.peer is scene.cast.assistant
        assert len(refers(scene)) == (0 if phase == "announcing" else 1)
        scene.cast.hang_up()
        await world.record()

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL, settle=phase != "sent")


def test_by_refer_silence_of_the_audio_is_no_end_while_the_sbc_works(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        scene = await by_refer(world, "trying")
        assert not scene.cast.caller.timeout, "nobody watches the audio that the SBC may take away"
        await finish(scene, 200)
        await world.record()

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL)


def test_by_refer_the_assistant_says_nothing_about_the_caller(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        scene = await by_refer(world, "trying")
        (event,) = refers(scene)
        bot = scene.cast.bot
        forged = RequestReceived(bot.sessions[0], event.transaction, event.request)
        bot.do(lambda now: notify(bot, forged, 200))
        await asyncio.sleep(1)
        assert scene.handoff.state is HandoffState.DIALING
        await finish(scene, 200)
        await world.record()

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL)


# -- BYE ---------------------------------------------------------------------------------------------------------------


async def by_bye(world: World, phase: str) -> Scene:
    """A handoff by BYE: `announcing`, or `sent` and not answered yet."""
    desk = await desk_of(world)
    cast = await talking(world)
    if phase == "sent":
        world.network.wire.hold("BYE", 1.0)
    request = {"wait_for_silence": 5.0} if phase == "announcing" else {}
    scene = Scene(world, cast, desk, world.hand_off(destination="back", **request))
    await asyncio.sleep(0.2)
    return scene


@pytest.mark.parametrize("phase", ["announcing", "sent"])
def test_by_bye_the_caller_leaves(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_bye(world, phase)
        scene.cast.hang_up()
        await world.record(patience=5)
        expected = ("completed", "normal_hangup", 4000) if phase == "sent" else ("failed", "cancel", 1000)
        assert summary(scene.handoff) == expected
        if phase == "sent":  # the SBC knows the call no more when our BYE comes, and that changes nothing
            assert scene.handoff.confirmed is False
            assert scene.handoff.outcome is not None
            assert scene.handoff.outcome.sip_status == 481

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL)


@pytest.mark.parametrize("phase", ["announcing", "sent"])
def test_by_bye_the_assistant_leaves(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_bye(world, phase)
        scene.cast.bot.do(scene.cast.bot.sessions[0].bye)
        await world.record(patience=5)
        assert summary(scene.handoff) == ("completed", "normal_hangup", 4000)
        assert scene.handoff.confirmed is True
        await scene.cast.sbc.until(Ended)

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL)


@pytest.mark.parametrize("phase", ["announcing", "sent"])
def test_by_bye_it_is_given_up(tmp_path: Path, phase: str) -> None:
    async def story(world: World) -> None:
        scene = await by_bye(world, phase)
        scene.stop()
        if phase == "announcing":
            await asyncio.sleep(0.2)
            assert summary(scene.handoff) == ("cancelled", "cancel", 1000)
            assert scene.cast.caller.peer is scene.cast.assistant
            scene.cast.hang_up()
        await world.record(patience=5)
        if phase == "sent":
            assert summary(scene.handoff) == ("completed", "normal_hangup", 4000), (
                "a BYE cannot be taken back"
            )

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS_OF_ALL)


# -- time --------------------------------------------------------------------------------------------------------------


def test_the_time_limit_of_the_human_counts_from_their_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        scene = await by_invite(world, "connected")
        began = world.stack.now()
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "scheduled_hangup"
        assert 59 <= world.stack.now() - began <= 61
        await scene.cast.sbc.until(Ended)
        await scene.desk.phone.until(Ended)

    limited = DESTINATIONS.replace("  route: sip:operator", "  time_limit: 1m\n  route: sip:operator")
    play(story, tmp_path, main=MAIN, destinations=limited)


def test_a_time_limit_that_runs_out_during_a_handoff_waits_for_its_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        cast = await talking(world)
        await asyncio.sleep(55)
        handoff = world.hand_off(destination="front-desk", ring_timeout=10.0)
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "no-answer", 6010)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "scheduled_hangup"

    play(story, tmp_path, main=MAIN + "timers: {time_limit: 1m}\n")


@pytest.mark.parametrize("destination", ["by-refer", "back"])
def test_an_announced_sentence_is_heard_whole_before_refer_and_bye(tmp_path: Path, destination: str) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = accept(200)
        world.hand_off(destination=destination, utterance="You will be put through.")
        await asyncio.sleep(3)
        assert {"REFER", "BYE"}.isdisjoint(world.network.titles([(B2BUA, 5060)]))
        cast.assistant.stop_talking()
        await world.record()

    play(story, tmp_path, main=MAIN, destinations=REFER)
