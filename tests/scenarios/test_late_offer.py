"""INVITE and re-INVITE without an offer: ours is in the 200, the answer in the ACK (RFC 3261 sections 13.2.1, 14)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.events import Acknowledged, Ended
from sip_stack.message import Request, Response
from sip_stack.sdp import Direction
from tests.support.b2bua_world import B2BUA, DESK, SBC, Phone, World, direction_of, offer, play
from tests.support.fake_network import Wire
from tests.support.raw_phone import RawPhone

SENDRECV, SENDONLY = Direction.SENDRECV, Direction.SENDONLY


def a_caller(world: World) -> RawPhone:
    return RawPhone(world.network, SBC, B2BUA, "desk")


async def talking(world: World) -> tuple[RawPhone, Phone]:
    """A call that began without an offer, and is up."""
    desk = await world.phone(DESK)
    sbc = a_caller(world)
    cseq = sbc.invite()
    await sbc.final("INVITE", cseq)
    sbc.acknowledge(cseq, offer(SBC))
    await asyncio.sleep(0.5)
    return sbc, desk


def test_the_offer_is_in_the_200_and_the_answer_in_the_ack(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = a_caller(world)
        cseq = sbc.invite()
        answered = await sbc.final("INVITE", cseq)
        invite = desk.invites()[0]
        assert direction_of(invite.body) is SENDRECV, "the agent is offered what we have"
        assert b" RTP/AVP 0 8 101\r\n" in answered.body
        caller, agent = world.legs()
        assert [leg.parameters for leg in (caller,)] == [None]
        assert caller.peer is agent
        sbc.acknowledge(cseq, offer(SBC, payload="8 101"))
        await asyncio.sleep(0.5)
        assert caller.parameters is not None
        assert caller.parameters.remote == (SBC, 4000)
        assert str(caller.parameters.codec) == "PCMA"
        sbc.bye()
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"

    play(story, tmp_path)


def test_early_media_is_ringing_for_a_caller_that_offered_nothing(tmp_path: Path) -> None:
    """Our offer cannot be in an unreliable 183 (RFC 3261 section 13.2.1)."""

    async def early(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(2)
        phone.do(lambda now: session.answer(now, body=offer(phone.host)))

    async def story(world: World) -> None:
        await world.phone(DESK, early)
        sbc = a_caller(world)
        cseq = sbc.invite()
        await sbc.final("INVITE", cseq)
        provisional = [each for each in sbc.heard if isinstance(each, Response) and each.status < 200]
        assert [(each.status, each.body) for each in provisional] == [(100, b""), (180, b"")]
        sbc.acknowledge(cseq, offer(SBC))
        await asyncio.sleep(0.5)
        sbc.bye()

    play(story, tmp_path)


@pytest.mark.parametrize(
    "answer",
    [b"", b"v=0\r\n", offer(SBC, payload="18"), offer(SBC, port=0)],
    ids=["missing", "malformed", "no-common-codec", "audio-refused"],
)
def test_without_a_good_answer_in_the_ack_the_call_ends(tmp_path: Path, answer: bytes) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = a_caller(world)
        cseq = sbc.invite()
        await sbc.final("INVITE", cseq)
        sbc.acknowledge(cseq, answer)
        bye = await sbc.request("BYE")
        assert bye.headers.get("Reason") == 'Q.850;cause=88;text="media_not_acceptable"'
        assert (await desk.until(Ended)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert (record.outcome.name, record.outcome.code, record.outcome.source) == (
            "media_not_acceptable",
            11030,
            "caller",
        )

    play(story, tmp_path)


def test_a_second_ack_is_not_a_second_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = a_caller(world)
        cseq = sbc.invite()
        await sbc.final("INVITE", cseq)
        for port in (4000, 4444, 4446):
            sbc.acknowledge(cseq, offer(SBC, port=port))
        await asyncio.sleep(0.5)
        caller, _ = world.legs()
        assert [each.remote for each in caller.agreed] == [(SBC, 4000)]
        sbc.bye()
        await desk.until(Ended)

    play(story, tmp_path)


def test_a_hold_of_the_agent_waits_for_the_answer_in_the_ack(tmp_path: Path) -> None:
    """No offer of ours while one is open: the caller is told once the ACK is there."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = a_caller(world)
        cseq = sbc.invite()
        await sbc.final("INVITE", cseq)
        await desk.until(Acknowledged)
        desk.reoffer(desk.sessions[0], SENDONLY)
        await asyncio.sleep(0.3)
        assert not any(isinstance(each, Request) for each in sbc.heard)
        sbc.acknowledge(cseq, offer(SBC))
        reinvite = await sbc.request("INVITE", patience=1)
        assert direction_of(reinvite.body) is SENDONLY
        sbc.bye()

    play(story, tmp_path)


