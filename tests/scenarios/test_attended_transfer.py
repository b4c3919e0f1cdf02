"""Attended transfer: who has two calls with us joins those they talk to, by REFER with Replaces, and is let go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.call import joining
from b2bua.call.events import HandoffStopped
from b2bua.handoff.begin import begin
from b2bua.handoff.handoff import HandoffRequest, HandoffState
from sip_stack.dialog.refer import read_sipfrag
from sip_stack.dialog.replaces import Replaces
from sip_stack.errors import RemoteError
from sip_stack.events import Answered, Ended, RequestReceived
from tests.support.attended_transfer import refer, replaces
from tests.support.b2bua_world import BILLING, DESK, SBC, Phone, World, play
from tests.support.handoff_cast import ASSISTANT, MAIN, answer_at_once, talking

BOT_MAY_CALL = MAIN.replace('["192.0.2.0/24"]', f'["192.0.2.0/24", "{ASSISTANT}/32"]')


def told(phone: Phone) -> list[int | None]:
    return [read_sipfrag(request.body) for request in phone.requests if request.method == "NOTIFY"]


def test_a_phone_with_two_calls_joins_those_it_called(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk, billing = await world.phone(DESK, answer_at_once), await world.phone(BILLING, answer_at_once)
        pat = await world.phone(SBC)
        one = pat.call("desk")
        await pat.until(Answered)
        other = pat.call("billing")
        await pat.until(Answered, count=2)
        assert await refer(pat, one, replaces(other)) == 202
        await pat.until(Ended, count=2)
        assert told(pat) == [200], "it hears so before its BYE"
        media = world.media.calls[0]
        first, second = (leg for leg in media.legs if not leg.closed)
        assert first.peer is second
        assert second.peer is first
        record = await world.record()
        assert record.called == "billing"
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "caller")
        await asyncio.sleep(20)
        billing.do(billing.sessions[0].bye)
        await desk.until(Ended)
        record = await world.record(2)
        assert record.duration_ms >= 20_000
        assert record.bridges[0].call_id == world.records[0].call_id

    play(story, tmp_path, main=MAIN)


def test_who_transfers_is_let_go_whatever_else_the_call_has_to_hear_first(tmp_path: Path) -> None:
    """A key lies in the inbox before it, and a handoff is asked for at once after it."""

    async def story(world: World) -> None:
        desk, billing = await world.phone(DESK, answer_at_once), await world.phone(BILLING, answer_at_once)
        pat = await world.phone(SBC)
        pat.call("desk")
        await pat.until(Answered)
        pat.call("billing")
        await pat.until(Answered, count=2)
        call, guest = world.registry.calls.values()
        assert call.caller is not None
        assert guest.caller is not None
        world.media.calls[0].leg("agent").press("1")
        joining.transfer(call.caller, guest.caller)
        handoff = begin(call, HandoffRequest(destination="billing"))
        await pat.until(Ended, count=2, patience=5)
        await world.until(lambda: world.media.calls[0].legs[1].awaits is not None)
        world.media.calls[0].leg("agent").hear()
        await world.until(lambda: handoff.is_connected)
        billing.do(billing.sessions[-1].bye)
        await desk.until(Ended)
        await world.record(2)

    play(story, tmp_path, main=MAIN)


def test_who_transfers_is_let_go_though_the_others_are_joined_elsewhere_meanwhile(tmp_path: Path) -> None:
    """It is waited for its answer to the NOTIFY when the call that it has left becomes another's."""

    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        await world.phone(BILLING, answer_at_once)
        pat, alice = await world.phone(SBC), await world.phone("192.0.2.78")
        one = pat.call("desk")
        await pat.until(Answered)
        other = pat.call("billing")
        await pat.until(Answered, count=2)
        alice.call("billing")
        await alice.until(Answered)
        hers = list(world.registry.calls.values())[-1]
        pat.on_request = lambda phone, event: None  # It does not answer the NOTIFY.
        call = next(iter(world.registry.calls.values()))
        assert await refer(pat, one, replaces(other)) == 202
        joining.bridge(hers, call)
        ended = asyncio.ensure_future(pat.until(Ended, count=2, patience=5))
        await ended
        for event in pat.events:
            if isinstance(event, RequestReceived):
                pat.do(lambda now, event=event: event.session.respond(now, event.transaction, 200))  # type: ignore[misc]
        alice.do(alice.events_of(Answered)[0].session.bye)
        await world.record(3)

    play(story, tmp_path, main=MAIN)


