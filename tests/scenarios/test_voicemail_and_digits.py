"""After the human's answer and before the bridge: digits go out, machines are told from people, keys come as tones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.events import Answered, Ended, RequestReceived
from sip_stack.message import Request
from sip_stack.settings import EndpointSettings
from tests.scenarios.test_acceptance import apart, asked, asking
from tests.support.b2bua_world import BILLING, DESK, SBC, Phone, World, offer, play
from tests.support.handoff_cast import MAIN, answer_at_once, summary, talking
from tests.support.media_leg_double import Nothing, PromptDouble

WITHOUT_EVENTS = "0 8"


async def answer_without_events(phone: Phone, session: ServerSession, request: Request) -> None:
    """200 of a phone that knows no telephone-event."""
    phone.do(lambda now: session.answer(now, body=offer(phone.host, payload=WITHOUT_EVENTS)))


def infos(phone: Phone) -> list[str]:
    """The keys that came by INFO."""
    bodies = [request.body.decode() for request in phone.requests if request.method == "INFO"]
    return [body.partition("Signal=")[2][0] for body in bodies]


# -- digits ------------------------------------------------------------------------------------------------------------


def test_digits_go_into_the_audio_of_who_takes_them_there_before_anybody_is_asked(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        assert agent.source == PromptDouble("digits 12w34", 1000)
        assert not agent.looped
        agent.press("1")
        await asyncio.sleep(0.5)
        apart(cast)
        agent.finish_prompt()
        await world.until(lambda: agent.source is Nothing.SILENCE)
        apart(cast)
        agent.press("1")
        await cast.until_awaited()
        assert infos(desk) == []
        cast.hang_up()

    destinations = asking(tmp_path, 'post_dial_digits: "12w34"\naccept_key: "1"')
    play(story, tmp_path, main=MAIN, destinations=destinations)


def test_digits_go_by_info_where_only_that_is_known_and_waits_take_their_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_without_events)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        await asked(world, cast)
        began = world.stack.now()
        await cast.until_awaited()
        assert infos(desk) == ["1", "2", "3"]
        assert 2.3 < world.stack.now() - began < 2.6, "three keys, half a second and a second"
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, 'post_dial_digits: "1w2W3"'))


def test_a_digit_by_info_that_is_lost_is_sent_again_before_the_next(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_without_events)
        cast = await talking(world)
        world.network.wire.drop("INFO", 1)
        world.hand_off(destination="front-desk")
        await cast.until_awaited()
        assert infos(desk) == ["1", "2", "3"]
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, 'post_dial_digits: "123"'))


def test_who_refuses_info_gets_the_digits_as_tones(tmp_path: Path) -> None:
    def refuse_info(phone: Phone, event: RequestReceived) -> None:
        event.session.respond(phone.now, event.transaction, 415 if event.request.method == "INFO" else 200)

    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_without_events)
        desk.on_request = refuse_info
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        await world.until(lambda: isinstance(agent.source, PromptDouble))
        assert agent.source == PromptDouble("digits 12", 400), "from the refused one on"
        agent.finish_prompt()
        await cast.until_awaited()
        assert infos(desk) == ["1"]
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, 'post_dial_digits: "12"'))


def test_who_names_no_info_gets_the_digits_as_tones(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(
            DESK,
            answer_without_events,
            EndpointSettings(user_agent="gateway", allow=("INVITE", "ACK", "BYE")),
        )
        cast = await talking(world)
        world.hand_off(destination="front-desk", post_dial_digits="9#")
        agent = await asked(world, cast)
        assert agent.source == PromptDouble("digits 9#", 400)
        agent.finish_prompt()
        await cast.until_awaited()
        cast.hang_up()

    play(story, tmp_path, main=MAIN)


def test_the_time_for_the_key_begins_after_the_digits(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        await asyncio.sleep(3)
        agent.finish_prompt()
        began = world.stack.now()
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "confirm_failed", 9110)
        assert 3.9 < world.stack.now() - began < 4.2
        cast.hang_up()

    keys = 'post_dial_digits: "WW12"\naccept_key: "1"\naccept_timeout: 4s'
    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, keys))


# -- person or machine -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["beep", "long_speech"])
def test_a_machine_never_gets_the_caller_and_the_next_has_its_turn(tmp_path: Path, sign: str) -> None:
    async def story(world: World) -> None:
        box = await world.phone(DESK, answer_at_once)
        await world.phone(BILLING, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        assert agent.sign == sign
        agent.hear(packets=100)
        apart(cast)
        agent.turn_out(machine=True)
        await box.until(Ended)
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        first, second = handoff.attempts
        assert first.outcome is not None
        assert (first.outcome.name, first.outcome.code) == ("machine_detected", 9100)
        assert second.destination == "billing"
        cast.hang_up()

    destinations = asking(tmp_path, f"detect_voicemail: {sign}\nfallback: billing")
    play(story, tmp_path, main=MAIN, destinations=destinations)


def test_a_person_hears_the_whisper_when_it_is_known_that_they_are_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        assert agent.source is Nothing.SILENCE, "a voicemail box records no whisper"
        agent.turn_out(machine=False)
        await world.until(lambda: isinstance(agent.source, PromptDouble))
        apart(cast)
        agent.finish_prompt()
        await cast.until_awaited()
        assert agent.sign is None
        assert not agent.listens_for_keys
        cast.hang_up()

    destinations = asking(tmp_path, "detect_voicemail: long_speech\nwhisper: whisper.wav")
    play(story, tmp_path, main=MAIN, destinations=destinations)


def test_in_doubt_it_is_a_person(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        began = world.stack.now()
        await cast.until_awaited()
        assert 29 < world.stack.now() - began < 31
        assert agent.sign is None
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, "detect_voicemail: beep"))


def test_with_a_key_to_press_a_machine_is_only_given_up_sooner(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        first = world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        assert isinstance(agent.source, PromptDouble), "nobody waits for the judgement"
        agent.turn_out(machine=False)
        await asyncio.sleep(1)
        apart(cast)
        agent.press("1")
        await cast.until_awaited()
        cast.call.leg("agent").hear()
        await cast.until_over(first)
        cast.hang_up()

    keys = 'detect_voicemail: long_speech\nwhisper: whisper.wav\naccept_key: "1"'
    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, keys))


def test_with_a_key_to_press_a_machine_is_given_up_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        agent.turn_out(machine=True)
        await cast.until_over(handoff)
        assert summary(handoff) == ("failed", "machine_detected", 9100)
        apart(cast)
        cast.hang_up()

    keys = 'detect_voicemail: beep\naccept_key: "1"'
    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, keys))


def test_a_new_call_that_a_machine_takes_is_not_answered(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        await world.until(
            lambda: world.media.calls and any(leg.role == "agent" for leg in world.media.calls[-1].legs)
        )
        _, agent = world.legs()
        await world.until(lambda: agent.sign is not None)
        agent.turn_out(machine=True)
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.code, record.outcome.caller_status) == (9100, 480)
        assert "Answered" not in sbc.names()

    play(story, tmp_path, destinations=asking(tmp_path, "detect_voicemail: long_speech"))


# -- keys that come as tones -------------------------------------------------------------------------------------------


def test_the_key_may_come_as_tones_from_a_phone_without_telephone_event(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_without_events)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        agent.sound_keys("1")
        await cast.until_awaited()
        assert not agent.listens_for_keys, "nobody waits for a key any more"
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, 'accept_key: "1"'))


def test_a_phone_with_telephone_event_is_not_listened_to_for_tones(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answer_at_once)
        cast = await talking(world)
        world.hand_off(destination="front-desk")
        agent = await asked(world, cast)
        assert not agent.listens_for_keys
        cast.hang_up()

    play(story, tmp_path, main=MAIN, destinations=asking(tmp_path, 'accept_key: "1"'))


@pytest.mark.parametrize("hangs_up", [True, False])
def test_a_star_of_tones_ends_the_talk_where_that_is_configured(tmp_path: Path, hangs_up: bool) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answer_without_events)
        sbc = await world.phone(SBC)
        session = sbc.call("desk", body=offer(SBC, payload=WITHOUT_EVENTS))
        await sbc.until(Answered)
        await asyncio.sleep(0.5)
        caller, agent = world.legs()
        assert caller.listens_for_keys is hangs_up
        assert not agent.listens_for_keys
        caller.sound_keys("5*")
        await asyncio.sleep(1)
        assert infos(desk) == [], "they are in the audio"
        assert ("Ended" in desk.names()) is hangs_up
        if not hangs_up:
            sbc.do(session.bye)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.source == "caller"

    play(story, tmp_path, destinations=asking(tmp_path, f"hangup_on_star: {str(hangs_up).lower()}"))


@pytest.mark.parametrize(("country", "name"), [("us", "ringback"), ("uk", "ringback uk")])
def test_the_caller_hears_the_ringing_of_the_configured_country(
    tmp_path: Path, country: str, name: str
) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        cast = await talking(world)
        world.hand_off(destination="front-desk", hold_music="ringback")
        await world.until(lambda: isinstance(cast.caller.source, PromptDouble))
        assert cast.caller.source == PromptDouble(name)
        cast.hang_up()

    main = MAIN.replace("media:\n", f"media:\n  ringback: {country}\n")
    play(story, tmp_path, main=main)
