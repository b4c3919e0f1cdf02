"""Reliable provisional responses in whole calls: of each leg alone, and early media that nobody loses (pitfall 55)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.events import Acknowledged, Answered, Progress, Rejected, RequestCompleted
from sip_stack.extensions import Extensions, Use
from sip_stack.message import Request, Response
from sip_stack.sdp import Direction
from tests.support.b2bua_world import (
    B2BUA,
    CONFIGURATION,
    DESK,
    DESTINATIONS,
    SBC,
    Behaviour,
    Phone,
    World,
    direction_of,
    offer,
    play,
)
from tests.support.fake_network import Wire
from tests.support.media_leg_double import PromptDouble
from tests.support.raw_phone import RawPhone

NONE, CAN, MUST = (Extensions(reliable=use) for use in ("disabled", "supported", "required"))


def early(
    extensions: Extensions, *, seconds: float = 2.0, headers: tuple[tuple[str, str], ...] = ()
) -> Behaviour:
    """Early media at once, an answer later; the answer repeats its description."""

    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        session.use(extensions)
        body = offer(phone.host)
        phone.do(lambda now: session.progress(now, 183, body=body, headers=headers))
        await asyncio.sleep(seconds)
        phone.do(lambda now: session.answer(now, body=body))

    return behaviour


def messages(world: World, source: str, destination: str, title: str) -> list[Request | Response]:
    return [
        each.message
        for each in world.network.wire.log
        if (each.source[0], each.destination[0], each.title) == (source, destination, title)
    ]


def trunk_with(use: Use) -> str:
    """The configuration with `100rel` for the trunk."""
    return CONFIGURATION.replace("    max_calls: 100", f"    100rel: {use}\n    max_calls: 100")


@pytest.mark.parametrize("agent", [NONE, CAN, MUST])
@pytest.mark.parametrize("caller", [NONE, CAN, MUST])
def test_early_media_crosses_whatever_either_side_can(
    tmp_path: Path, caller: Extensions, agent: Extensions
) -> None:
    """Each leg has numbers and PRACKs of its own; nothing of one side's `Require` reaches the other."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK, early(agent))
        sbc = await world.phone(SBC)
        call = sbc.call("desk", extensions=caller)
        await sbc.until(Answered)
        await desk.until(Acknowledged)
        seen = [event.response for event in sbc.events if isinstance(event, Progress)]
        assert [response.status for response in seen if response.status > 100] == [183]
        assert seen[-1].require == (["100rel"] if caller.tags else [])
        assert messages(world, B2BUA, DESK, "INVITE")[0].require == []
        assert len(messages(world, B2BUA, DESK, "PRACK")) == bool(agent.tags)
        assert len(messages(world, SBC, B2BUA, "PRACK")) == bool(caller.tags)
        if agent.tags and caller.tags:
            numbers = {
                messages(world, source, to, "183 INVITE")[0].headers.get("RSeq")
                for source, to in ((DESK, B2BUA), (B2BUA, SBC))
            }
            assert len(numbers) == 2
        legs = world.legs()
        assert legs[0].peer is legs[1]
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path)


@pytest.mark.parametrize("seed", range(6))
def test_early_media_on_a_network_that_loses_a_third(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, early(MUST, seconds=4.0))
        sbc = await world.phone(SBC)
        call = sbc.call("desk", extensions=MUST)
        await sbc.until(Answered)
        await desk.until(Acknowledged)
        assert [event.response.status for event in sbc.events if isinstance(event, Progress)].count(183) == 1
        sbc.do(lambda now: call.bye(now))
        await world.record()

    slow = "connect_timeout: 30s\n  ring_timeout: 2m\n"
    destinations = DESTINATIONS.replace("  route: sip:operator", f"  {slow}  route: sip:operator")
    play(story, tmp_path, destinations=destinations, wire=Wire(seed=seed, loss=0.33, duplicate=0.2))


def test_a_caller_who_never_acknowledges_gets_504(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, early(NONE, seconds=60))
        sbc = RawPhone(world.network, SBC, B2BUA, "desk")
        sbc.headers = ["Supported: 100rel"]
        cseq = sbc.invite(offer(SBC))
        assert (await sbc.final("INVITE", cseq)).status == 504
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.code) == ("provisional_not_acknowledged", 11062)

    patient = DESTINATIONS.replace("  route: sip:operator", "  ring_timeout: 2m\n  route: sip:operator")
    play(story, tmp_path, destinations=patient)


