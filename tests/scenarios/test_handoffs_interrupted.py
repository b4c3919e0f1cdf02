"""Something else happens in the middle of a handoff, at each of its moments: nobody is lost, nothing is left over, and
what is told of it is what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from b2bua.call.events import HandoffStopped, HangUp, MediaLost
from b2bua.control import ControlError
from b2bua.handoff.consultation import ConsultPhase, tell
from b2bua.handoff.handoff import Handoff, HandoffState
from sip_stack.dialog import ServerSession, SessionState
from sip_stack.events import RequestReceived
from sip_stack.message import Request
from sip_stack.sdp import Direction
from tests.scenarios.test_assistant_refers import refer
from tests.scenarios.test_handoff_by_refer import REFER, notify
from tests.support.b2bua_world import B2BUA, BILLING, DESK, Phone, World, answer, offer, play, respond
from tests.support.handoff_cast import Cast, talking, with_route
from tests.support.media_leg_double import Nothing

LIFE = 2.2
"""Seconds from the request until every handoff here has come to its end by itself."""
STEP = 0.1973
"""No multiple of the network's delay, so that messages are met under way and just arrived."""
AFTERWARDS = 3.5
"""Seconds more until whoever is dialled for a caller who is alone has answered."""
DEAF = 0.65
"""The longest that the caller may hear somebody who has left: the engine's wait for the newcomer, and a little."""
MAIN = with_route("on_assistant_lost: default_destination")

TO_BILLING = ("Refer-To", f"<sip:queue-1@{BILLING}>")

WAYS: dict[str, dict[str, object]] = {
    "invite": {"destination": "front-desk"},
    "music": {"destination": "front-desk", "hold_music": "ringback", "wait_for_silence": 0.3},
    "consult": {"destination": "front-desk", "consult": True, "brief": "on_answer"},
    "before_dial": {"destination": "front-desk", "release_assistant": "before_dial"},
    "on_start": {"destination": "front-desk", "release_assistant": "on_start"},
    "asked by refer": {},
    "refer": {"destination": "by-refer"},
    "bye": {"destination": "back"},
}


async def pick_up(phone: Phone, session: ServerSession, request: Request) -> None:
    """Early media, and an answer within a second."""
    phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
    await asyncio.sleep(0.6)
    if session.state is SessionState.EARLY:
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))


def take(phone: Phone, event: RequestReceived) -> None:
    """The SBC takes a REFER, and takes its time over it."""
    event.session.respond(phone.now, event.transaction, 202 if event.request.method == "REFER" else 200)
    if event.request.method == "REFER":
        asyncio.get_running_loop().call_later(
            0.3, phone.do, lambda now: notify(phone, event, 180, active=True)
        )
        asyncio.get_running_loop().call_later(0.8, phone.do, lambda now: notify(phone, event, 200))


@dataclass
class Scene:
    """A handoff under way."""

    world: World
    cast: Cast
    desk: Phone
    handoff: Handoff
    again: list[Handoff] = field(default_factory=list)

    def hears_who_has_left(self) -> bool:
        """Whether nothing can come of what the caller is to hear."""
        source = self.cast.caller.source
        legs = [leg for call in self.world.registry.calls.values() for leg in call.legs]
        gone = any(leg.media is source and leg.over for leg in legs)
        return not self.cast.caller.closed and (gone or source is Nothing.NOBODY)

    def put(self, event: HandoffStopped | HangUp | MediaLost) -> None:
        """As the API or the engine do."""
        for call in self.world.registry.calls.values():
            call.inbox.put(event)

    def refer(self, phone: Phone) -> None:
        """Somebody refers the caller to the other human."""
        for session in phone.sessions:
            if session.state is SessionState.CONFIRMED:
                phone.do(partial(session.request, method="REFER", headers=[TO_BILLING]))

    def leave(self, phone: Phone) -> None:
        """BYE, or a refusal."""
        for session in phone.sessions:
            if session.state is SessionState.EARLY:
                phone.do(partial(session.reject, status=486))
            elif session.state is SessionState.CONFIRMED:
                phone.do(session.bye)

    def hold(self) -> None:
        """The caller presses hold."""
        if self.cast.session.state is SessionState.CONFIRMED:
            self.cast.sbc.reoffer(self.cast.session, Direction.SENDONLY)

    def ask_again(self) -> None:
        """The API asks for another."""
        try:
            self.again.append(self.world.hand_off(destination="billing"))
        except (ControlError, ValueError):
            return  # There is one under way, or no call any more.


