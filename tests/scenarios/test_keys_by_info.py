"""Keys that cannot go in the audio go by SIP INFO; every INFO is answered 200."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.call.keys_by_info import CAPACITY
from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.events import Acknowledged, Answered, RequestCompleted, RequestReceived
from sip_stack.message import Request
from sip_stack.sdp import Direction
from sip_stack.settings import EndpointSettings
from tests.support.b2bua_world import B2BUA, DESK, SBC, Phone, World, offer, play, respond
from tests.support.fake_network import Wire
from tests.support.raw_phone import RawPhone

NO_EVENTS = "0 8"
RELAY = "application/dtmf-relay"


async def talking(world: World, *, agent_payload: str = "0 8 101") -> tuple[Phone, ClientSession, Phone]:
    """A call that is up."""

    async def pick_up(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.answer(now, body=offer(phone.host, payload=agent_payload)))

    desk = await world.phone(DESK, pick_up)
    sbc = await world.phone(SBC)
    call = sbc.call("desk")
    await sbc.until(Answered)
    await desk.until(Acknowledged)
    await asyncio.sleep(0.1)
    return sbc, call, desk


def keys(phone: Phone) -> list[bytes]:
    """The bodies of the INFOs that reached a phone."""
    return [event.request.body for event in phone.events if isinstance(event, RequestReceived)]


@pytest.mark.parametrize(
    ("content_type", "body", "passed_on"),
    [
        (RELAY, b"Signal=5\r\nDuration=250\r\n", [b"Signal=5\r\nDuration=250\r\n"]),
        ("application/dtmf", b"#", [b"Signal=#\r\nDuration=160\r\n"]),
        (RELAY, b"Signal=?\r\n", []),
        ("application/media_control+xml", b"<media_control/>", []),
        ("", b"", []),
    ],
    ids=["dtmf-relay", "dtmf", "no-key", "something-else", "empty"],
)
def test_an_info_is_answered_and_a_key_in_it_passed_on(
    tmp_path: Path, content_type: str, body: bytes, passed_on: list[bytes]
) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world)
        sbc.do(lambda now: call.request(now, "INFO", body=body, content_type=content_type))
        completed = await sbc.until(RequestCompleted)
        assert completed.response is not None
        assert completed.response.status == 200
        await asyncio.sleep(0.5)
        assert keys(desk) == passed_on
        sbc.do(call.bye)

    play(story, tmp_path)


def test_an_info_before_the_answer_is_answered_too(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = RawPhone(world.network, SBC, B2BUA, "desk")
        sbc.invite()
        progress = await sbc.progress(180)
        assert progress.to.tag
        sbc.info(b"Signal=5\r\n", "application/dtmf-relay")
        assert (await sbc.final("INFO", 2)).status == 200
        await sbc.final("INVITE", 1)
        sbc.acknowledge(1, offer(SBC))
        await asyncio.sleep(0.5)
        sbc.bye()
        await world.record()

    play(story, tmp_path)


def test_a_key_in_the_audio_goes_by_info_only_to_a_side_that_takes_none_there(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, agent_payload=NO_EVENTS)
        caller, agent = world.legs()
        caller.press("7", duration_ms=120)
        agent.press("3")
        await asyncio.sleep(0.5)
        assert keys(desk) == [b"Signal=7\r\nDuration=120\r\n"]
        assert keys(sbc) == [], "the caller takes telephone-event: the engine has passed it on"
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_phone_that_sends_each_key_both_ways_is_heard_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world)
        caller, _ = world.legs()
        caller.press("1")
        await asyncio.sleep(0.1)
        sbc.do(lambda now: call.request(now, "INFO", body=b"Signal=1\r\n", content_type=RELAY))
        await asyncio.sleep(0.5)
        assert keys(desk) == []
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_side_whose_allow_has_no_info_is_left_alone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, settings=EndpointSettings(allow=("INVITE", "ACK", "CANCEL", "BYE")))
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(lambda now: call.request(now, "INFO", body=b"Signal=1\r\n", content_type=RELAY))
        await sbc.until(RequestCompleted)
        await asyncio.sleep(0.5)
        assert "INFO" not in world.network.titles([(B2BUA, 5060)])
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_side_that_refuses_an_info_gets_no_more(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world)
        desk.info_status = 415
        for _ in range(3):
            sbc.do(lambda now: call.request(now, "INFO", body=b"Signal=1\r\n", content_type=RELAY))
            await asyncio.sleep(0.5)
        assert len(keys(desk)) == 1
        assert world.registry.calls
        sbc.do(call.bye)

    play(story, tmp_path)


DIGITS = "4711*0815#23"


async def type_digits(world: World, every: float) -> None:
    """The caller's phone sends keys in its audio, to a human who takes none there."""
    caller, _ = world.legs()
    for digit in DIGITS:
        caller.press(digit)
        await asyncio.sleep(every)


def signals(phone: Phone) -> str:
    """The keys that reached a phone by INFO."""
    return "".join(body.decode()[len("Signal=")] for body in keys(phone))


def test_a_lost_info_costs_no_key_and_keeps_the_order(tmp_path: Path) -> None:
    # Sent at once, the second key would overtake the first, whose repetition is then 500 (RFC 3261 section 12.2.2).
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, agent_payload=NO_EVENTS)
        world.network.wire.drop("INFO", 1)
        await type_digits(world, 0.1)
        await world.until(lambda: len(keys(desk)) == len(DIGITS), patience=10)
        assert signals(desk) == DIGITS
        sbc.do(call.bye)

    play(story, tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_every_key_arrives_once_and_in_order_over_a_network_that_loses_doubles_and_reorders(
    tmp_path: Path, seed: int
) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, agent_payload=NO_EVENTS)
        await type_digits(world, 0.3)
        await world.until(lambda: len(keys(desk)) == len(DIGITS))
        await asyncio.sleep(5)
        assert signals(desk) == DIGITS
        sbc.do(call.bye)

    play(story, tmp_path, wire=Wire(seed=seed, loss=0.15, duplicate=0.1, jitter=0.2))


def test_an_info_that_a_reinvite_overtakes_is_sent_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, agent_payload=NO_EVENTS)
        world.network.wire.drop("INFO", 1)
        world.legs()[0].press("7")
        sbc.reoffer(call, Direction.SENDONLY)
        await world.until(lambda: desk.reoffers() and keys(desk))
        assert signals(desk) == "7"
        sbc.do(call.bye)

    play(story, tmp_path)


def test_keys_that_a_silent_far_end_keeps_waiting_are_given_up(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, agent_payload=NO_EVENTS)
        unanswered: list[RequestReceived] = []
        desk.on_request = lambda phone, event: unanswered.append(event)
        caller, _ = world.legs()
        for _ in range(CAPACITY + 5):
            caller.press("1")
        await asyncio.sleep(40)
        assert signals(desk) == "1", "nobody answered the first, and what waited is too old"
        desk.on_request = respond
        caller.press("2")
        await asyncio.sleep(1)
        assert signals(desk) == "12"
        desk.do(lambda now: respond(desk, unanswered[0]))
        sbc.do(call.bye)

    play(story, tmp_path)


def test_more_keys_than_may_wait_are_dropped(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk = await talking(world, agent_payload=NO_EVENTS)
        caller, _ = world.legs()
        for _ in range(CAPACITY + 5):
            caller.press("1")
        await asyncio.sleep(5)
        assert signals(desk) == "1" * (CAPACITY + 1), "one on its way, the others waiting"
        sbc.do(call.bye)

    play(story, tmp_path)
