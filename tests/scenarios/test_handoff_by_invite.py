"""Handoff by INVITE: the caller goes from the assistant to a human, or stays where they were. Nobody is ever lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.call.events import HandoffStopped
from b2bua.control import ControlError
from b2bua.handoff.handoff import HandoffState
from sip_stack.auth.digest import Credentials
from sip_stack.dialog import ServerSession, SessionState
from sip_stack.events import Answered, Cancelled, Ended
from sip_stack.message import Request
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    DESK,
    DESTINATIONS,
    SBC,
    Behaviour,
    Phone,
    World,
    ignore,
    offer,
    play,
    refuse,
    ring,
)
from tests.support.fake_network import Wire
from tests.support.handoff_cast import ASSISTANT, MAIN, Cast, answer_at_once, summary, talking, with_route
from tests.support.kept_history import as_object, as_objects
from tests.support.media_leg_double import Nothing, PromptDouble


def test_the_caller_hears_the_assistant_until_the_human_speaks(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk", reason="asked for a person")
        await cast.until_awaited()
        assert cast.caller.peer is cast.assistant, "a 200 alone switches nothing"
        assert cast.agent().peer is cast.caller, "the human hears the caller from the answer on"
        assert not any(isinstance(event, Ended) for event in cast.bot.events)
        cast.agent().hear()
        assert cast.caller.peer is cast.agent()
        ended = await cast.bot.until(Ended)
        assert ended.by == "remote"
        assert handoff.state is HandoffState.CONNECTED
        assert world.network.titles([(B2BUA, 5060)]).count("INVITE") == 2, "no re-INVITE toward the caller"
        await asyncio.sleep(5)
        desk.do(desk.sessions[0].bye)
        await cast.sbc.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "agent")
        (written,) = as_objects(record.as_json()["handoffs"])
        assert written["destination"] == "front-desk"
        assert as_object(written["outcome"])["code"] == 4000
        assert summary(handoff) == ("completed", "normal_hangup", 4000)
        assert [leg.role for leg in record.legs] == ["caller", "assistant", "agent"]

    play(story, tmp_path, main=MAIN)


def test_a_human_who_says_nothing_is_joined_after_half_a_second(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        assert cast.caller.within_ms == 500
        cast.caller.wait_in_vain()
        await cast.until_over(handoff)
        assert cast.caller.source is Nothing.SILENCE
        await cast.bot.until(Ended)
        cast.agent().hear()
        assert cast.caller.peer is cast.agent()
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize(
    ("behaviour", "name", "code"),
    [(refuse(486), "busy", 3010), (refuse(404), "unallocated", 3050), (ring, "no-answer", 6010)],
)
def test_after_a_failure_the_caller_is_with_the_assistant_as_if_nothing_had_happened(
    tmp_path: Path, behaviour: Behaviour, name: str, code: int
) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, behaviour)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", name, code)
        assert cast.caller.peer is cast.assistant
        assert cast.assistant.peer is cast.caller
        assert len(world.registry.calls) == 1, "a failed handoff never ends the call"
        again = world.hand_off(destination="front-desk")
        await cast.until_over(again)
        assert again.id != handoff.id
        cast.hang_up()
        record = await world.record()
        assert len(record.handoffs) == 2
        assert record.outcome is not None
        assert record.outcome.code == 4000

    play(story, tmp_path, main=MAIN + "timers: {ring_timeout: 10s}\n")


def test_a_wrong_password_brings_the_caller_back_with_its_name(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        challenge = ("WWW-Authenticate", 'Digest realm="cc", nonce="n", algorithm=MD5, qop="auth"')
        await world.phone(BILLING, refuse(401, headers=[challenge]))
        cast = await talking(world)
        handoff = world.hand_off(destination="billing")
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "sip_auth_failed", 4240)
        assert handoff.attempts[0].challenged is not None
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_the_fallback_takes_over(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(BILLING, refuse(486))
        await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="billing")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        assert handoff.destination == "front-desk"
        assert [each.destination for each in handoff.attempts] == ["billing", "front-desk"]
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=DESTINATIONS + "  fallback: front-desk\n")


def test_what_came_with_the_request_reaches_the_human(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        billing = await world.phone(BILLING)
        cast = await talking(world)
        handoff = world.hand_off(
            destination="billing", reason="refund", sip_headers={"X-Customer": "17", "X-Twilio-A": "b"}
        )
        await cast.until_awaited()
        (invite,) = billing.invites()
        assert invite.headers.get("X-Reason") == "refund"
        assert len(invite.headers.get("X-Handoff-ID") or "") == 32
        assert invite.headers.get("X-Customer") == "17"
        assert invite.headers.get("X-Twilio-A") is None
        assert [dropped.name for dropped in handoff.headers_dropped] == ["X-Twilio-A"]
        cast.agent().hear()
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_all_routes_ring_together_and_the_first_answer_wins(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        slow = await world.phone(BILLING, ring)
        await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        await slow.until(Cancelled)
        codes = {each.target: each.outcome.code for each in handoff.attempts if each.outcome}
        assert codes == {f"sip:a@{BILLING}": 9000}
        cast.hang_up()

    both = DESTINATIONS.replace(
        f"route: sip:operator@{DESK}", f"route: [sip:a@{BILLING}, sip:b@{DESK}]\n  ring: together"
    )
    play(story, tmp_path, main=MAIN, destinations=both)


def test_hold_music_plays_while_the_human_is_dialled(tmp_path: Path) -> None:
    (tmp_path / "hold.wav").write_bytes(b"RIFF\0\0\0\0WAVE")

    async def story(world: World) -> None:
        await world.phone(DESK, refuse(486))
        cast = await talking(world)
        heard: list[object] = []
        handoff = world.hand_off(destination="front-desk")
        while not handoff.state.final:
            heard.append(cast.caller.source)
            await asyncio.sleep(0.005)
        assert any(isinstance(source, PromptDouble) for source in heard)
        assert cast.caller.peer is cast.assistant, "and then the assistant again"
        cast.hang_up()

    music = DESTINATIONS.replace("  route: sip:operator", "  hold_music: hold.wav\n  route: sip:operator")
    play(story, tmp_path, main=MAIN, destinations=music)


def test_early_media_of_the_human_side_is_heard_when_so_configured(tmp_path: Path) -> None:
    async def early(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(3)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, early)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        await asyncio.sleep(1)
        assert cast.caller.peer is cast.agent()
        await cast.until_awaited()
        cast.agent().hear()
        cast.hang_up()

    music = DESTINATIONS.replace("  route: sip:operator", "  hold_music: early_media\n  route: sip:operator")
    play(story, tmp_path, main=MAIN, destinations=music)


@pytest.mark.parametrize("when", ["on_start", "before_dial"])
def test_the_assistant_may_be_let_go_before_the_answer(tmp_path: Path, when: str) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk", release_assistant=when)
        await cast.bot.until(Ended)
        assert bool(desk.invites()) is (when == "on_start")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        assert handoff.is_connected
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_a_released_assistant_is_dialled_again_when_the_handoff_failed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, refuse(486))
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk", release_assistant="before_dial")
        await cast.until_over(handoff)
        await world.until(lambda: len(cast.bot.invites()) == 2)
        await world.until(lambda: cast.caller.peer is cast.call.leg("assistant"))
        assert cast.call.leg("assistant") is not cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=with_route("redial_assistant: true"))


def test_an_assistant_that_leaves_during_the_handoff_does_not_end_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await asyncio.sleep(1)
        cast.bot.do(cast.bot.sessions[0].bye)
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        assert handoff.is_connected
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("policy", ["hangup", "default_destination"])
def test_an_assistant_that_leaves_without_a_handoff(tmp_path: Path, policy: str) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        cast.bot.do(cast.bot.sessions[0].bye)
        if policy == "hangup":
            await cast.sbc.until(Ended)
            record = await world.record()
            assert record.outcome is not None
            assert record.outcome.source == "assistant"
        else:
            await world.until(lambda: any(leg.role == "agent" and leg.peer for leg in cast.call.legs))
            assert cast.caller.peer is cast.agent()
            cast.hang_up()

    play(story, tmp_path, main=with_route(f"on_assistant_lost: {policy}"))


@pytest.mark.parametrize("after", ["hangup", "assistant"])
def test_after_the_human_hung_up(tmp_path: Path, after: str) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        await cast.bot.until(Ended)
        desk.do(desk.sessions[0].bye)
        if after == "assistant":
            await world.until(lambda: len(cast.bot.invites()) == 2)
            await world.until(lambda: cast.caller.peer is cast.call.leg("assistant"))
            cast.hang_up()
        else:
            await cast.sbc.until(Ended)

    play(story, tmp_path, main=with_route(f"after_agent: {after}"))


def test_star_ends_the_talk_with_the_human(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        cast.caller.press("*")
        cast.agent().hear()
        await cast.until_over(handoff)
        await cast.bot.until(Ended)
        cast.caller.press("*")
        await desk.until(Ended)
        await cast.sbc.until(Ended)

    star = DESTINATIONS.replace("  route: sip:operator", "  hangup_on_star: true\n  route: sip:operator")
    play(story, tmp_path, main=MAIN, destinations=star)


def test_an_announced_sentence_is_heard_whole(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        world.hand_off(destination="front-desk", utterance="I will put you through.")
        await world.until(lambda: cast.assistant.quiet_ms == 400)
        assert cast.caller.peer is cast.assistant
        assert cast.caller.awaits is None, "the human has answered, the assistant still talks"
        cast.assistant.stop_talking()
        await cast.until_awaited()
        cast.agent().hear()
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_an_assistant_that_never_stops_talking_is_cut_off_in_the_end(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(
            destination="front-desk", utterance="And another thing", wait_for_silence=3.0
        )
        await world.until(lambda: cast.assistant.quiet_ms == 400)
        began = world.stack.now()
        await cast.until_awaited()
        assert 2.9 <= world.stack.now() - began <= 3.2
        cast.agent().hear()
        await cast.until_over(handoff)
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("moment", [0.005, 0.5, 1.9, 2.06])
def test_the_caller_may_leave_in_any_phase(tmp_path: Path, moment: float) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        await asyncio.sleep(moment)
        cast.hang_up()
        await cast.bot.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.source) == (4000, "caller")
        assert all(session.state is not SessionState.CONFIRMED for session in desk.sessions)

    play(story, tmp_path, main=MAIN)


def test_a_handoff_can_be_stopped_while_it_rings(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await asyncio.sleep(1)
        next(iter(world.registry.calls.values())).inbox.put(HandoffStopped(handoff))
        await desk.until(Cancelled)
        assert handoff.state is HandoffState.CANCELLED
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_who_may_ask_when(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, ring)
        cast = await talking(world)

        def refused(code: str, **request: object) -> None:
            with pytest.raises(ControlError) as caught:
                world.hand_off(**request)
            assert caught.value.code == code

        refused("unknown_destination", destination="nowhere")
        with pytest.raises(ControlError, match="there are: billing, front-desk; did you mean 'front-desk'"):
            world.hand_off(destination="front-dsek")
        refused("policy_refused", route=(f"sip:me@{DESK}", "sip:me@evil.example"), encryption="udp/rtp")
        with pytest.raises(ControlError, match="transport=tls needs TLS") as caught:
            world.hand_off(route=(f"sip:me@{DESK};transport=tls",), encryption="udp/rtp")
        assert caught.value.field == "route[0]"
        assert caught.value.message.endswith("; allowed: sip: without transport=tls")
        refused("unknown_hold_music", destination="front-desk", hold_music="/etc/passwd")
        first = world.hand_off(destination="front-desk", idempotency_key="k1")
        assert world.hand_off(destination="front-desk", idempotency_key="k1") is first
        refused("handoff_running", destination="front-desk")
        cast.hang_up()

    play(story, tmp_path, main=MAIN + f'policy: {{allow: ["sip:*@{DESK}"]}}\n')


def test_a_route_of_the_request_with_its_credentials(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(
            route=(f"sip:vip@{DESK}",),
            encryption="udp/rtp",
            credentials=Credentials("u", "secret-of-the-api"),
        )
        await cast.until_awaited()
        assert desk.invites()[0].uri == f"sip:vip@{DESK}"
        assert "secret-of-the-api" not in str(handoff.as_json()) + repr(handoff)
        cast.agent().hear()
        cast.hang_up()

    play(story, tmp_path, main=MAIN + f'policy: {{allow: ["sip:*@{DESK}"]}}\n')


def test_before_the_answer_nothing_can_be_handed_over(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(ASSISTANT, ignore)
        sbc = await world.phone(SBC)
        session = sbc.call("support")
        await asyncio.sleep(1)
        with pytest.raises(ControlError) as caught:
            world.hand_off(destination="front-desk")
        assert (caught.value.status, caught.value.code) == (409, "call_not_answered")
        sbc.do(session.cancel)
        await world.record()

    play(story, tmp_path, main=MAIN)


def test_a_method_the_trunk_does_not_permit(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "method_not_allowed", 11050)
        assert cast.caller.peer is cast.assistant
        cast.hang_up()

    play(story, tmp_path, main=MAIN.replace("max_calls: 100", "allowed_methods: [refer]"))


@pytest.mark.parametrize("seed", range(10))
def test_a_bad_network_loses_nobody(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        bot = await world.phone(ASSISTANT, answer_at_once)
        sbc = await world.phone(SBC)
        session = sbc.call("support")
        await sbc.until(Answered)
        cast = Cast(world, sbc, bot, session)
        handoff = world.hand_off(destination="front-desk")
        while not handoff.state.final and not handoff.is_connected:
            for leg in cast.call.legs:
                if leg.role == "agent" and leg.parameters:
                    leg.hear()
            await asyncio.sleep(0.1)
        assert len(world.registry.calls) == 1
        assert cast.caller.peer is (cast.agent() if handoff.is_connected else cast.assistant)
        sbc.do(session.bye)
        record = await world.record()
        assert len(record.handoffs) == 1

    play(story, tmp_path, main=MAIN, wire=Wire(seed=seed, loss=0.1, duplicate=0.1, delay=0.01, jitter=0.05))