def test_the_assistant_calls_a_human_itself_and_leaves_the_caller_with_them(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        second = cast.bot.call("desk")
        await cast.bot.until(Answered)
        assert await refer(cast.bot, cast.bot.sessions[0], replaces(second)) == 202
        await cast.bot.until(Ended, count=2)
        assert told(cast.bot) == [200]
        joined = next(leg for leg in cast.call.legs if leg not in (cast.caller, cast.assistant))
        assert cast.caller.peer is joined
        assert joined.peer is cast.caller
        cast.hang_up()
        await desk.until(Ended)
        await world.record(2)

    play(story, tmp_path, main=BOT_MAY_CALL)


def test_a_handoff_that_is_taken_back_while_the_referrer_is_told_costs_nobody_the_call(
    tmp_path: Path,
) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        second = cast.bot.call("desk")
        await cast.bot.until(Answered)
        assert await refer(cast.bot, cast.bot.sessions[0], replaces(second)) == 202
        call = next(iter(world.registry.calls.values()))
        handoff = begin(call, HandoffRequest(destination="billing"))
        call.inbox.put(HandoffStopped(handoff))
        await cast.bot.until(Ended, count=2)
        await world.until(lambda: handoff.state.final)
        assert handoff.state is HandoffState.CANCELLED
        joined = next(leg for leg in cast.call.legs if leg not in (cast.caller, cast.assistant))
        assert cast.caller.peer is joined
        assert begin(call, HandoffRequest(destination="billing")), "another may be asked for"
        cast.hang_up()
        await desk.until(Ended)
        await world.record(2)
        assert {record.outcome.code for record in world.records if record.outcome} == {4000}

    play(story, tmp_path, main=BOT_MAY_CALL)


@pytest.mark.parametrize("change", ["to-tag", "from-tag", "call-id"])
def test_a_dialog_that_we_do_not_have_is_declined_and_nothing_changes(tmp_path: Path, change: str) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        second = cast.bot.call("desk")
        await cast.bot.until(Answered)
        value = replaces(second)
        wrong = f"x{value}" if change == "call-id" else value.replace(f"{change}=", f"{change}=x")
        assert await refer(cast.bot, cast.bot.sessions[0], wrong) == 603
        assert await refer(cast.bot, cast.bot.sessions[0], replaces(cast.bot.sessions[0])) == 603, "its own"
        assert cast.caller.peer is cast.assistant
        cast.bot.do(second.bye)
        cast.hang_up()
        await world.record(2)

    play(story, tmp_path, main=BOT_MAY_CALL)


def test_the_dialog_of_somebody_else_cannot_be_taken(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        hers = cast.session
        assert await refer(cast.bot, cast.bot.sessions[0], replaces(hers)) == 603
        other = await world.phone("192.0.2.79")
        theirs = other.call("desk")
        await other.until(Answered)
        assert await refer(cast.bot, cast.bot.sessions[0], replaces(theirs)) == 603
        other.do(theirs.bye)
        cast.hang_up()
        await world.record(2)

    play(story, tmp_path, main=BOT_MAY_CALL)


@pytest.mark.parametrize(
    "value", ["", "a", "a;to-tag=b", "a;from-tag=b", "a;to-tag=;from-tag=c", "a;to-tag=b;to-tag=c;from-tag=d"]
)
def test_a_malformed_replaces_is_400(value: str) -> None:
    with pytest.raises(RemoteError) as raised:
        Replaces.parse(value)
    assert raised.value.status_hint == 400


def test_the_tags_of_replaces_come_in_any_order_and_case() -> None:
    # RFC 3891 section 6.1, and as some phones write it.
    parsed = Replaces.parse("98732@sip.example.com; FROM-TAG=r33th4x0r ;to-tag=ff87ff;early-only")
    assert parsed == Replaces("98732@sip.example.com", "ff87ff", "r33th4x0r", early_only=True)
