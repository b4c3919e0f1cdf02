"""A human answers and does not get the caller yet: they hear a whisper alone, and must press a key.

The caller hears the assistant (or music, or ringing) until then, never the human and never the whisper.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.control import ControlError
from b2bua.handoff.handoff import HandoffState
from sip_stack.dialog import ServerSession
from sip_stack.events import Answered, Cancelled, Ended, Progress
from sip_stack.message import Request
from tests.support.b2bua_world import (
    BILLING,
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
from tests.support.handoff_cast import MAIN, Cast, answer_at_once, summary, talking
from tests.support.kept_history import as_objects
from tests.support.media_leg_double import LegDouble, Nothing, PromptDouble

WAV = b"RIFF\x24\0\0\0WAVEfmt "


def asking(folder: Path, keys: str, *, route: str = f"sip:operator@{DESK}") -> str:
    """The destinations, `front-desk` with more keys; the files that they may name are there."""
    (folder / "whisper.wav").write_bytes(WAV)
    lines = "".join(f"  {line}\n" for line in keys.splitlines())
    return DESTINATIONS.replace(f"  route: sip:operator@{DESK}\n", f"  route: {route}\n{lines}")


async def asked(world: World, cast: Cast, *, legs: int = 1) -> LegDouble:
    """The human has answered; their leg."""

    def answered() -> list[LegDouble]:
        return [
            leg
            for leg in cast.call.legs
            if leg.role == "agent" and leg.agreed and leg.source is not Nothing.NOBODY
        ]

    await world.until(lambda: len(answered()) >= legs)
    return answered()[-1]


def apart(cast: Cast) -> None:
    """The caller is with the assistant, and no human hears them or is heard."""
    assert cast.caller.peer is cast.assistant
    assert cast.assistant.peer is cast.caller
    assert cast.caller.awaits is None
    assert not any(leg.source is cast.caller for leg in cast.call.legs if leg.role == "agent")


def test_the_human_hears_the_whisper_alone_and_gets_the_caller_by_the_key(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        assert agent.source == PromptDouble(str(tmp_path / "whisper.wav"))
        assert not agent.looped
        agent.hear(packets=50)
        apart(cast)
        agent.finish_prompt()
        agent.press("2")
        await asyncio.sleep(1)
        apart(cast)
        assert handoff.state is HandoffState.RINGING, "they have not got the caller"
        agent.press("1")
        await cast.until_awaited()
        agent.hear()
        await cast.until_over(handoff)
        assert handoff.is_connected
        assert cast.caller.peer is agent
        assert agent.peer is cast.caller
        await cast.bot.until(Ended)
        cast.hang_up()
        (written,) = (await world.record()).handoffs
        assert as_objects(written["attempts"])[0]["answered"] is not None

    destinations = asking(tmp_path, 'whisper: whisper.wav\naccept_key: "1"')
    play(story, tmp_path, main=MAIN, destinations=destinations)


def test_the_key_may_come_before_the_whisper_is_over(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        agent.press("*")
        await cast.until_awaited()
        assert agent.source is cast.caller, "the whisper is cut"
        cast.hang_up()

    destinations = asking(tmp_path, 'whisper: whisper.wav\naccept_key: "*"')
    play(story, tmp_path, main=MAIN, destinations=destinations)


def test_a_whisper_without_a_key_ends_in_the_bridge(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        agent.press("1")
        await asyncio.sleep(1)
        apart(cast)
        agent.finish_prompt()
        await cast.until_awaited()
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, "whisper: whisper.wav"))


def test_an_engine_that_never_tells_the_end_of_the_whisper_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        await asked(world, cast)
        before = world.stack.now()
        await cast.until_awaited()
        assert 6 < world.stack.now() - before < 12, "its length and a little more"
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, "whisper: whisper.wav"))


def test_a_voicemail_box_presses_no_key_and_the_fallback_gets_the_caller(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        voicemail = await world.phone(DESK, answer_at_once)
        await world.phone(BILLING, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        box = await asked(world, cast)
        before = world.stack.now()
        box.hear(packets=100)
        apart(cast)
        await voicemail.until(Ended)
        assert 7.9 < world.stack.now() - before < 8.5
        assert box.closed
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        first, second = handoff.attempts
        assert first.outcome is not None
        assert (first.outcome.name, first.outcome.code) == ("confirm_failed", 9110)
        assert second.destination == "billing"
        cast.hang_up()

    destinations = asking(tmp_path, 'accept_key: "5"\naccept_timeout: 8s\nfallback: billing')
    play(story, tmp_path, main=MAIN, destinations=destinations)


def test_without_a_fallback_the_caller_stays_with_the_assistant(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "confirm_failed", 9110)
        apart(cast)
        cast.hang_up()
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.code == 4000

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, 'accept_key: "1"'))


def test_of_several_at_once_the_first_that_accepts_wins(tmp_path: Path) -> None:
    async def later(phone: Phone, session: ServerSession, request: Request) -> None:
        await asyncio.sleep(3)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        first = await world.phone(DESK, answer_at_once)
        await world.phone(BILLING, later)
        third = await world.phone("198.51.100.3", ring)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        answered_first = await asked(world, cast)
        answered_later = await asked(world, cast, legs=2)
        assert answered_later is not answered_first
        apart(cast)
        answered_later.press("1")
        await first.until(Ended)
        await third.until(Cancelled)
        await cast.until_awaited()
        answered_later.hear()
        await cast.until_over(handoff)
        assert cast.caller.peer is answered_later
        codes = {each.target: each.outcome and each.outcome.code for each in handoff.attempts}
        assert codes == {f"sip:a@{DESK}": 9000, f"sip:b@{BILLING}": None, "sip:c@198.51.100.3": 9000}
        cast.hang_up()

    route = f"[sip:a@{DESK}, sip:b@{BILLING}, sip:c@198.51.100.3]\n  ring: together"
    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, 'accept_key: "1"', route=route))


def test_somebody_who_presses_nothing_leaves_the_others_their_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        await world.phone(BILLING, ring)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_over(handoff)
        codes = [each.outcome and each.outcome.code for each in handoff.attempts]
        assert codes == [9110, 6010]
        cast.hang_up()

    route = f"[sip:a@{DESK}, sip:b@{BILLING}]\n  ring: together"
    destinations = asking(tmp_path, 'accept_key: "1"\naccept_timeout: 5s', route=route)
    play(story, tmp_path, main=MAIN, destinations=destinations)


def test_early_media_ends_with_the_answer_of_somebody_who_must_accept(tmp_path: Path) -> None:
    async def early(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(2)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, early)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        await world.until(lambda: cast.caller.peer is not None and cast.caller.peer.role == "agent")
        await asked(world, cast)
        apart(cast)
        cast.hang_up()

    destinations = asking(tmp_path, 'accept_key: "1"\nhold_music: early_media')
    play(story, tmp_path, main=MAIN, destinations=destinations)


@pytest.mark.parametrize("early_media", [False, True])
def test_a_new_call_rings_until_the_human_accepts(tmp_path: Path, early_media: bool) -> None:
    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        if early_media:
            phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
            await asyncio.sleep(1)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, behaviour)
        sbc = await world.phone(SBC)
        session = sbc.call("desk")
        await sbc.until(Progress)
        await asyncio.sleep(3)
        caller, agent = world.legs()
        assert "Answered" not in sbc.names()
        assert agent.peer is None
        assert caller.source == (PromptDouble("ringback") if early_media else Nothing.NOBODY)
        agent.press("1")
        await sbc.until(Answered)
        assert caller.peer is agent
        sbc.do(session.bye)
        await world.record()

    play(story, tmp_path, destinations=asking(tmp_path, 'accept_key: "1"'))


def test_a_new_call_that_nobody_accepts_fails_as_the_table_says(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        await world.phone(BILLING, refuse(486))
        sbc = await world.phone(SBC)
        sbc.call("desk")
        record = await world.record()
        assert [each.outcome and each.outcome.code for each in record.attempts] == [9110, 3010]
        assert record.outcome is not None
        assert record.outcome.code == 3010

    play(story, tmp_path, destinations=asking(tmp_path, 'accept_key: "1"\nfallback: billing'))


def test_a_request_may_say_otherwise_and_names_only_configured_files(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, answer_at_once)
        cast = await talking(world)
        with pytest.raises(ControlError) as refused:
            world.hand_off(destination="billing", whisper="/etc/passwd")
        assert (refused.value.code, refused.value.field) == ("unknown_whisper", "whisper")
        handoff = world.hand_off(
            destination="billing", whisper="whisper.wav", accept_key="#", accept_timeout=3.0
        )
        agent = await asked(world, cast)
        assert isinstance(agent.source, PromptDouble)
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "confirm_failed", 9110)
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, "whisper: whisper.wav"))