INTERRUPTIONS: dict[str, Callable[[Scene], None]] = {
    "caller leaves": lambda scene: scene.cast.hang_up(),
    "assistant leaves": lambda scene: scene.leave(scene.cast.bot),
    "human leaves": lambda scene: scene.leave(scene.desk),
    "assistant refers": lambda scene: scene.refer(scene.cast.bot),
    "human refers": lambda scene: scene.refer(scene.desk),
    "caller holds": lambda scene: scene.hold(),
    "api hangs up": lambda scene: scene.put(HangUp("api")),
    "api takes it back": lambda scene: scene.put(HandoffStopped(scene.handoff)),
    "api asks again": lambda scene: scene.ask_again(),
    "engine is lost": lambda scene: scene.put(MediaLost()),
}
ENDS = ("caller leaves", "api hangs up", "engine is lost")
"""The call is over with these, whatever the handoff."""


async def go_on(scene: Scene, seconds: float) -> None:
    """Who has answered speaks, the application accepts whom it consults, and the caller hears something."""
    handoff, deaf = scene.handoff, 0.0
    for _ in range(round(seconds / 0.05)):
        await asyncio.sleep(0.05)
        deaf = deaf + 0.05 if scene.hears_who_has_left() else 0.0
        assert deaf < DEAF, "the caller hears somebody who has left"
        consulted = (
            handoff.consult in (ConsultPhase.WAITING, ConsultPhase.BRIEFING) and not handoff.state.final
        )
        if consulted and scene.desk.now - handoff.created > 1.2:
            for call in scene.world.registry.calls.values():
                tell(call, handoff, "accept")
        for leg in [leg for call in scene.world.media.calls for leg in call.legs]:
            if not leg.closed:
                leg.hear()


def take_notice_late(phone: Phone, event: RequestReceived) -> None:
    """The assistant answers a NOTIFY when nobody waits for that any more."""
    late = 2.5 if event.request.method == "NOTIFY" else 0.0
    asyncio.get_running_loop().call_later(late, respond, phone, event)


async def begin(world: World, cast: Cast, way: str) -> Handoff:
    """The handoff is asked for."""
    if WAYS[way]:
        return world.hand_off(**WAYS[way])
    cast.bot.on_request = take_notice_late
    refer(cast, f"sip:front-desk@{B2BUA}")
    (call,) = world.registry.calls.values()
    await world.until(lambda: call.handoffs)
    return call.handoffs[0]


def check(scene: Scene, what: str, way: str) -> None:
    """What must hold a while after the interruption."""
    cast, handoff = scene.cast, scene.handoff
    assert handoff.state.final or handoff.is_connected, str(handoff.state)
    if way == "bye" and cast.session.state is SessionState.ENDED and handoff.irrevocable:
        assert handoff.state is HandoffState.COMPLETED, "the SBC has the caller"
    is_up = cast.session.state is SessionState.CONFIRMED
    if what in ENDS:
        assert not is_up
    elif what == "api takes it back" and way in ("before_dial", "on_start"):
        pass  # Nobody may be left, whom the caller could be back with.
    elif way not in ("refer", "bye") and what not in ("human leaves", "assistant leaves"):
        assert is_up, "the caller has lost everybody"
    if is_up:
        assert not cast.caller.closed
        assert cast.caller.source is not Nothing.NOBODY, "the caller hears nothing"
        (call,) = scene.world.registry.calls.values()
        assert call.peer is not None
        assert not call.peer.over


def interrupted(folder: Path, way: str, what: str, moment: float) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, pick_up)
        billing = await world.phone(BILLING, answer)
        cast = await talking(world)
        cast.sbc.on_request = take
        scene = Scene(world, cast, desk, await begin(world, cast, way))
        life = asyncio.ensure_future(go_on(scene, LIFE + AFTERWARDS))
        await asyncio.sleep(moment)
        INTERRUPTIONS[what](scene)
        await life
        check(scene, what, way)
        for phone in (desk, billing):
            phone.on_request = respond
        if cast.session.state is SessionState.CONFIRMED:
            cast.hang_up()
        await world.record()
        await asyncio.sleep(5.0)
        assert len(world.records) == 1

    play(story, folder, main=MAIN, destinations=REFER)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", INTERRUPTIONS)
def test_at_each_moment(tmp_path: Path, way: str, what: str) -> None:
    for number in range(round(LIFE / STEP)):
        moment = number * STEP
        try:
            interrupted(tmp_path, way, what, moment)
        except AssertionError as error:
            raise AssertionError(f"at {moment:.3f} s: {error}") from error