def test_a_reinvite_of_the_caller_crosses_the_offer_in_our_200(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = a_caller(world)
        first = sbc.invite()
        await sbc.final("INVITE", first)
        second = sbc.invite(offer(SBC, direction=SENDONLY))
        assert (await sbc.final("INVITE", second)).status == 491
        sbc.acknowledge(first, offer(SBC))
        await asyncio.sleep(0.5)
        sbc.bye()

    play(story, tmp_path)


def test_a_reinvite_without_an_offer_is_offered_what_is_in_force(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, desk = await talking(world)
        cseq = sbc.invite()
        answered = await sbc.final("INVITE", cseq)
        assert answered.status == 200
        assert direction_of(answered.body) is SENDRECV
        caller, _ = world.legs()
        before = list(caller.agreed)
        sbc.acknowledge(cseq, offer(SBC, port=4444))
        await asyncio.sleep(0.5)
        assert caller.agreed[: len(before)] == before
        assert caller.agreed[-1].remote == (SBC, 4444)
        assert desk.reoffers() == []
        sbc.bye()

    play(story, tmp_path)


def test_hold_and_resume_by_reinvites_without_an_offer(tmp_path: Path) -> None:
    """As Cisco's call managers do: the hold is in the ACK, and our offer must let them resume."""

    async def story(world: World) -> None:
        sbc, desk = await talking(world)
        for direction in (Direction.INACTIVE, SENDRECV):
            cseq = sbc.invite()
            answered = await sbc.final("INVITE", cseq)
            assert direction_of(answered.body) is SENDRECV
            sbc.acknowledge(cseq, offer(SBC, direction=direction))
            await asyncio.sleep(1)
        assert desk.reoffers() == [Direction.INACTIVE, SENDRECV]
        sbc.bye()

    play(story, tmp_path)


def test_the_ack_of_another_reinvite_is_not_taken_for_the_answer(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, _ = await talking(world)
        with_offer = sbc.invite(offer(SBC))
        await sbc.final("INVITE", with_offer)
        without = sbc.invite()
        await sbc.final("INVITE", without)
        sbc.acknowledge(with_offer)
        sbc.acknowledge(without, offer(SBC, port=4444))
        await asyncio.sleep(0.5)
        caller, _agent = world.legs()
        assert caller.parameters is not None
        assert caller.parameters.remote == (SBC, 4444)
        sbc.bye()

    play(story, tmp_path)


@pytest.mark.parametrize("answer", [b"", offer(SBC, payload="18")], ids=["missing", "no-common-codec"])
def test_a_reinvite_without_a_good_answer_leaves_the_call_as_it_was(tmp_path: Path, answer: bytes) -> None:
    async def story(world: World) -> None:
        sbc, _ = await talking(world)
        caller, _agent = world.legs()
        before = caller.parameters
        cseq = sbc.invite()
        await sbc.final("INVITE", cseq)
        sbc.acknowledge(cseq, answer)
        await asyncio.sleep(1)
        assert caller.parameters == before
        again = sbc.invite(offer(SBC, port=4444))
        assert (await sbc.final("INVITE", again)).status == 200
        sbc.acknowledge(again)
        await asyncio.sleep(0.5)
        assert caller.parameters is not None
        assert caller.parameters.remote == (SBC, 4444)
        sbc.bye()

    play(story, tmp_path)


def test_a_caller_that_never_sends_the_ack_is_hung_up_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = a_caller(world)
        cseq = sbc.invite()
        await sbc.final("INVITE", cseq)
        await sbc.request("BYE")
        await desk.until(Ended)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "not_acknowledged"

    play(story, tmp_path)


@pytest.mark.parametrize("seed", range(8))
def test_a_late_offer_over_a_network_that_doubles_and_delays(tmp_path: Path, seed: int) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = a_caller(world)
        cseq = sbc.invite()
        await sbc.final("INVITE", cseq)
        sbc.acknowledge(cseq, offer(SBC))
        await asyncio.sleep(2)
        caller, _ = world.legs()
        assert [each.remote for each in caller.agreed] == [(SBC, 4000)]
        sbc.bye()
        await world.record()

    play(story, tmp_path, wire=Wire(seed=seed, duplicate=0.5, delay=0.01, jitter=0.2))
