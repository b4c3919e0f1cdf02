"""INVITE with Replaces (RFC 3891): somebody takes the place of one of the two in a call, or of one who is called."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from b2bua.call import recording
from b2bua.call.replacing import replace_leg
from b2bua.control import ControlError
from b2bua.feed import LegAnswered, LegEnded
from sip_stack.dialog import ClientSession, ServerSession, SessionState
from sip_stack.errors import RemoteError
from sip_stack.events import Answered, Cancelled, Ended, Rejected
from sip_stack.message import NameAddr
from sip_stack.sdp import Direction
from sip_stack.transport import Target
from tests.scenarios.test_feed_of_calls import Diary
from tests.scenarios.test_joined_calls import joined
from tests.support.attended_transfer import replaces
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    DESK,
    DESTINATIONS,
    SBC,
    Phone,
    World,
    answer,
    direction_of,
    offer,
    play,
    ring,
)
from tests.support.handoff_cast import ASSISTANT, MAIN, Cast, answer_at_once, talking
from tests.support.media_leg_double import LegDouble

SECOND = "192.0.2.78"
"""Another phone of the same trunk."""
STRANGER = "203.0.113.9"
TWO_TRUNKS = MAIN.replace("routes:\n", '  other:\n    accept: {addresses: ["203.0.113.0/24"]}\nroutes:\n')
LOGIN = MAIN.replace(
    "routes:\n", "  other:\n    accept: {auth: {username: other, password: s3cret-of-other}}\nroutes:\n"
)
Session = ClientSession | ServerSession


def dialog(session: Session, more: str = "") -> str:
    """A dialog as its far end, which is us, has to see it."""
    return replaces(session) + more


def take(phone: Phone, *values: str, **more: object) -> ClientSession:
    """Call with Replaces."""
    headers = [("Replaces", value) for value in values]
    return phone.call("anybody", headers=(*headers, ("Require", "replaces")), **more)  # type: ignore[arg-type]


async def refused(phone: Phone) -> int:
    return (await phone.until(Rejected)).response.status


def newest(cast: Cast, role: str) -> LegDouble:
    return cast.call.leg(role)


async def with_the_desk(world: World) -> tuple[Cast, Phone, LegDouble]:
    """The caller was handed over to the desk."""
    desk = await world.phone(DESK, answer_at_once)
    cast = await talking(world)
    handoff = world.hand_off(destination="front-desk")
    await cast.until_awaited()
    cast.agent().hear()
    await cast.until_over(handoff)
    await asyncio.sleep(1)
    return cast, desk, cast.agent()


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


# -- picking up what rings --------------------------------------------------------------------------------------------


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


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda value: (value, value), 400),
        (lambda value: (value.replace("to-tag", "t"),), 400),
        (lambda value: (f"x{value}",), 481),
        (lambda value: (value.replace("to-tag=", "to-tag=x"),), 481),
        (lambda value: (value.replace("from-tag=", "from-tag=x"),), 481),
        (lambda value: (value.partition(";from-tag=")[0] + ";from-tag=0",), 481),
        (lambda value: (f"{value};early-only",), 486),
    ],
    ids=["two", "malformed", "call-id", "to-tag", "from-tag", "tag 0", "early-only"],
)
def test_what_names_no_dialog_that_may_be_replaced(tmp_path: Path, change: object, status: int) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        take(second, *change(dialog(cast.session)))  # type: ignore[operator]
        assert await refused(second) == status
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


async def nothing_changed(cast: Cast) -> None:
    await asyncio.sleep(1)
    assert cast.caller.peer is cast.assistant
    assert cast.assistant.peer is cast.caller
    assert len([leg for leg in cast.call.legs if not leg.closed]) == 2
    cast.hang_up()
    await cast.bot.until(Ended)


def test_join_beside_replaces_is_400(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        value = dialog(cast.session)
        second.call("anybody", headers=(("Replaces", value), ("Join", value)))
        assert await refused(second) == 400
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_audio_that_cannot_be_used_is_488(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        take(second, dialog(cast.session), body=offer(SECOND, payload="18"))
        assert await refused(second) == 488
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_no_port_is_503(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        world.media.exhaust()
        second = await world.phone(SECOND)
        take(second, dialog(cast.session))
        assert await refused(second) == 503
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_a_dialog_that_is_over_is_603(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        cast.hang_up()
        await world.record()
        take(second, dialog(cast.session))
        assert await refused(second) == 603

    play(story, tmp_path, main=MAIN)


def test_a_dialog_that_we_are_ending_is_603(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        second = await world.phone(SECOND)
        cast.bot.do(cast.bot.sessions[0].bye)
        world.network.wire.drop("BYE")
        await world.until(lambda: "BYE" in world.network.titles([(B2BUA, 5060)]), patience=0.4)
        take(second, dialog(cast.session))
        assert await refused(second) == 603

    play(story, tmp_path, main=MAIN, settle=False)


def test_while_a_handoff_runs_nobody_is_replaced(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        cast = await talking(world)
        second = await world.phone(SECOND)
        handoff = world.hand_off(destination="front-desk")
        await world.until(lambda: str(handoff.state) == "ringing")
        take(second, dialog(cast.session))
        assert await refused(second) == 480
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "status"), [(MAIN, 403), (TWO_TRUNKS, 403), (LOGIN, 401)], ids=["stranger", "trunk", "login"]
)
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_the_dialog_of_somebody_else_is_not_theirs(
    tmp_path: Path, main: str, status: int, known: bool
) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        other = await world.phone(STRANGER)
        take(other, dialog(cast.session) if known else "a;to-tag=b;from-tag=c")
        assert await refused(other) == (status if known or main is not TWO_TRUNKS else 481)
        await nothing_changed(cast)

    play(story, tmp_path, main=main)


@pytest.mark.parametrize("claims", [SBC, ASSISTANT])
def test_a_contact_and_via_of_somebody_else_open_nothing(tmp_path: Path, claims: str) -> None:
    # Whose call it is depends on where the packet came from, never on an address that it names.
    async def story(world: World) -> None:
        cast = await talking(world)
        spoofer = await world.phone(STRANGER)
        named: Session = cast.session if claims == SBC else cast.bot.sessions[0]
        flow = replace(spoofer.stack.flow_to(Target("udp", B2BUA, 5060)), advertised=(claims, 5060))
        spoofer.stack.endpoint.invite(
            spoofer.now,
            flow=flow,
            uri=f"sip:anybody@{B2BUA}",
            from_=NameAddr.parse(f"<sip:+15551230000@{claims}>"),
            to=NameAddr.parse(f"<sip:anybody@{B2BUA}>"),
            headers=(("Replaces", dialog(named)),),
            body=offer(claims),
        )
        spoofer.stack.flush()
        assert await refused(spoofer) == 403
        await nothing_changed(cast)

    play(story, tmp_path, main=MAIN)


def test_one_destination_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast, desk, agent = await with_the_desk(world)
        billing = await world.phone(BILLING)
        take(billing, dialog(desk.sessions[0]))
        assert await refused(billing) == 403
        assert cast.caller.peer is agent
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_what_was_over_tls_is_not_taken_over_without() -> None:
    def session(transport: str) -> SimpleNamespace:
        return SimpleNamespace(source=SimpleNamespace(transport=transport))

    with pytest.raises(RemoteError) as raised:
        replace_leg(SimpleNamespace(session=session("tls")), session("udp"), SimpleNamespace())  # type: ignore[arg-type]
    assert raised.value.status_hint == 403


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