def test_a_caller_who_cancels_while_our_200_waits_for_their_prack_was_never_answered(tmp_path: Path) -> None:
    """Found by random stories: the record had a time of the answer, and the outcome of a call without one."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK, early(NONE, seconds=0.2))
        sbc = RawPhone(world.network, SBC, B2BUA, "desk")
        sbc.headers = ["Supported: 100rel"]
        cseq = sbc.invite(offer(SBC))
        await sbc.progress(183)
        await desk.until(Acknowledged)
        sbc.cancel()
        assert (await sbc.final("INVITE", cseq)).status == 487
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.code, record.answered) == ("cancel", 1000, None)
        assert {leg.role: leg.answered is not None for leg in record.legs} == {"caller": False, "agent": True}

    play(story, tmp_path)


@pytest.mark.parametrize(("caller", "use", "status"), [(NONE, "required", 421), (MUST, "disabled", 420)])
def test_a_trunk_that_insists(tmp_path: Path, caller: Extensions, use: Use, status: int) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("desk", extensions=caller)
        assert (await sbc.until(Rejected)).response.status == status

    play(story, tmp_path, main=trunk_with(use))


def test_a_destination_that_must(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, early(CAN))
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        assert messages(world, B2BUA, DESK, "INVITE")[0].require == ["100rel"]
        sbc.do(lambda now: call.bye(now))

    own = '  "100rel": required\n  route: sip:operator'
    play(story, tmp_path, destinations=DESTINATIONS.replace("  route: sip:operator", own))


@pytest.mark.parametrize("needs", ["Supported: 100rel", "Require: 100rel"])
@pytest.mark.parametrize("media", [True, False])
def test_a_caller_without_an_offer_gets_ours_before_the_answer(
    tmp_path: Path, needs: str, media: bool
) -> None:
    """RFC 3262 section 5: in the first reliable response; the answer comes in the PRACK. A plain 180 waits for the 200
    unless it has to be reliable."""

    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        if media:
            phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        else:
            phone.do(lambda now: session.progress(now, 180))
        await asyncio.sleep(5)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, behaviour)
        sbc = RawPhone(world.network, SBC, B2BUA, "desk")
        sbc.headers = [needs]
        cseq = sbc.invite()
        progress = await sbc.progress(183 if media else 180)
        if not media and needs.startswith("Supported"):
            assert "RSeq" not in progress.headers
            assert progress.body == b""
            answer = await sbc.final("INVITE", cseq)
            assert b"m=audio" in answer.body
            sbc.acknowledge(cseq, offer(SBC))
        else:
            assert b"m=audio" in progress.body
            assert (await sbc.final("PRACK", sbc.prack(progress, offer(SBC)))).status == 200
            caller, agent = world.legs()
            assert caller.parameters is not None
            assert caller.parameters.remote == (SBC, 4000)
            if media:
                assert caller.peer is agent
            answer = await sbc.final("INVITE", cseq)
            assert answer.body == b""
            sbc.acknowledge(cseq)
        await asyncio.sleep(0.5)
        sbc.bye()
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"

    play(story, tmp_path)


@pytest.mark.parametrize("method", ["PRACK", "UPDATE"])
def test_a_caller_moves_its_audio_before_the_answer(tmp_path: Path, method: str) -> None:
    """An offer in the PRACK, or in an UPDATE after it (RFC 3311); the 200 then repeats no answer to the first one."""

    async def story(world: World) -> None:
        await world.phone(DESK, early(NONE, seconds=5))
        sbc = RawPhone(world.network, SBC, B2BUA, "desk")
        sbc.headers = ["Supported: 100rel"]
        cseq = sbc.invite(offer(SBC))
        progress = await sbc.progress(183)
        moved = offer(SBC, port=4444, direction=Direction.SENDONLY)
        if method == "PRACK":
            number = sbc.prack(progress, moved)
        else:
            await sbc.final("PRACK", sbc.prack(progress))
            number = sbc.update(moved)
        answered = await sbc.final(method, number)
        assert answered.status == 200
        assert direction_of(answered.body) is Direction.RECVONLY
        caller, _ = world.legs()
        assert caller.parameters is not None
        assert caller.parameters.remote == (SBC, 4444)
        final = await sbc.final("INVITE", cseq)
        assert final.body == b""
        sbc.acknowledge(cseq)
        await asyncio.sleep(1)
        # The hold is told to the agent, now that it can be.
        (desk,) = world.phones.values()
        assert desk.reoffers() == [Direction.SENDONLY]
        sbc.bye()
        await world.record()

    play(story, tmp_path)


def test_an_agent_moves_its_audio_before_the_answer(tmp_path: Path) -> None:
    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        session.use(CAN)
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(1)
        moved = offer(phone.host, port=4444)
        phone.do(lambda now: session.request(now, "UPDATE", body=moved, content_type="application/sdp"))
        await asyncio.sleep(2)
        phone.do(lambda now: session.answer(now, body=moved))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, behaviour)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        completed = await desk.until(RequestCompleted)
        assert completed.response is not None
        assert completed.response.status == 200
        _, agent = world.legs()
        assert agent.parameters is not None
        assert agent.parameters.remote == (DESK, 4444)
        await sbc.until(Answered)
        assert agent.parameters.remote == (DESK, 4444)
        assert sbc.reoffers() == []
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path)


@pytest.mark.parametrize("caller", [NONE, CAN, MUST])
@pytest.mark.parametrize("resumes", [False, True])
def test_an_agent_who_holds_before_the_answer(tmp_path: Path, caller: Extensions, resumes: bool) -> None:
    """We answer its UPDATE, and send none of our own: what it wants by the time of its answer is told to the caller,
    and what it took back meanwhile nobody hears of."""
    told = Direction.SENDRECV if resumes else Direction.SENDONLY

    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        session.use(CAN)
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        for direction in [Direction.SENDONLY, *([Direction.SENDRECV] if resumes else [])]:
            await asyncio.sleep(1)
            held = offer(phone.host, direction=direction)
            phone.do(lambda now: session.request(now, "UPDATE", body=held, content_type="application/sdp"))  # noqa: B023
        await asyncio.sleep(1)
        phone.direction = told
        phone.do(lambda now: session.answer(now, body=b""))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, behaviour)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", extensions=caller)
        await sbc.until(Answered)
        await asyncio.sleep(5)
        answers = [e.response for e in desk.events if isinstance(e, RequestCompleted) and e.response]
        assert [direction_of(answer.body) for answer in answers] == (
            [Direction.RECVONLY, Direction.SENDRECV] if resumes else [Direction.RECVONLY]
        )
        assert messages(world, B2BUA, SBC, "UPDATE") == messages(world, B2BUA, DESK, "UPDATE") == []
        last = [*messages(world, B2BUA, SBC, "200 INVITE"), *messages(world, B2BUA, SBC, "INVITE")][-1]
        last = last if last.body else messages(world, B2BUA, SBC, "183 INVITE")[-1]
        assert direction_of(last.body) is told
        assert sbc.reoffers() == ([] if resumes else [told])
        assert desk.reoffers() == []
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path)


def test_an_offer_before_the_answer_that_may_have_got_lost_is_glare(tmp_path: Path) -> None:
    """The agent's 183 was not reliable: whether we have its answer, nobody can know."""

    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(1)
        moved = offer(phone.host, port=4444)
        phone.do(lambda now: session.request(now, "UPDATE", body=moved, content_type="application/sdp"))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, behaviour)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        completed = await desk.until(RequestCompleted)
        assert completed.response is not None
        assert completed.response.status == 491
        sbc.do(lambda now: call.cancel(now))

    play(story, tmp_path)


