"""INVITE with Replaces (RFC 3891): somebody takes the place of one of the two in a call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.call import recording
from b2bua.control import ControlError
from b2bua.feed import LegAnswered, LegEnded
from sip_stack.events import Answered, Ended
from sip_stack.sdp import Direction
from tests.scenarios.test_feed_of_calls import Diary
from tests.scenarios.test_joined_calls import joined
from tests.support.b2bua_world import (
    DESK,
    SBC,
    World,
    answer,
    direction_of,
    play,
)
from tests.support.handoff_cast import MAIN, answer_at_once, talking
from tests.support.taking_a_place import SECOND, dialog, newest, refused, take, with_the_desk

# -- what is done -----------------------------------------------------------------------------------------------------


def test_another_phone_of_the_trunk_takes_the_callers_place(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        session = take(second, dialog(cast.session))
        await second.until(Answered)
        await world.until(lambda: cast.assistant.awaits is not None)
        new = newest(cast, "caller")
        assert new is not cast.caller
        assert new.peer is cast.assistant, "the newcomer hears at once"
        assert cast.assistant.peer is cast.caller, "and is heard from the first packet on"
        assert not any(isinstance(event, Ended) for event in cast.sbc.events)
        new.hear()
        await cast.sbc.until(Ended)
        assert cast.assistant.peer is new
        assert cast.caller.closed
        await asyncio.sleep(20)
        second.do(session.bye)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "caller")
        assert record.duration_ms >= 20_000
        old, bot, late = record.legs
        assert [(leg.role, leg.ended_by) for leg in record.legs] == [
            ("caller", "b2bua"),
            ("assistant", "caller"),
            ("caller", "caller"),
        ]
        assert late.replaces == old.sip_call_id
        assert bot.replaces is None
        assert late.as_json(record.clock)["replaces"] == old.sip_call_id

    play(story, tmp_path, main=MAIN)


def test_the_destination_puts_another_phone_in_the_humans_place(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        diary = Diary(world)
        cast, desk, old = await with_the_desk(world)
        told = len(diary.lines)
        take(desk, dialog(desk.sessions[0]))
        await desk.until(Answered)
        await cast.until_awaited()
        newest(cast, "agent").hear()
        await desk.until(Ended)
        assert old.closed
        assert cast.caller.peer is newest(cast, "agent")
        assert diary.lines[told:] == ["leg.answered agent of the handoff", "leg.ended agent 4000 by b2bua"]
        (call,) = world.registry.calls.values()
        assert call.handoffs[0].is_connected, "it is the same handoff"
        cast.hang_up()
        await desk.until(Ended, count=2)
        record = await world.record()
        assert record.handoffs[0]["outcome"]["code"] == 4000  # type: ignore[index]
        assert diary.lines[-3:-1] == ["leg.ended agent 4000 by caller", "handoff completed 4000"]

    play(story, tmp_path, main=MAIN)


def test_a_newcomer_may_be_replaced_and_may_hand_the_call_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        phones = [await world.phone(f"192.0.2.{host}") for host in (78, 79)]
        last = cast.session
        for phone in phones:
            last = take(phone, dialog(last))
            await phone.until(Answered)
            await world.until(lambda: cast.assistant.awaits is not None)
            newest(cast, "caller").hear()
            await asyncio.sleep(0.1)
            assert cast.assistant.peer is newest(cast, "caller")
        desk = await world.phone(DESK, answer_at_once)
        handoff = world.hand_off(destination="front-desk")
        await world.until(lambda: newest(cast, "caller").awaits is not None)
        cast.agent().hear()
        await cast.until_over(handoff)
        assert newest(cast, "caller").peer is cast.agent()
        phones[-1].do(last.bye)
        await desk.until(Ended)
        assert [leg.role for leg in (await world.record()).legs] == [
            *("caller", "assistant", "caller", "caller", "agent")
        ]

    play(story, tmp_path, main=MAIN)


def test_a_silent_newcomer_has_the_place_after_half_a_second(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        take(second, dialog(cast.session))
        await world.until(lambda: cast.assistant.awaits is not None)
        cast.assistant.wait_in_vain()
        await cast.sbc.until(Ended)
        newest(cast, "caller").hear()
        assert cast.assistant.peer is newest(cast, "caller")
        cast.bot.do(cast.bot.sessions[0].bye)
        await second.until(Ended)

    play(story, tmp_path, main=MAIN)


def test_hold_crosses_to_the_newcomer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.bot.reoffer(cast.bot.sessions[0], Direction.SENDONLY)
        await world.until(lambda: cast.sbc.reoffers())
        second = await world.phone(SECOND)
        session = take(second, dialog(cast.session))
        answered = await second.until(Answered)
        assert direction_of(answered.response.body) is Direction.SENDONLY, "the assistant holds"
        await world.until(lambda: cast.assistant.awaits is not None)
        cast.assistant.wait_in_vain()
        await cast.sbc.until(Ended)
        cast.bot.reoffer(cast.bot.sessions[0], Direction.SENDRECV)
        await world.until(lambda: second.reoffers()[-1:] == [Direction.SENDRECV])
        await asyncio.sleep(1)
        second.do(session.bye)

    play(story, tmp_path, main=MAIN)


def test_what_is_recorded_goes_on_being_recorded(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        (call,) = world.registry.calls.values()
        recording.tell(call, "start")
        recording.tell(call, "pause")
        second = await world.phone(SECOND)
        session = take(second, dialog(cast.session))
        await world.until(lambda: cast.assistant.awaits is not None)
        newest(cast, "caller").hear()
        await cast.sbc.until(Ended)
        await asyncio.sleep(0.1)
        before, now = call.record.recordings
        assert (before.state, now.state) == ("ended", "paused"), "as it was with the one before"
        assert before.path != now.path
        assert cast.call.recordings[1].leg is newest(cast, "caller")
        second.do(session.bye)

    play(story, tmp_path, main=MAIN)


# -- who leaves meanwhile ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["newcomer", "replaced", "assistant"])
def test_whoever_leaves_before_the_newcomer_is_heard(tmp_path: Path, who: str) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        session = take(second, dialog(cast.session))
        await world.until(lambda: cast.assistant.awaits is not None)
        if who == "newcomer":
            second.do(session.bye)
        elif who == "replaced":
            cast.hang_up()
            await cast.sbc.until(Ended)
            await asyncio.sleep(0.1)
            newest(cast, "caller").hear()
            await world.until(lambda: cast.assistant.peer is newest(cast, "caller"))
            assert len(world.registry.calls) == 1, "it goes on without them"
            second.do(session.bye)
        else:
            cast.bot.do(cast.bot.sessions[0].bye)
            await second.until(Ended)
        for phone in (second, cast.sbc, cast.bot):
            await phone.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.source == ("assistant" if who == "assistant" else "caller")

    play(story, tmp_path, main=MAIN)


def test_meanwhile_nothing_else_begins(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second, third = await world.phone(SECOND), await world.phone("192.0.2.79")
        session = take(second, dialog(cast.session))
        await world.until(lambda: cast.assistant.awaits is not None)
        with pytest.raises(ControlError) as raised:
            world.hand_off(destination="front-desk")
        assert raised.value.code == "call_not_answered"
        await second.until(Answered)
        take(third, dialog(session))
        assert await refused(third) == 480
        newest(cast, "caller").hear()
        await cast.sbc.until(Ended)
        second.do(session.bye)

    play(story, tmp_path, main=MAIN)


def test_a_joined_call_ends_with_the_leg_that_it_was_there_for(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        pair = await joined(world)
        second = await world.phone("192.0.2.79")
        session = take(second, dialog(pair.sessions[1]))
        await second.until(Answered)
        (host,) = (call for call in pair.calls if call.caller is not None)
        new = host.legs[-1].media
        await world.until(lambda: new.peer is host.caller.media)  # type: ignore[attr-defined, union-attr]
        new.hear()  # type: ignore[attr-defined]
        await pair.bob.until(Ended)
        his = await world.record()
        assert his.call_id == next(call.id for call in pair.calls if call is not host)
        assert len(world.registry.calls) == 1
        second.do(session.bye)
        await pair.alice.until(Ended)
        assert [leg.role for leg in (await world.record(2)).legs] == ["caller", "assistant", "agent", "agent"]

    play(story, tmp_path, main=MAIN)


# -- what we say of it ------------------------------------------------------------------------------------------------


def test_we_say_that_we_take_it(tmp_path: Path) -> None:
    # Pitfall 30: without it phones fall back to a blind transfer.
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer)
        sbc = await world.phone(SBC)
        session = sbc.call("desk")
        answered = await sbc.until(Answered)
        assert "replaces" in desk.invites()[0].supported
        assert "replaces" in answered.response.supported
        sbc.do(session.bye)

    play(story, tmp_path, main=MAIN)


def test_the_feed_names_the_newcomer_by_its_own_dialog(tmp_path: Path) -> None:
    told: list[LegAnswered | LegEnded] = []

    class Listener:
        def hear(self, entry: object) -> None:
            told.append(entry.event)  # type: ignore[attr-defined]

    async def story(world: World) -> None:
        cast, desk, _ = await with_the_desk(world)
        world.registry.services.feed.listen(Listener(), (LegAnswered, LegEnded))
        new = take(desk, dialog(desk.sessions[0]))
        await cast.until_awaited()
        newest(cast, "agent").hear()
        await desk.until(Ended)
        answered, ended = told
        assert answered.leg.id == new.call_id
        assert ended.leg.id == desk.sessions[0].call_id
        assert answered.leg.handoff_id == ended.leg.handoff_id != ""
        cast.hang_up()

    play(story, tmp_path, main=MAIN)
