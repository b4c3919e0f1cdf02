"""INVITE with Replaces in an early dialog (RFC 3891 section 3): who hears a phone ring answers it at their own."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sip_stack.dialog import SessionState
from sip_stack.events import Answered, Cancelled, Ended
from tests.support.b2bua_world import (
    BILLING,
    DESK,
    DESTINATIONS,
    SBC,
    World,
    offer,
    play,
    ring,
)
from tests.support.handoff_cast import MAIN, talking
from tests.support.taking_a_place import SECOND, dialog, refused, take


def test_a_call_that_rings_is_picked_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        sbc = await world.phone(SBC)
        caller = sbc.call("desk")
        await world.until(lambda: desk.sessions)
        await asyncio.sleep(1)
        picker = take(desk, dialog(desk.sessions[0], ";early-only"))
        await sbc.until(Answered)
        await desk.until(Cancelled)
        one, other = world.media.calls[0].leg("caller"), world.media.calls[0].leg("agent")
        assert one.peer is other
        assert other.peer is one
        await asyncio.sleep(5)
        desk.do(picker.bye)
        await sbc.until(Ended)
        assert caller.state is SessionState.ENDED
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "agent")
        assert record.attempts[0].answered is not None
        assert [leg.replaces for leg in record.legs] == [None, None, record.legs[1].sip_call_id]

    play(story, tmp_path, main=MAIN)


def test_the_human_of_a_handoff_is_picked_up_before_they_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await world.until(lambda: str(handoff.state) == "ringing")
        take(desk, dialog(desk.sessions[0]))
        await cast.until_awaited()
        assert cast.caller.peer is cast.assistant
        cast.agent().hear()
        await cast.until_over(handoff)
        assert cast.caller.peer is cast.agent()
        await desk.until(Cancelled)
        await cast.bot.until(Ended)
        cast.hang_up()
        await desk.until(Ended)

    play(story, tmp_path, main=MAIN)


def test_who_rang_answers_in_the_same_moment(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        sbc = await world.phone(SBC)
        caller = sbc.call("desk")
        await world.until(lambda: desk.sessions)
        await asyncio.sleep(1)
        first = desk.sessions[0]
        take(desk, dialog(first))
        desk.do(lambda now: first.answer(now, body=offer(desk.host)))
        await sbc.until(Answered)
        await asyncio.sleep(1)
        sbc.do(caller.bye)
        await desk.until(Ended, count=2)

    play(story, tmp_path, main=MAIN)


def test_somebody_else_was_quicker_than_who_picks_up(tmp_path: Path) -> None:
    route = f"route: [sip:a@{DESK}, sip:b@{BILLING}]\n  ring: together"

    async def story(world: World) -> None:
        desk, billing = await world.phone(DESK, ring), await world.phone(BILLING, ring)
        sbc = await world.phone(SBC)
        caller = sbc.call("desk")
        await world.until(lambda: desk.sessions and billing.sessions)
        await asyncio.sleep(1)
        desk.do(lambda now: desk.sessions[0].answer(now, body=offer(desk.host)))
        take(billing, dialog(billing.sessions[0]))
        await sbc.until(Answered)
        await billing.until(Cancelled)
        await billing.until(Ended)
        assert len(world.registry.calls) == 1
        sbc.do(caller.bye)
        await desk.until(Ended)

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS.replace(f"route: sip:operator@{DESK}", route))


def test_an_early_dialog_that_the_caller_began_is_not_to_be_replaced(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        sbc, second = await world.phone(SBC), await world.phone(SECOND)
        caller = sbc.call("desk")
        await world.until(lambda: caller.remote_tag is not None)
        take(second, dialog(caller))
        assert await refused(second) == 481
        sbc.do(caller.cancel)

    play(story, tmp_path, main=MAIN)