def test_several_183s_of_one_agent(tmp_path: Path) -> None:
    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        session.use(CAN)
        for status in (183, 182, 183):
            body = offer(phone.host) if status == 183 else b""
            phone.do(lambda now: session.progress(now, status, body=body))  # noqa: B023
        await asyncio.sleep(1)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, behaviour)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", extensions=CAN)
        await sbc.until(Answered)
        assert len(messages(world, B2BUA, DESK, "PRACK")) == 2
        assert len(messages(world, B2BUA, SBC, "183 INVITE")) == 1
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path)


# -- P-Early-Media (RFC 5009) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [True, False])
def test_who_asks_whether_early_media_is_meant_to_be_heard_is_told(tmp_path: Path, asked: bool) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, early(NONE))
        sbc = await world.phone(SBC)
        call = sbc.call("desk", headers=(("P-Early-Media", "supported"),) if asked else ())
        await sbc.until(Answered)
        (invite,) = messages(world, B2BUA, DESK, "INVITE")
        assert invite.headers.get("P-Early-Media") == ("supported" if asked else None)
        (progress,) = messages(world, B2BUA, SBC, "183 INVITE")
        assert progress.headers.get("P-Early-Media") == ("sendrecv" if asked else None)
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path)


@pytest.mark.parametrize("said", ["inactive", "recvonly, gated"])
def test_early_media_that_is_not_meant_to_be_heard_is_ringing(tmp_path: Path, said: str) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, early(NONE, headers=(("P-Early-Media", said),)))
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        told = [event.response.status for event in sbc.events if isinstance(event, Progress)]
        assert 180 in told
        assert 183 not in told
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path)


def test_early_media_that_ends_gives_way_to_our_ringing_tone(tmp_path: Path) -> None:
    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        body = offer(phone.host)
        for said in ("sendrecv", "inactive", "sendonly"):
            headers = (("P-Early-Media", said),)
            phone.do(lambda now: session.progress(now, 183, body=body, headers=headers))  # noqa: B023
            await asyncio.sleep(1)
        phone.do(lambda now: session.answer(now, body=body))

    async def story(world: World) -> None:
        await world.phone(DESK, behaviour)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Progress, count=2)
        await asyncio.sleep(0.5)
        caller, agent = world.legs()
        assert caller.peer is agent
        await asyncio.sleep(1)
        assert caller.source == PromptDouble("ringback")
        await asyncio.sleep(1)
        assert caller.peer is agent
        await sbc.until(Answered)
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path)
