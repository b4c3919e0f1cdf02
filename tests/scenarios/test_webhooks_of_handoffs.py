"""What an application is told of a handoff: each outcome, and the requests that belong to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from b2bua.webhooks import Webhooks
from sip_stack.events import Ended
from tests.support.b2bua_world import DESK, Behaviour, World, answer, ignore, play, refuse, ring
from tests.support.handoff_cast import MAIN, Cast, talking, with_route
from tests.support.told_application import URLS, Application, Told, webhooks_of

Act = Callable[[World, Cast], Awaitable[None]]


def told_of(
    folder: Path, behaviour: Behaviour, act: Act, *, dead: bool = False, main: str = MAIN
) -> tuple[Told, Webhooks]:
    """What the application heard of one handoff to the front desk, whose phone behaves so."""
    application = Application()
    application.dead = dead
    kept: list[Webhooks] = []

    async def story(world: World) -> None:
        webhooks = webhooks_of(world, application)
        kept.append(webhooks)
        await world.phone(DESK, behaviour)
        cast = await talking(world)
        world.hand_off(destination="front-desk", shared_id="s-1", **URLS)
        await act(world, cast)
        await world.record()
        await webhooks.close(100)

    play(story, folder, main=main)
    return application.told, kept[0]


async def talk(world: World, cast: Cast) -> None:
    """The human is heard, a key is pressed, the human hangs up."""
    await cast.until_awaited()
    cast.agent().hear()
    await cast.bot.until(Ended)
    cast.caller.press("5")
    await asyncio.sleep(5)
    desk = world.phones[DESK]
    desk.do(desk.sessions[0].bye)
    await cast.sbc.until(Ended)


async def see_it_fail(world: World, cast: Cast) -> None:
    """The caller waits for the end of the handoff and leaves."""
    (call,) = world.registry.calls.values()
    await cast.until_over(call.handoffs[0])
    cast.hang_up()


async def leave(world: World, cast: Cast) -> None:
    """The caller leaves while it rings."""
    await asyncio.sleep(3)
    cast.hang_up()


def test_the_series_of_a_handoff_that_works(tmp_path: Path) -> None:
    told, webhooks = told_of(tmp_path, answer, talk)
    assert [each["Event"] for each in told] == [
        *("DialAnswer", "DialConnected", "DialDigitsMatch", "DialHangup", "DialAction")
    ]
    answered, _, pressed, hung_up, final = told
    assert answered["DialAction"] == answered["DialBLegStatus"] == "answer"
    assert answered["DialBLegTo"] == f"sip:operator@{DESK}"
    assert answered["DialBLegPosition"] == "1"
    assert (pressed["DialDigitsMatch"], pressed["DialDigitsPressedBy"]) == ("5", "ALeg")
    assert (hung_up["DialBLegHangupCauseCode"], hung_up["DialBLegHangupSource"]) == ("4000", "Call recipient")
    assert int(hung_up["DialBLegDuration"]) >= 5
    assert (final["DialStatus"], final["DialRingStatus"], final["DialHangupCause"]) == (
        *("completed", "true", "normal_hangup"),
    )
    assert final["DialBLegUUID"] == answered["DialBLegUUID"] != ""
    assert len({each["CallUUID"] for each in told} | {each["DialALegUUID"] for each in told}) == 1
    assert {each["SharedID"] for each in told} == {"s-1"}
    assert (webhooks.counters.taken, webhooks.counters.lost) == (5, 0)


@pytest.mark.parametrize(
    ("behaviour", "act", "status", "rang", "cause", "code"),
    [
        (refuse(486), see_it_fail, "busy", "false", "busy", "3010"),
        (refuse(603), see_it_fail, "failed", "false", "rejected", "3110"),
        (refuse(480), see_it_fail, "no-answer", "false", "no-answer", "3000"),
        (ring, see_it_fail, "no-answer", "true", "no-answer", "6010"),
        (ignore, see_it_fail, "no-answer", "false", "no-answer", "6010"),
        (ring, leave, "cancel", "true", "cancel", "1000"),
    ],
)
def test_the_series_of_a_handoff_that_fails(
    tmp_path: Path, behaviour: Behaviour, act: Act, status: str, rang: str, cause: str, code: str
) -> None:
    told, _ = told_of(tmp_path, behaviour, act)
    assert [each["Event"] for each in told] == ["DialHangup", "DialAction"]
    final = told[-1]
    assert final["DialStatus"] == status
    assert (final["DialRingStatus"], final["DialHangupCause"]) == (rang, cause)
    assert (final["DialBLegUUID"], final["DialBLegHangupCauseCode"]) == ("", code)


def test_the_last_request_names_the_recording_of_a_call_that_is_recorded(tmp_path: Path) -> None:
    told, _ = told_of(tmp_path, answer, talk, main=with_route("record: true"))
    path = Path(told[-1]["RecordingFile"])
    assert path == tmp_path / "state" / "recordings" / f"{told[-1]['CallUUID']}.wav"
    told, _ = told_of(tmp_path, answer, talk)
    assert "RecordingFile" not in told[-1]


def test_a_dead_receiver_is_no_matter_to_the_call(tmp_path: Path) -> None:
    told, webhooks = told_of(tmp_path, answer, talk, dead=True)
    assert told == []
    assert (webhooks.counters.taken, webhooks.counters.tried_again, webhooks.counters.lost) == (0, 5, 5)
