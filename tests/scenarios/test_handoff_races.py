"""Handoffs where two things happen at once, or in an order nobody planned: nobody is lost, nothing is told wrongly."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest

from b2bua.control import ControlError
from sip_stack.dialog import ServerSession, SessionState
from sip_stack.events import Acknowledged, Answered, Cancelled, Ended, RequestReceived
from sip_stack.message import Request
from tests.scenarios.test_assistant_refers import refer, told
from tests.scenarios.test_handoff_by_refer import REFER, accept, notify
from tests.support.b2bua_world import (
    B2BUA,
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
from tests.support.fake_network import Wire
from tests.support.handoff_cast import ASSISTANT, MAIN, Cast, answer_at_once, summary, talking, with_route
from tests.support.media_leg_double import PromptDouble

CHALLENGE = ("WWW-Authenticate", 'Digest realm="cc", nonce="n", algorithm=MD5, qop="auth"')


def together(*uris: str, music: str = "") -> str:
    """The destinations, with these routes of `front-desk` ringing together."""
    extra = f"\n  hold_music: {music}" if music else ""
    return DESTINATIONS.replace(
        f"route: sip:operator@{DESK}", f"route: [{', '.join(uris)}]\n  ring: together{extra}"
    )


BOTH = together(f"sip:a@{BILLING}", f"sip:b@{DESK}")


# -- what the caller hears ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("music", [None, "ringback", "silence"])
def test_an_assistant_that_leaves_changes_no_hold_music_and_leaves_no_silence_without(
    tmp_path: Path, music: str | None
) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        cast = await talking(world)
        world.hand_off(destination="front-desk", hold_music=music)
        await asyncio.sleep(1)
        heard = cast.caller.source
        cast.bot.do(cast.bot.sessions[0].bye)
        await asyncio.sleep(1)
        assert cast.caller.source == (heard if music else world.media.ringback())
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_when_early_media_ends_in_a_refusal_the_assistant_is_heard_again(tmp_path: Path) -> None:
    async def early(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(1)
        phone.do(lambda now: session.reject(now, 486))

    async def story(world: World) -> None:
        await world.phone(BILLING, early)
        await world.phone(DESK, ring)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        await asyncio.sleep(0.5)
        assert cast.caller.peer is cast.agent()
        await asyncio.sleep(1)
        assert cast.caller.peer is cast.assistant, "while the next one rings"
        cast.hang_up()

    one_by_one = BOTH.replace("ring: together", "hold_music: early_media")
    play(story, tmp_path, main=MAIN, destinations=one_by_one)


def test_music_does_not_begin_anew_when_the_assistant_is_let_go(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        cast = await talking(world)
        begun = []
        hear = cast.call.hear

        def count(listener: object, source: object, **options: object) -> None:
            begun.append(source)
            hear(listener, source, **options)  # type: ignore[arg-type]

        cast.call.hear = count  # type: ignore[method-assign]
        world.hand_off(destination="front-desk", hold_music="ringback", release_assistant="on_start")
        await cast.bot.until(Ended)
        await asyncio.sleep(1)
        assert [type(source) for source in begun] == [PromptDouble]
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


# -- release_assistant -------------------------------------------------------------------------------------------------


def test_on_start_a_refusal_without_a_provisional_response_releases_nobody(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.network.wire.drop("100 INVITE")
        await world.phone(DESK, refuse(486))
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk", release_assistant="on_start")
        await cast.until_over(handoff)
        assert not any(isinstance(event, Ended) for event in cast.bot.events)
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_on_start_counts_the_response_after_the_challenge_too(tmp_path: Path) -> None:
    async def challenge(phone: Phone, session: ServerSession, request: Request) -> None:
        if request.headers.get("Authorization"):
            phone.do(lambda now: session.progress(now, 180))
        else:
            phone.do(lambda now: session.reject(now, 401, headers=[CHALLENGE]))

    async def story(world: World) -> None:
        await world.phone(BILLING, challenge)
        cast = await talking(world)
        world.network.wire.drop("100 INVITE")
        world.hand_off(destination="billing", release_assistant="on_start")
        await cast.bot.until(Ended, patience=5)
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


# -- together ----------------------------------------------------------------------------------------------------------


def test_together_all_refuse(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, refuse(486))
        await world.phone(DESK, refuse(603))
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_over(handoff)
        assert handoff.state.value == "failed"
        assert {each.outcome.code for each in handoff.attempts if each.outcome} == {3010, 3110}
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=BOTH)


def test_together_two_answers_at_once_and_one_of_them_is_hung_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        phones = [await world.phone(host, answer_at_once) for host in (BILLING, DESK)]
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        await asyncio.sleep(1)
        states = [phone.sessions[0].state for phone in phones]
        assert sorted(state is SessionState.CONFIRMED for state in states) == [False, True]
        loser = phones[states.index(next(s for s in states if s is not SessionState.CONFIRMED))]
        assert isinstance(await loser.until(Acknowledged), Acknowledged), "its 200 was acknowledged"
        await loser.until(Ended)
        cast.agent() if cast.caller.awaits is None else cast.caller.awaits.hear()
        await cast.until_over(handoff)
        assert handoff.is_connected
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=BOTH)


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_together_the_record_has_the_audio_of_who_answered(tmp_path: Path, first: bool) -> None:
    async def story(world: World) -> None:
        slow = await world.phone(BILLING, ring)
        await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        assert cast.caller.awaits is not None
        cast.caller.awaits.hear(7)
        await cast.until_over(handoff)
        await slow.until(Cancelled)
        (live,) = world.registry.calls.values()
        live.note_statistics()
        assert live.record.media["agent"]["packets_in"] == 7
        cast.hang_up()
        record = await world.record()
        assert record.media["agent"]["packets_in"] == 7

    uris = [f"sip:b@{DESK}", f"sip:a@{BILLING}"]
    play(story, tmp_path, main=MAIN, destinations=together(*(uris if first else uris[::-1])))


def test_together_one_challenges_and_wins(tmp_path: Path) -> None:
    async def challenge(phone: Phone, session: ServerSession, request: Request) -> None:
        if request.headers.get("Authorization"):
            await answer_at_once(phone, session, request)
        else:
            phone.do(lambda now: session.reject(now, 401, headers=[CHALLENGE]))

    async def story(world: World) -> None:
        await world.phone(BILLING, challenge)
        slow = await world.phone(DESK, ring)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        assert cast.caller.awaits is not None
        cast.caller.awaits.hear()
        await cast.until_over(handoff)
        await slow.until(Cancelled)
        assert [each.challenged is not None for each in handoff.attempts] == [True, False]
        cast.hang_up()

    keyed = BOTH.replace(
        "  ring: together", "  ring: together\n  auth: {username: u, password: secret-of-both}"
    )
    play(story, tmp_path, main=MAIN, destinations=keyed)


# -- what the assistant is told ----------------------------------------------------------------------------------------


def order(world: World, *titles: str) -> list[str]:
    """Those of the datagrams from and to the assistant, as they were sent."""
    log = [each for each in world.network.wire.log if ASSISTANT in (each.source[0], each.destination[0])]
    return [each.title for each in log if each.title in titles]


@pytest.mark.parametrize("way", ["notify", "bye", "by bye"])
def test_the_last_notify_is_answered_before_the_assistant_gets_its_bye(tmp_path: Path, way: str) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = accept(200) if way == "notify" else accept(bye=True)
        refer(cast, f"sip:{'back' if way == 'by bye' else 'by-refer'}@{B2BUA}")
        await cast.bot.until(Ended)
        assert told(cast)[-1] == 200
        assert order(world, "200 NOTIFY", "BYE")[-1] == "BYE"
        assert order(world, "200 NOTIFY", "BYE").count("BYE") == 1

    play(story, tmp_path, main=MAIN, destinations=REFER)


def test_the_answer_to_an_earlier_notify_is_not_taken_for_that_to_the_last(tmp_path: Path) -> None:
    async def ring_briefly(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 180))
        await asyncio.sleep(0.3)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, ring_briefly)
        cast = await talking(world)
        refer(cast, f"sip:front-desk@{B2BUA}")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.bot.until(Ended)
        assert told(cast) == [100, 180, 200]
        assert order(world, "200 NOTIFY", "BYE") == ["200 NOTIFY"] * 3 + ["BYE"]
        cast.hang_up()

    play(story, tmp_path, main=MAIN, wire=Wire(delay=0.2))


# -- one REFER after the other -----------------------------------------------------------------------------------------


def test_a_late_notify_of_the_refer_before_says_nothing_about_this_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        cast.sbc.on_request = accept(100)
        first = world.hand_off(destination="by-refer")
        await cast.until_over(first)
        assert summary(first) == ("failed", "refer_timeout", 11041)
        second = world.hand_off(destination="by-refer")
        await asyncio.sleep(1)
        events = [each for each in cast.sbc.events if isinstance(each, RequestReceived)]
        numbers = [each.request.cseq.number for each in events if each.request.method == "REFER"]
        late = f";id={numbers[0]}"
        cast.sbc.do(lambda now: notify(cast.sbc, events[0], 486, number=late))
        await asyncio.sleep(1)
        assert not second.state.final
        cast.sbc.do(lambda now: notify(cast.sbc, events[0], 200, number=f";id={numbers[1]}"))
        await world.record()
        assert second.confirmed == "notify"

    play(story, tmp_path, main=MAIN, destinations=REFER)


def test_a_refer_that_was_never_answered_does_not_end_the_next(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        world.network.wire.drop("REFER")
        first = world.hand_off(destination="by-refer")
        await cast.until_over(first)
        assert summary(first) == ("failed", "refer_timeout", 11041)
        await asyncio.sleep(15)
        second = world.hand_off(
            destination="by-refer"
        )  # the first REFER times out meanwhile, 32 s after it was sent
        await cast.until_over(second)
        assert summary(second) == ("failed", "refer_timeout", 11041)
        assert second.updated - second.created == pytest.approx(10, abs=0.1), "its own time, not the other's"
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=REFER, settle=False)


# -- afterwards --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_media", [True, False])
def test_an_assistant_dialled_again_may_ring_though_it_did_not_at_first(
    tmp_path: Path, early_media: bool
) -> None:
    async def silently(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def rings(phone: Phone, session: ServerSession, request: Request) -> None:
        body = offer(phone.host) if early_media else b""
        phone.do(lambda now: session.progress(now, 183 if early_media else 180, body=body))
        await asyncio.sleep(0.5)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, refuse(486))
        bot = await world.phone(ASSISTANT, silently)
        sbc = await world.phone(SBC)
        session = sbc.call("support")
        await sbc.until(Answered)
        cast = Cast(world, sbc, bot, session)
        bot.on_invite = rings
        handoff = world.hand_off(destination="front-desk", release_assistant="before_dial")
        await cast.until_over(handoff)
        await asyncio.sleep(0.2)
        again = cast.call.leg("assistant")
        assert cast.caller.source == (again if early_media else world.media.ringback())
        await asyncio.sleep(1)
        assert (cast.caller.peer, again.peer) == (again, cast.caller)
        assert cast.assistant.closed, "the ports of the one that left are free again"
        cast.hang_up()

    play(story, tmp_path, main=with_route("redial_assistant: true"))


def test_a_handoff_is_complete_when_its_human_has_gone_and_the_call_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        for number in range(2):
            handoff = world.hand_off(destination="front-desk")
            await cast.until_awaited()
            cast.agent().hear()
            await cast.until_over(handoff)
            await cast.bot.until(Ended, count=number + 1)
            desk.do(desk.sessions[-1].bye)
            await world.until(lambda: cast.caller.peer is cast.call.leg("assistant"))
            assert summary(handoff) == ("completed", "normal_hangup", 4000)
            assert handoff.attempts[-1].ended is not None
        assert len([leg for leg in cast.call.legs if not leg.closed]) == 2, "nobody keeps ports who is gone"
        cast.hang_up()
        assert len((await world.record()).handoffs) == 2

    play(story, tmp_path, main=with_route("after_agent: assistant"))


def test_a_caller_for_whom_nobody_is_left_has_hung_up_in_the_record(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, refuse(486))
        cast = await talking(world)
        cast.bot.do(cast.bot.sessions[0].bye)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "b2bua")
        assert record.attempts[-1].outcome is not None
        assert record.attempts[-1].outcome.code == 3010
        await cast.sbc.until(Ended)

    play(story, tmp_path, main=with_route("on_assistant_lost: default_destination"))


@pytest.mark.parametrize(
    ("first", "then"), [("billing", "by-refer"), ("billing", "back"), ("by-refer", "front-desk")]
)
def test_a_fallback_may_have_another_method(tmp_path: Path, first: str, then: str) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, refuse(486))
        await world.phone(DESK)
        cast = await talking(world)
        cast.sbc.on_request = accept(486 if first == "by-refer" else 200)
        handoff = world.hand_off(destination=first)
        if then == "front-desk":
            await cast.until_awaited()
            cast.agent().hear()
        await cast.until_over(handoff)
        assert handoff.is_connected
        assert handoff.destination == then
        if then == "front-desk":
            cast.hang_up()
        await world.record()

    # As a route's own destination it could not have such a fallback.
    main = MAIN.replace("  - {trunk: acme-sbc, to: billing, destination: billing}\n", "")
    line = "  refer_timeout: 10s\n" if first == "by-refer" else "  auth: {username: acme"
    play(story, tmp_path, main=main, destinations=REFER.replace(line, f"  fallback: {then}\n{line}"))


def test_somebody_who_asks_for_ever_is_refused_in_the_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, refuse(486))
        cast = await talking(world)
        for _ in range(100):
            await cast.until_over(world.hand_off(destination="front-desk"))
        with pytest.raises(ControlError) as caught:
            world.hand_off(destination="front-desk")
        assert caught.value.code == "too_many_handoffs"
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_nothing_of_a_call_with_handoffs_is_kept(tmp_path: Path) -> None:
    kept: list[weakref.ref[object]] = []

    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        refer(cast, f"sip:front-desk@{B2BUA}")
        await cast.until_awaited()
        (call,) = world.registry.calls.values()
        kept.extend(weakref.ref(each) for each in (call, *call.legs))
        del call
        cast.agent().hear()
        await cast.bot.until(Ended)
        cast.hang_up()
        await world.record()

    world = play(story, tmp_path, main=MAIN)
    world.media.calls.clear()  # the double remembers every call
    gc.collect()
    assert [each() for each in kept] == [None] * 4


def test_without_a_free_port_the_caller_stays_with_the_assistant(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        world.media.exhaust()
        handoff = world.hand_off(destination="front-desk")
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "media_ports_exhausted", 11071)
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN)
