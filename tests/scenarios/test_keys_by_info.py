"""Keys that cannot go in the audio go by SIP INFO; every INFO is answered 200."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.events import Acknowledged, Answered, RequestCompleted, RequestReceived
from sip_stack.message import Request
from sip_stack.settings import EndpointSettings
from tests.support.b2bua_world import B2BUA, DESK, SBC, Phone, World, offer, play
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
