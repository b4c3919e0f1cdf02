"""Fax and video beside the audio, or in its place: the audio goes on, and the other side hears nothing of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.events import Acknowledged, Answered, ReofferCompleted
from sip_stack.sdp import parse
from tests.support.b2bua_world import DESK, SBC, Phone, World, offer, play

VIDEO = b"m=video 5000 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n"
FAX = b"m=image 6000 udptl t38\r\na=T38FaxVersion:0\r\n"


def fax_instead(host: str) -> bytes:
    """What a gateway offers when it hears a fax tone: T.38 in the slot of the audio."""
    return b"".join([f"v=0\r\no=- 1 2 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n".encode(), FAX])


def fax_beside(host: str) -> bytes:
    """The other way to ask for it: a second section, and the audio switched off."""
    return offer(host, port=0) + FAX


async def talking(world: World, body: bytes | None = None) -> tuple[Phone, Phone]:
    desk = await world.phone(DESK)
    sbc = await world.phone(SBC)
    sbc.call("desk", body=body)
    await sbc.until(Answered)
    await desk.until(Acknowledged)
    await asyncio.sleep(0.5)
    return sbc, desk


def test_a_video_call_becomes_an_audio_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, desk = await talking(world, offer(SBC) + VIDEO)
        answer = parse((await sbc.until(Answered)).response.body)
        assert [(media.kind, bool(media.port)) for media in answer.media] == [
            ("audio", True),
            ("video", False),
        ]
        (invite,) = desk.invites()
        assert [media.kind for media in parse(invite.body).media] == ["audio"]
        desk.do(lambda now: desk.sessions[0].bye(now))
        await world.record()

    play(story, tmp_path)


@pytest.mark.parametrize("who", ["caller", "agent"])
def test_video_that_is_added_is_refused_and_the_audio_goes_on(tmp_path: Path, who: str) -> None:
    async def story(world: World) -> None:
        sbc, desk = await talking(world)
        phone = sbc if who == "caller" else desk
        session = (await sbc.until(Answered)).session if who == "caller" else desk.sessions[0]
        phone.do(lambda now: session.reoffer(now, offer(phone.host) + VIDEO))
        completed = await phone.until(ReofferCompleted)
        assert completed.response is not None
        answer = parse(completed.response.body)
        assert [(media.kind, bool(media.port)) for media in answer.media] == [
            ("audio", True),
            ("video", False),
        ]
        assert all(leg.parameters is not None and leg.parameters.send for leg in world.legs())
        desk.do(lambda now: desk.sessions[0].bye(now))
        await world.record()

    play(story, tmp_path)


@pytest.mark.parametrize("who", ["caller", "agent"])
@pytest.mark.parametrize("fax", [fax_instead, fax_beside])
def test_fax_is_refused_and_the_audio_stays_as_it_was(tmp_path: Path, who: str, fax: object) -> None:
    """488: the gateway then sends its fax as audio (G.711), which we carry."""

    async def story(world: World) -> None:
        sbc, desk = await talking(world)
        before = [leg.parameters for leg in world.legs()]
        phone, other = (sbc, desk) if who == "caller" else (desk, sbc)
        session = (await sbc.until(Answered)).session if who == "caller" else desk.sessions[0]
        phone.do(lambda now: session.reoffer(now, fax(phone.host)))  # type: ignore[operator]
        completed = await phone.until(ReofferCompleted)
        assert completed.response is not None
        assert completed.response.status == 488
        assert completed.response.headers.get("Warning")
        await asyncio.sleep(2)
        assert [leg.parameters for leg in world.legs()] == before
        assert other.reoffers() == []
        assert len(world.registry.calls) == 1
        # And afterwards it may hold and resume like any other.
        phone.do(lambda now: session.reoffer(now, offer(phone.host)))
        again = await phone.until(ReofferCompleted, count=2)
        assert again.response is not None
        assert again.response.status == 200
        desk.do(lambda now: desk.sessions[0].bye(now))
        await world.record()

    play(story, tmp_path)
