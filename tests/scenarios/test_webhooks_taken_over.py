"""What an application is told of a handoff whose process is killed: how it ends, and once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from b2bua.handoff.begin import begin
from b2bua.handoff.handoff import HandoffRequest
from b2bua.journal.seal import Seal
from b2bua.store import Document, Kind
from sip_stack.events import Acknowledged, Answered, Ended
from tests.support.attended_transfer import refer, replaces
from tests.support.b2bua_world import BILLING, DESK, DESTINATIONS, SBC, World, answer, play, refuse, ring
from tests.support.handoff_cast import MAIN, Cast, answer_at_once, talking
from tests.support.next_process import Watched
from tests.support.taken_over import killed, legs_now
from tests.support.told_application import URLS, Application

pytestmark = pytest.mark.usefixtures("clock_of_the_story")


async def asked(
    world: World,
    application: Application,
    *,
    outlives: bool = True,
    seal: Seal | None = None,
    **request: object,
) -> tuple[Watched, Cast]:
    """A caller with the assistant, and a handoff to the front desk."""
    world.media.outlives = outlives
    watched = Watched(world)
    watched.seal = watched.journal.seal = seal
    watched.tell(application)
    if DESK not in world.phones:
        await world.phone(DESK, answer)
    cast = await talking(world)
    world.hand_off(destination="front-desk", shared_id="s-1", **(request or URLS))
    return watched, cast


async def connected(cast: Cast) -> None:
    """The human talks to the caller."""
    await cast.until_awaited()
    cast.agent().hear()
    await cast.bot.until(Ended)


def hang_up(world: World) -> None:
    """The human leaves."""
    desk = world.phones[DESK]
    desk.do(desk.sessions[0].bye)


def test_the_series_of_a_human_who_has_the_caller_goes_on(tmp_path: Path) -> None:
    application = Application()

    async def story(world: World) -> None:
        watched, cast = await asked(world, application)
        await connected(cast)
        await asyncio.sleep(20)
        await killed(world, watched)
        legs_now(world, "agent")[0].press("5")
        await asyncio.sleep(20)
        hang_up(world)
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)
    assert application.events() == [
        *("DialAnswer", "DialConnected", "DialDigitsMatch", "DialHangup", "DialAction")
    ]
    answered, _, pressed, hung_up, final = application.told
    for each in (pressed, hung_up):
        for key in (
            "DialBLegUUID",
            "DialBLegPosition",
            "DialBLegFrom",
            "DialBLegTo",
            "HandoffID",
            "SharedID",
            "From",
        ):
            assert each[key] == answered[key], key
    assert 40 <= int(hung_up["DialBLegDuration"]) <= 45
    assert (final["DialStatus"], final["DialRingStatus"], final["DialBLegUUID"]) == (
        *("completed", "true", answered["DialBLegUUID"]),
    )
    assert len(set(application.ids)) == 5


@pytest.mark.parametrize("outlives", [True, False])
def test_who_has_the_caller_is_told_to_the_end_though_somebody_else_is_consulted(
    tmp_path: Path, outlives: bool
) -> None:
    application = Application()

    async def story(world: World) -> None:
        watched, cast = await asked(world, application, outlives=outlives)
        await connected(cast)
        await world.phone(BILLING, answer)
        world.hand_off(destination="billing", consult=True, **URLS)
        await world.phones[BILLING].until(Acknowledged)
        await asyncio.sleep(1)
        await killed(world, watched, "taken_over" if outlives else "ended")
        await asyncio.sleep(1)
        if outlives:
            hang_up(world)
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)
    of_each: dict[str, list[str]] = {}
    for each in application.told:
        of_each.setdefault(each["HandoffID"], []).append(each["Event"])
    assert list(of_each.values()) == [
        ["DialAnswer", "DialConnected", "DialHangup", "DialAction"],
        ["DialAnswer", "DialHangup", "DialAction"],
    ]


@pytest.mark.parametrize("outlives", [True, False])
@pytest.mark.parametrize("times", [1, 2])
def test_a_human_whom_the_caller_has_left_with_another_is_told_of_until_they_hang_up(
    tmp_path: Path, outlives: bool, times: int
) -> None:
    """The call that they were handed is over; they are in another one when the process is killed."""
    application = Application()

    async def story(world: World) -> None:
        watched, cast = await asked(world, application, outlives=outlives)
        await connected(cast)
        alice, billing = world.phones[SBC], await world.phone(BILLING, answer_at_once)
        other = alice.call("billing")
        await alice.until(Answered, count=2)
        assert await refer(alice, other, replaces(alice.events_of(Answered)[0].session)) == 202
        await alice.until(Ended, count=2)
        await asyncio.sleep(30)
        assert application.events() == ["DialAnswer", "DialConnected"], "the human still talks"
        await killed(world, watched, "taken_over" if outlives else "ended")
        for _ in range(times - 1):
            await watched.kill_and_restart()
        if outlives:
            await asyncio.sleep(10)
            hang_up(world)
        await billing.until(Ended)
        await world.record(2)
        await watched.close()
        assert Kind.WEBHOOK not in {kind for kind, _ in watched.keeping.backend.documents}

    play(story, tmp_path, main=MAIN)
    assert application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
    answered, _, hung_up, final = application.told
    for key in (
        "CallUUID",
        "DialBLegUUID",
        "DialBLegPosition",
        "DialBLegTo",
        "HandoffID",
        "SharedID",
        "From",
    ):
        assert hung_up[key] == answered[key], key
    assert int(hung_up["DialBLegDuration"]) >= (40 if outlives else 30), "with both"
    assert hung_up["DialBLegHangupCauseName"] == ("normal_hangup" if outlives else "process_lost")
    assert (final["DialStatus"], final["DialHangupCause"]) == ("completed", "normal_hangup")


@pytest.mark.parametrize("outlives", [True, False])
def test_a_human_who_is_handed_on_to_another_is_told_of_until_they_hang_up(
    tmp_path: Path, outlives: bool
) -> None:
    """The caller has left them with an assistant, who hands them to the next human: their own handoff is over, and they
    are not."""
    application = Application()

    async def story(world: World) -> None:
        watched, cast = await asked(world, application, outlives=outlives)
        await connected(cast)
        alice, billing = world.phones[SBC], await world.phone(BILLING, answer_at_once)
        (call,) = world.registry.calls.values()
        other = alice.call("support")
        await alice.until(Answered, count=2)
        assert await refer(alice, cast.session, replaces(other)) == 202
        await alice.until(Ended, count=2)
        begin(call, HandoffRequest(destination="billing", **URLS))  # type: ignore[arg-type]
        await billing.until(Acknowledged)
        await world.until(lambda: any(leg.awaits for leg in cast.call.legs))
        cast.call.legs[-1].hear()
        await cast.bot.until(Ended, count=2)
        await asyncio.sleep(1)
        await watched.kill_and_restart()
        for earlier in world.media.calls[:-1] if outlives else world.media.calls:
            earlier.close()
        if outlives:
            hang_up(world)
        await billing.until(Ended)
        await world.until(lambda: not world.registry.calls)
        await watched.close()
        assert Kind.WEBHOOK not in {kind for kind, _ in watched.keeping.backend.documents}

    play(story, tmp_path, main=MAIN)
    of_each: dict[str, list[str]] = {}
    for each in application.told:
        of_each.setdefault(each["HandoffID"], []).append(each["Event"])
    whole = ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
    assert list(of_each.values()) == [whole, whole]


def test_a_human_who_had_answered_is_told_as_connected_by_the_next_process(tmp_path: Path) -> None:
    application = Application()

    async def story(world: World) -> None:
        watched, cast = await asked(world, application)
        await cast.until_awaited()
        await killed(world, watched)
        await cast.bot.until(Ended)
        hang_up(world)
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)
    assert application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
    assert application.told[-1]["DialHangupCause"] == "normal_hangup"


def test_a_handoff_that_nobody_had_answered_is_told_as_failed(tmp_path: Path) -> None:
    application = Application()

    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        watched, cast = await asked(world, application)
        await asyncio.sleep(1)
        await killed(world, watched)
        await asyncio.sleep(1)
        assert application.events() == ["DialAction"]
        cast.hang_up()
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)
    (final,) = application.told
    assert (final["DialStatus"], final["DialHangupCause"], final["DialRingStatus"]) == (
        *("failed", "process_lost", "true"),
    )


def test_of_a_call_that_is_ended_the_result_is_told_too(tmp_path: Path) -> None:
    application = Application()

    async def story(world: World) -> None:
        watched, cast = await asked(world, application, outlives=False)
        await connected(cast)
        await killed(world, watched, fate="ended")
        await world.record()
        await watched.kill_and_restart()
        await watched.close()

    play(story, tmp_path, main=MAIN)
    assert application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
    answered, _, hung_up, final = application.told
    assert hung_up["DialBLegUUID"] == final["DialBLegUUID"] == answered["DialBLegUUID"]
    assert hung_up["DialBLegTo"] == answered["DialBLegTo"]
    assert (hung_up["DialBLegHangupCauseName"], hung_up["DialBLegHangupSource"]) == ("process_lost", "B2BUA")
    assert final["DialHangupCause"] == "process_lost"


def test_a_result_that_its_receiver_has_not_taken_is_sent_by_the_next_process_once(tmp_path: Path) -> None:
    application = Application()

    async def story(world: World) -> None:
        watched, cast = await asked(world, application)
        await connected(cast)
        await asyncio.sleep(1)
        application.slow = True
        hang_up(world)
        await world.record()
        await watched.kill()
        application.slow = False
        await watched.restart()
        assert application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]
        await watched.kill_and_restart()
        await watched.close()
        assert Kind.WEBHOOK not in {kind for kind, _ in watched.keeping.backend.documents}

    play(story, tmp_path, main=MAIN)
    assert application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]


def test_what_waited_while_the_two_talk_is_sent_in_its_order_before_what_follows(tmp_path: Path) -> None:
    application = Application()

    async def story(world: World) -> None:
        application.slow = True
        watched, cast = await asked(world, application)
        await connected(cast)
        for key in "4711":
            cast.caller.press(key)
        await asyncio.sleep(1)
        await watched.kill()
        application.slow = False
        await watched.restart()
        hang_up(world)
        await world.record()
        await watched.kill_and_restart()
        await watched.close()
        assert Kind.WEBHOOK not in {kind for kind, _ in watched.keeping.backend.documents}

    play(story, tmp_path, main=MAIN)
    assert application.events() == [
        *("DialAnswer", "DialConnected", *["DialDigitsMatch"] * 4, "DialHangup", "DialAction")
    ]
    assert [each["DialDigitsMatch"] for each in application.told if "DialDigitsMatch" in each] == [*"4711"]
    assert len(set(application.ids)) == len(application.ids)


@pytest.mark.parametrize("outlives", [True, False])
def test_however_many_waited_they_are_sent_before_what_becomes_of_their_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outlives: bool
) -> None:
    """The store gives a page at a time, the newest first, and the journal is read meanwhile."""
    monkeypatch.setattr("b2bua.webhooks.outbox.PAGE", 2)
    application = Application()

    async def story(world: World) -> None:
        desk = await world.phone(DESK, refuse(486))
        application.slow = True
        watched, cast = await asked(world, application, outlives=outlives)
        for _ in range(6):
            await world.until(lambda: not next(iter(world.registry.calls.values())).handoff)
            world.hand_off(destination="front-desk", shared_id="s-1", **URLS)
            await asyncio.sleep(0.2)
        desk.on_invite = ring
        await world.until(lambda: not next(iter(world.registry.calls.values())).handoff)
        world.hand_off(destination="front-desk", shared_id="s-1", **URLS)
        await asyncio.sleep(1.0)
        application.slow = False
        await killed(world, watched, fate="taken_over" if outlives else "ended")
        if outlives:
            cast.hang_up()
        await world.record()
        await watched.kill_and_restart()
        await watched.close()
        assert Kind.WEBHOOK not in {kind for kind, _ in watched.keeping.backend.documents}

    play(story, tmp_path, main=MAIN)
    final = [each for each in application.told if each["Event"] == "DialAction"]
    assert [each["DialHangupCause"] for each in final] == [*["busy"] * 7, "process_lost"]
    assert len(set(application.ids)) == len(application.ids)


def test_a_request_that_cannot_be_read_is_named_and_holds_up_no_other(tmp_path: Path) -> None:
    application = Application()

    async def story(world: World) -> None:
        application.slow = True
        watched, cast = await asked(world, application)
        await connected(cast)
        await watched.kill()
        application.slow = False
        backend, now = watched.keeping.backend, watched.keeping.store.now_ms()
        group = next(each.group for (kind, _), each in backend.documents.items() if kind is Kind.WEBHOOK)
        for key, body in (("of-old", "[]"), ("sealed", '["run", 1, "call-7", "sealed:x", []]')):
            watched.keeping.store.put(Document(Kind.WEBHOOK, key, body, now, now + 1000, group))
        await asyncio.sleep(0.1)
        with capture_logs() as lines:
            await watched.restart()
        named = {each["webhook"]: each["why"] for each in lines if each["event"] == "webhook_unreadable"}
        assert set(named) == {"of-old", "sealed"}
        assert "call-7" in named["sealed"]
        hang_up(world)
        await world.record()
        await watched.close()

    play(story, tmp_path, main=MAIN)
    assert application.events() == ["DialAnswer", "DialConnected", "DialHangup", "DialAction"]


TOKEN = {"action_url": "https://app.example.com/done?token=of-the-request"}
CONFIGURED = DESTINATIONS.replace(
    "front-desk:\n", 'front-desk:\n  action_url: "https://app.example.com/done?token=of-the-file"\n'
)


@pytest.mark.parametrize(
    ("seal", "request_", "told"),
    [
        (Seal(b"our private key"), TOKEN, True),
        (None, TOKEN, False),
        (None, {"reason": "its destination has a URL"}, True),
    ],
)
def test_a_token_in_a_url_stands_in_no_store(
    tmp_path: Path, seal: Seal | None, request_: dict[str, object], told: bool
) -> None:
    application = Application()

    async def story(world: World) -> None:
        watched, cast = await asked(world, application, outlives=True, seal=seal, **request_)
        await connected(cast)
        await watched.kill()
        written = " ".join(write.body for write in await watched.keeping.written() if hasattr(write, "body"))
        assert "token=" not in written
        await watched.restart()
        hang_up(world)
        await world.record()
        await watched.close()

    destinations = CONFIGURED if request_ is not TOKEN else DESTINATIONS
    play(story, tmp_path, main=MAIN, destinations=destinations)
    assert application.events() == ["DialAction"] * told
