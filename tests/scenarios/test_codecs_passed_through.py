"""G722 and opus: carried where caller and destination both have them, and G.711 wherever something of ours is heard."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from b2bua.call.recording import tell
from b2bua.control import ControlError
from media.engine import Codec
from sip_stack.dialog import ServerSession
from sip_stack.events import (
    Acknowledged,
    Answered,
    Ended,
    Progress,
    Rejected,
    ReofferCompleted,
    ReofferReceived,
)
from sip_stack.extensions import Extensions, Use
from sip_stack.message import Request
from tests.support.b2bua_world import (
    BILLING,
    CONFIGURATION,
    DESK,
    DESTINATIONS,
    SBC,
    Behaviour,
    Phone,
    ReofferBehaviour,
    World,
    play,
    refuse_reoffer,
)
from tests.support.handoff_cast import ASSISTANT, with_route

CODECS = "  codecs: [opus, G722, PCMU, PCMA]\n"
MAIN = CONFIGURATION.replace("trunks:\n", f"{CODECS}trunks:\n")
BOTH = "111 9 0 101 110"
LINES = (
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 maxplaybackrate=16000;useinbandfec=1",
    "a=rtpmap:9 G722/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=rtpmap:110 telephone-event/48000",
)


def description(host: str, payload: str, *lines: str, port: int = 4000) -> bytes:
    head = [
        "v=0",
        f"o=- 1 1 IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {payload}",
    ]
    return ("\r\n".join([*head, *lines, ""])).encode()


CALLER = description(SBC, BOTH, *LINES)
OPUS = description(
    DESK, "98 99", "a=rtpmap:98 opus/48000/2", "a=fmtp:98 stereo=0", "a=rtpmap:99 telephone-event/48000"
)
G722 = description(DESK, "9 101", "a=rtpmap:101 telephone-event/8000")
PCMA = description(DESK, "8")


def answering(body: bytes, seen: list[Request] | None = None, *, preview: bytes = b"") -> Behaviour:
    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        if seen is not None:
            seen.append(request)
        if preview:
            phone.do(lambda now: session.progress(now, 183, body=preview))
            await asyncio.sleep(1)
        phone.do(lambda now: session.answer(now, body=body))

    return behaviour


def audio_line(body: bytes) -> str:
    return next(line for line in body.decode().splitlines() if line.startswith("m=audio"))


def formats(body: bytes) -> list[str]:
    return audio_line(body).split()[3:]


def test_opus_that_both_have_is_passed_through_with_its_numbers_and_parameters(tmp_path: Path) -> None:
    seen: list[Request] = []

    async def story(world: World) -> None:
        await world.phone(DESK, answering(OPUS, seen))
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=CALLER)
        answered = await sbc.until(Answered)
        offered, answer = seen[0].body.decode(), answered.response.body.decode()
        assert formats(seen[0].body) == ["96", "9", "0", "8", "102", "101"]
        assert "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 maxplaybackrate=16000;useinbandfec=1\r\n" in offered
        assert "a=rtpmap:9 G722/8000\r\n" in offered
        assert "a=rtpmap:102 telephone-event/48000\r\n" in offered
        assert formats(answered.response.body) == ["111", "110"]
        assert "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 stereo=0\r\n" in answer
        caller, agent = (leg.parameters for leg in world.legs())
        assert caller is not None
        assert agent is not None
        assert (caller.codec, caller.payload_type, caller.telephone_event) == (Codec.OPUS, 111, 110)
        assert (agent.codec, agent.payload_type) == (Codec.OPUS, 98)
        assert (agent.telephone_event, agent.receive_telephone_event) == (99, 102)
        world.legs()[0].hear(100)
        sbc.do(call.bye)
        media = (await world.record()).media
        assert [media[role]["codec"] for role in ("caller", "agent")] == ["opus", "opus"]
        assert media["caller"]["mos"] is None, "the estimate is that of G.711"

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize(
    ("agents", "expected", "numbers"),
    [(G722, Codec.G722, ["9", "101"]), (PCMA, Codec.PCMU, ["0", "101"])],
    ids=["G722", "transcoded"],
)
@pytest.mark.parametrize("early", [False, True], ids=["answer", "early media"])
def test_the_caller_is_answered_with_what_the_far_end_chose(
    tmp_path: Path, agents: bytes, expected: Codec, numbers: list[str], early: bool
) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answering(agents, preview=agents if early else b""))
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=CALLER)
        if early:
            assert formats((await sbc.until(Progress, count=2)).response.body) == numbers
        assert formats((await sbc.until(Answered)).response.body) == numbers
        caller, agent = (leg.parameters for leg in world.legs())
        assert caller is not None
        assert agent is not None
        assert caller.codec is expected
        assert agent.codec is (Codec.PCMA if expected is Codec.PCMU else expected)
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize(
    ("caller", "agent"),
    [
        (description(SBC, "111", LINES[0]), PCMA),
        (description(SBC, "0"), OPUS),
        (description(SBC, "111", "a=rtpmap:111 opus/48000"), OPUS),
        (description(SBC, "9", "a=rtpmap:9 G722/16000"), G722),
    ],
    ids=["opus alone", "PCMU alone", "no opus of one channel", "no G722 of 16 kHz"],
)
def test_without_a_codec_in_common_it_is_488(tmp_path: Path, caller: bytes, agent: bytes) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answering(agent))
        sbc = await world.phone(SBC)
        sbc.call("desk", body=caller)
        rejected = await sbc.until(Rejected)
        assert rejected.response.status == 488
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "media_not_acceptable"

    play(story, tmp_path, main=MAIN)


@pytest.mark.parametrize("extra", ["  whisper: w.wav\n", "  accept_key: 1\n", "  record: true\n"])
def test_where_something_of_ours_is_heard_it_is_g711(tmp_path: Path, extra: str) -> None:
    seen: list[Request] = []

    async def story(world: World) -> None:
        await world.phone(DESK, answering(PCMA, seen))
        sbc = await world.phone(SBC)
        sbc.call("desk", body=CALLER)
        await world.until(lambda: seen)
        assert formats(seen[0].body) == ["0", "8", "101"]
        world.registry.end_all()
        await world.record()

    (tmp_path / "w.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    destinations = DESTINATIONS.replace("front-desk:\n", f"front-desk:\n{extra}")
    play(story, tmp_path, main=MAIN, destinations=destinations)


def test_an_assistant_is_called_with_g711_so_that_a_handoff_can_be_heard(tmp_path: Path) -> None:
    seen: list[Request] = []

    async def story(world: World) -> None:
        await world.phone(ASSISTANT, answering(description(ASSISTANT, "0"), seen))
        sbc = await world.phone(SBC)
        call = sbc.call("support", body=CALLER)
        answered = await sbc.until(Answered)
        assert formats(seen[0].body) == ["0", "8", "101"]
        assert formats(answered.response.body) == ["0", "101"]
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, main=with_route("after_agent: hangup").replace("trunks:\n", f"{CODECS}trunks:\n"))


def test_a_codec_that_is_passed_through_cannot_be_left_in_the_middle_of_a_call(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answering(OPUS))
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=CALLER)
        await sbc.until(Answered)
        caller, _ = world.legs()
        for number, (body, status) in enumerate(
            [(description(SBC, "0 101", LINES[3]), 488), (description(SBC, BOTH, *LINES, port=4002), 200)], 1
        ):
            sbc.do(partial(call.reoffer, body=body))
            completed = await sbc.until(ReofferCompleted, count=number)
            assert completed.response is not None
            assert completed.response.status == status
            assert caller.parameters is not None
            assert caller.parameters.codec is Codec.OPUS
        assert caller.parameters is not None
        assert caller.parameters.remote == (SBC, 4002)
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, main=MAIN)


def test_a_hold_offers_the_far_end_nothing_else_to_choose(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, answering(OPUS))
        sbc = await world.phone(SBC)
        call = sbc.call("desk", body=CALLER)
        await sbc.until(Answered)
        held = CALLER + b"a=sendonly\r\n"
        sbc.do(lambda now: call.reoffer(now, held))
        offered = await desk.until(ReofferReceived)
        assert formats(offered.request.body) == ["96", "102"]
        assert b"a=fmtp:96 maxplaybackrate" in offered.request.body
        assert b"G722" not in offered.request.body
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, main=MAIN)


def test_what_needs_g711_is_refused_and_a_human_is_offered_what_the_caller_has(tmp_path: Path) -> None:
    seen: list[Request] = []

    async def story(world: World) -> None:
        await world.phone(DESK, answering(OPUS, seen))
        sbc = await world.phone(SBC)
        session = sbc.call("desk", body=CALLER)
        await sbc.until(Answered)
        (call,) = world.registry.calls.values()
        with pytest.raises(ControlError) as refused:
            tell(call, "start")
        assert refused.value.code == "not_recordable"
        with pytest.raises(ControlError) as refused:
            world.hand_off(destination="front-desk", consult=True)
        assert (refused.value.status, refused.value.code) == (409, "audio_passed_through")
        handoff = world.hand_off(destination="front-desk")
        caller = world.media.calls[-1].leg("caller")
        await world.until(lambda: caller.awaits)
        assert formats(seen[1].body) == ["96", "102"]
        assert "a=fmtp:96 maxplaybackrate=16000;useinbandfec=1" in seen[1].body.decode()
        assert caller.awaits is not None
        caller.awaits.hear()
        await world.until(lambda: handoff.is_connected)
        sbc.do(session.bye)
        await world.record()

    play(story, tmp_path, main=MAIN)


def agrees(line: str, payload: str) -> ReofferBehaviour:
    """Answers each offer of ours with this codec."""

    async def behaviour(phone: Phone, event: ReofferReceived) -> None:
        body = description(phone.host, payload, line)
        phone.do(lambda now: event.session.answer_reoffer(now, event.transaction, body))

    return behaviour


@pytest.mark.parametrize("reliable", ["disabled", "supported", "required"])
@pytest.mark.parametrize(
    ("preview", "answer", "offered", "caller_codec", "agent_codec"),
    [
        (OPUS, PCMA, ["0", "8", "101"], Codec.PCMU, Codec.PCMA),
        (G722, OPUS, ["96", "102"], Codec.OPUS, Codec.OPUS),
        (OPUS, G722, ["9", "101"], Codec.G722, Codec.G722),
        (PCMA, OPUS, ["96", "102"], Codec.OPUS, Codec.OPUS),
    ],
    ids=["opus, PCMA", "G722, opus", "opus, G722", "PCMA, opus"],
)
def test_a_caller_who_heard_a_preview_is_asked_for_the_codec_of_the_answer(
    tmp_path: Path,
    preview: bytes,
    answer: bytes,
    offered: list[str],
    caller_codec: Codec,
    agent_codec: Codec,
    reliable: Use,
) -> None:
    """The first description is the answer (RFC 3261 section 13.2.1), so that our 200 cannot change it: a re-INVITE
    does."""
    numbers = {Codec.PCMU: ("0", ""), Codec.OPUS: ("96", "a=rtpmap:96 opus/48000/2"), Codec.G722: ("9", "")}

    async def story(world: World) -> None:
        await world.phone(DESK, answering(answer, preview=preview))
        sbc = await world.phone(SBC)
        payload, line = numbers[caller_codec]
        sbc.on_reoffer = agrees(line or "a=sendrecv", payload)
        call = sbc.call("desk", body=CALLER, extensions=Extensions(reliable=reliable))
        early = (await sbc.until(Progress, count=2)).response
        answered = (await sbc.until(Answered)).response
        assert formats(answered.body) == formats(early.body)
        assert formats((await sbc.until(ReofferReceived)).request.body) == offered
        await sbc.until(Acknowledged)
        await asyncio.sleep(1)
        caller, agent = (leg.parameters for leg in world.legs())
        assert caller is not None
        assert agent is not None
        assert (caller.codec, agent.codec) == (caller_codec, agent_codec)
        assert len(sbc.reoffers()) == 1
        sbc.do(call.bye)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"

    play(story, tmp_path, main=MAIN)


def test_a_fallback_without_the_codec_of_the_early_media_before_it_is_heard(tmp_path: Path) -> None:
    async def early_and_busy(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=OPUS))
        await asyncio.sleep(1)
        phone.do(lambda now: session.reject(now, 486))

    async def story(world: World) -> None:
        await world.phone(DESK, early_and_busy)
        seen: list[Request] = []
        await world.phone(BILLING, answering(PCMA, seen))
        sbc = await world.phone(SBC)
        sbc.on_reoffer = agrees("a=sendrecv", "0")
        call = sbc.call("desk", body=CALLER)
        await sbc.until(Acknowledged)
        assert formats(seen[0].body) == ["96", "9", "0", "8", "102", "101"]
        caller = world.media.calls[-1].leg("caller").parameters
        assert caller is not None
        assert caller.codec is Codec.PCMU
        sbc.do(call.bye)
        await world.record()

    there = DESTINATIONS.replace("front-desk:\n", "front-desk:\n  fallback: billing\n")
    play(story, tmp_path, main=MAIN, destinations=there)


def test_a_caller_who_refuses_the_other_codec_ends_the_call_by_its_name(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, answering(PCMA, preview=OPUS))
        sbc = await world.phone(SBC)
        sbc.on_reoffer = refuse_reoffer(488)
        sbc.call("desk", body=CALLER)
        ended = await sbc.until(Ended)
        assert isinstance(ended.message, Request)
        assert ended.message.headers.get("Reason") == 'Q.850;cause=88;text="media_not_acceptable"'
        assert len([event for event in sbc.events if isinstance(event, ReofferReceived)]) == 1
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "media_not_acceptable"

    play(story, tmp_path, main=MAIN)


def test_a_caller_who_changes_by_itself_is_not_asked(tmp_path: Path) -> None:
    """Its own offer crosses ours: what it brings has the codec already."""

    async def story(world: World) -> None:
        await world.phone(DESK, answering(PCMA, preview=OPUS))
        sbc = await world.phone(SBC)
        sbc.on_reoffer = refuse_reoffer(491)
        call = sbc.call("desk", body=CALLER)
        await sbc.until(ReofferReceived)
        await asyncio.sleep(0.1)
        sbc.do(lambda now: call.reoffer(now, description(SBC, "8")))
        await sbc.until(ReofferCompleted)
        await asyncio.sleep(10)
        caller = world.media.calls[-1].leg("caller").parameters
        assert caller is not None
        assert caller.codec is Codec.PCMA
        assert len([event for event in sbc.events if isinstance(event, ReofferReceived)]) == 1
        sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, main=MAIN)
