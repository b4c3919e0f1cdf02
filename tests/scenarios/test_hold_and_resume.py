"""Hold and resume by either side, in every spelling: the other phone knows, the audio follows, the call goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.events import (
    Acknowledged,
    Answered,
    Ended,
    Progress,
    Rejected,
    ReofferCompleted,
    ReofferReceived,
    RequestCompleted,
)
from sip_stack.message import Request
from sip_stack.sdp import Direction
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    CONFIGURATION,
    DESK,
    SBC,
    Phone,
    World,
    direction_of,
    follow,
    offer,
    play,
    refuse_reoffer,
)
from tests.support.fake_network import Wire

SENDRECV, SENDONLY, RECVONLY, INACTIVE = (
    Direction.SENDRECV,
    Direction.SENDONLY,
    Direction.RECVONLY,
    Direction.INACTIVE,
)


async def talking(
    world: World, user: str = "desk", host: str = DESK
) -> tuple[Phone, ClientSession, Phone, ServerSession]:
    """A call that both sides know to be up: the caller's phone and session, the agent's."""
    desk = await world.phone(host)
    sbc = await world.phone(SBC)
    call = sbc.call(user)
    await sbc.until(Answered)
    await desk.until(Acknowledged)
    await asyncio.sleep(0.5)
    return sbc, call, desk, desk.sessions[-1]


def flows(world: World) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
    """(send, receive) of the caller's leg and of the agent's, as the media engine has them."""
    caller, agent = (leg.parameters for leg in world.legs())
    assert caller is not None
    assert agent is not None
    return (caller.send, caller.receive), (agent.send, agent.receive)


@pytest.mark.parametrize("holder", ["caller", "agent"])
def test_hold_and_resume_are_told_to_the_other_phone(tmp_path: Path, holder: str) -> None:
    async def story(world: World) -> None:
        sbc, call, desk, answered = await talking(world)
        phone, session, other = (sbc, call, desk) if holder == "caller" else (desk, answered, sbc)
        phone.reoffer(session, SENDONLY)
        completed = await phone.until(ReofferCompleted)
        assert completed.response is not None
        assert direction_of(completed.response.body) is RECVONLY
        await asyncio.sleep(1)
        assert other.reoffers() == [SENDONLY]
        held = ((False, True), (True, False))
        assert flows(world) == (held if holder == "caller" else held[::-1])
        assert [leg.timeout for leg in world.legs()] == [None, None]

        phone.reoffer(session, SENDRECV)
        completed = await phone.until(ReofferCompleted, count=2)
        assert completed.response is not None
        assert direction_of(completed.response.body) is SENDRECV
        await asyncio.sleep(1)
        assert other.reoffers() == [SENDONLY, SENDRECV]
        assert flows(world) == ((True, True), (True, True))
        assert [leg.timeout for leg in world.legs()] == [60.0, 60.0]
        sbc.do(call.bye)
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"

    play(story, tmp_path)


HOLDS = {
    "sendonly": (offer(SBC, direction=SENDONLY), SENDONLY, RECVONLY),
    "recvonly": (offer(SBC, direction=RECVONLY), RECVONLY, SENDONLY),
    "inactive": (offer(SBC, direction=INACTIVE), INACTIVE, INACTIVE),
    "zero-address": (
        offer(SBC).replace(b"c=IN IP4 " + SBC.encode(), b"c=IN IP4 0.0.0.0"),
        SENDONLY,
        RECVONLY,
    ),
    "session-level": (
        offer(SBC).replace(b"a=sendrecv\r\n", b"").replace(b"t=0 0", b"t=0 0\r\na=sendonly"),
        SENDONLY,
        RECVONLY,
    ),
}


@pytest.mark.parametrize("spelling", HOLDS)
def test_every_spelling_of_hold_crosses_in_ours(tmp_path: Path, spelling: str) -> None:
    body, told, answered = HOLDS[spelling]

    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        sbc.do(lambda now: call.reoffer(now, body))
        completed = await sbc.until(ReofferCompleted)
        assert completed.response is not None
        assert direction_of(completed.response.body) is answered
        await asyncio.sleep(1)
        assert desk.reoffers() == [told]
        (reinvite,) = [event.request for event in desk.events if isinstance(event, ReofferReceived)]
        assert b"0.0.0.0" not in reinvite.body
        assert SBC.encode() not in reinvite.body, "the other side's description never shows"
        sbc.reoffer(call, SENDRECV)
        await asyncio.sleep(1)
        assert desk.reoffers() == [told, SENDRECV]
        assert flows(world) == ((True, True), (True, True))
        sbc.do(call.bye)

    play(story, tmp_path)


def test_hold_by_port_zero_and_back(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        sbc.do(lambda now: call.reoffer(now, offer(SBC, port=0)))
        completed = await sbc.until(ReofferCompleted)
        assert completed.response is not None
        assert b"m=audio 0 " in completed.response.body
        await asyncio.sleep(1)
        assert desk.reoffers() == [INACTIVE]
        caller, _ = world.legs()
        assert caller.parameters is not None
        assert caller.parameters.remote is None
        sbc.reoffer(call, SENDRECV)
        await asyncio.sleep(1)
        assert desk.reoffers() == [INACTIVE, SENDRECV]
        assert flows(world) == ((True, True), (True, True))
        sbc.do(call.bye)

    play(story, tmp_path)


def test_both_hold_and_each_resumes_alone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk, answered = await talking(world)
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(1)
        desk.reoffer(answered, INACTIVE)
        await asyncio.sleep(1)
        assert flows(world)[1] == (False, False)
        sbc.reoffer(call, SENDRECV)
        await asyncio.sleep(1)
        assert [leg.timeout for leg in world.legs()] == [None, None], "one still holds"
        desk.reoffer(answered, SENDRECV)
        await asyncio.sleep(1)
        assert flows(world) == ((True, True), (True, True))
        assert [leg.timeout for leg in world.legs()] == [60.0, 60.0]
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_new_address_or_codec_of_one_side_is_no_business_of_the_other(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        for body in (offer(SBC, port=4444), offer(SBC, port=4444, payload="8 101"), offer(SBC, port=4444)):
            sbc.do(lambda now, body=body: call.reoffer(now, body))  # type: ignore[misc]
            await asyncio.sleep(1)
        caller, agent = world.legs()
        assert [str(each.codec) for each in caller.agreed[-2:]] == ["PCMU", "PCMA"]
        assert caller.parameters is not None
        assert caller.parameters.remote == (SBC, 4444)
        assert len(agent.agreed) == 1
        assert desk.reoffers() == []
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_codec_that_nobody_can_transcode_is_refused_and_both_sides_stay(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        before = flows(world)
        sbc.do(lambda now: call.reoffer(now, offer(SBC, payload="9 18", direction=SENDONLY)))
        completed = await sbc.until(ReofferCompleted)
        assert completed.response is not None
        assert completed.response.status == 488
        assert completed.response.headers.get("Warning") == '305 b2bua "No codec in common"'
        await asyncio.sleep(1)
        assert flows(world) == before
        assert desk.reoffers() == [], "the hold that came with it is refused with it"
        sbc.do(call.bye)

    play(story, tmp_path)


@pytest.mark.parametrize("status", [488, 500, 403, 415, 603])
def test_a_phone_that_refuses_to_be_held_stays_as_it_was_and_the_call_goes_on(
    tmp_path: Path, status: int
) -> None:
    async def story(world: World) -> None:
        sbc, call, desk, answered = await talking(world)
        desk.on_reoffer = refuse_reoffer(status)
        agreed = world.legs()[1].parameters
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(5)
        assert len(desk.reoffers()) == 1, "refused once, not asked again"
        assert world.legs()[1].parameters == agreed
        assert flows(world)[0] == (False, True), "whatever the agent says, the caller holds"
        sbc.reoffer(call, SENDRECV)
        await asyncio.sleep(1)
        assert len(desk.reoffers()) == 1, "it never knew of the hold"
        desk.on_reoffer = follow
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(1)
        assert len(desk.reoffers()) == 2, "a new hold is a new try"
        assert flows(world) == ((False, True), (True, False))
        desk.do(answered.bye)
        await sbc.until(Ended)

    play(story, tmp_path)


def test_an_answer_to_our_reinvite_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    async def wrong(phone: Phone, event: ReofferReceived) -> None:
        body = offer(phone.host, payload="18")
        phone.do(lambda now: event.session.answer_reoffer(now, event.transaction, body))

    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        agreed = world.legs()[1].parameters
        desk.on_reoffer = wrong
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(2)
        assert world.legs()[1].parameters == agreed
        assert world.registry.calls
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_reinvite_of_ours_is_challenged(tmp_path: Path) -> None:
    """The agent's side asks for credentials in mid-call too; those of the destination answer it."""
    challenge = ("Proxy-Authenticate", 'Digest realm="billing", nonce="n1", qop="auth"')

    async def challenging(phone: Phone, event: ReofferReceived) -> None:
        if event.request.headers.get("Proxy-Authorization") is None:
            await refuse_reoffer(407, challenge)(phone, event)
        else:
            await follow(phone, event)

    async def story(world: World) -> None:
        sbc, call, billing, _ = await talking(world, "billing", BILLING)
        billing.on_reoffer = challenging
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(1)
        assert billing.reoffers() == [SENDONLY, SENDONLY]
        assert flows(world) == ((False, True), (True, False))
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_challenge_nobody_can_answer_is_a_refusal(tmp_path: Path) -> None:
    challenge = ("WWW-Authenticate", 'Digest realm="desk", nonce="n1", qop="auth"')

    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        desk.on_reoffer = refuse_reoffer(401, challenge)
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(2)
        assert desk.reoffers() == [SENDONLY]
        assert world.registry.calls
        sbc.do(call.bye)

    play(story, tmp_path)


@pytest.mark.parametrize("known", [True, False], ids=["trunk-with-credentials", "trunk-without"])
def test_the_caller_s_side_challenges_our_reinvite(tmp_path: Path, known: bool) -> None:
    """Answered with what we call that trunk with, never with the destination's."""
    challenge = ("Proxy-Authenticate", 'Digest realm="acme", nonce="n1", qop="auth"')
    outbound = f"    outbound: {{uri: 'sip:{SBC}', auth: {{username: us, password: to-acme}}}}\n"

    async def challenging(phone: Phone, event: ReofferReceived) -> None:
        credentials = event.request.headers.get("Proxy-Authorization")
        if credentials is None:
            await refuse_reoffer(407, challenge)(phone, event)
        else:
            assert 'username="us"' in credentials
            await follow(phone, event)

    async def story(world: World) -> None:
        sbc, call, billing, answered = await talking(world, "billing", BILLING)
        sbc.on_reoffer = challenging
        billing.reoffer(answered, SENDONLY)
        await asyncio.sleep(2)
        assert sbc.reoffers() == [SENDONLY] * (2 if known else 1)
        assert flows(world)[0] == ((True, False) if known else (True, True))
        sbc.do(call.bye)

    main = CONFIGURATION.replace("    max_calls: 100\n", "    max_calls: 100\n" + outbound * known)
    play(story, tmp_path, main=main)


def test_a_call_that_is_held_from_the_start(tmp_path: Path) -> None:
    """The agent answers with sendonly: the caller's answer says so at once, without a re-INVITE."""

    async def holding(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.answer(now, body=offer(phone.host, direction=SENDONLY)))

    async def story(world: World) -> None:
        desk = await world.phone(DESK, holding)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        answered = await sbc.until(Answered)
        assert direction_of(answered.response.body) is SENDONLY
        await asyncio.sleep(1)
        assert sbc.reoffers() == desk.reoffers() == []
        assert [leg.timeout for leg in world.legs()] == [None, None]
        desk.reoffer(desk.sessions[0], SENDRECV)
        await asyncio.sleep(1)
        assert sbc.reoffers() == [SENDRECV]
        assert flows(world) == ((True, True), (True, True))
        sbc.do(call.bye)

    play(story, tmp_path)


def test_hold_after_early_media_is_told_by_a_reinvite(tmp_path: Path) -> None:
    """What the 183 said cannot be changed by the 200 (RFC 3261 section 13.2.1)."""

    async def early(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 183, body=offer(phone.host)))
        await asyncio.sleep(2)
        phone.do(lambda now: session.answer(now, body=offer(phone.host, direction=INACTIVE)))

    async def story(world: World) -> None:
        await world.phone(DESK, early)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        progress = await sbc.until(Progress, count=2)
        answered = await sbc.until(Answered)
        assert answered.response.body == progress.response.body
        await asyncio.sleep(1)
        assert sbc.reoffers() == [INACTIVE]
        assert [leg.timeout for leg in world.legs()] == [None, None]
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_caller_that_holds_from_the_start_is_offered_on_as_such(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.direction = INACTIVE
        call = sbc.call("desk", body=offer(SBC, direction=INACTIVE))
        await sbc.until(Answered)
        assert direction_of(desk.invites()[0].body) is INACTIVE
        await desk.until(Acknowledged)
        sbc.reoffer(call, SENDRECV)
        await asyncio.sleep(1)
        assert desk.reoffers() == [SENDRECV]
        assert flows(world) == ((True, True), (True, True))
        sbc.do(call.bye)

    play(story, tmp_path)


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_an_offer_before_the_answer_is_refused_and_the_call_goes_on(tmp_path: Path, method: str) -> None:
    """RFC 3311 section 5.2: without reliable responses nobody may change what is not agreed on yet."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Progress, count=2)
        early = desk.sessions[0]
        held = offer(DESK, direction=SENDONLY)
        desk.do(lambda now: early.request(now, method, body=held, content_type="application/sdp"))
        await asyncio.sleep(0.2)
        assert f"491 {method}" in world.network.titles([(B2BUA, 5060)])
        await sbc.until(Answered)
        assert flows(world) == ((True, True), (True, True))
        sbc.do(call.bye)

    play(story, tmp_path)


def test_hold_by_update(tmp_path: Path) -> None:
    """RFC 3311: answered in its 200, no ACK; the other side is told by a re-INVITE, which every phone knows."""

    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        held = offer(SBC, direction=SENDONLY)
        sbc.do(lambda now: call.request(now, "UPDATE", body=held, content_type="application/sdp"))
        completed = await sbc.until(RequestCompleted)
        assert completed.response is not None
        assert direction_of(completed.response.body) is RECVONLY
        await asyncio.sleep(1)
        assert desk.reoffers() == [SENDONLY]
        sbc.do(lambda now: call.request(now, "UPDATE", body=b"<x/>", content_type="application/xml"))
        refused = await sbc.until(RequestCompleted, count=2)
        assert refused.response is not None
        assert refused.response.status == 415
        sbc.do(call.bye)

    play(story, tmp_path)


def test_a_phone_that_is_gone_ends_the_call_when_it_is_told_of_a_hold(tmp_path: Path) -> None:
    """RFC 3261 section 12.2.1.2: a 481 to our re-INVITE says that there is nobody to talk to."""

    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        desk.on_reoffer = refuse_reoffer(481)
        sbc.reoffer(call, SENDONLY)
        await sbc.until(Ended)
        desk.do(desk.sessions[0].bye)

    play(story, tmp_path)


def test_hang_up_while_the_other_side_is_being_told(tmp_path: Path) -> None:
    async def silent(phone: Phone, event: ReofferReceived) -> None:
        """Thinks about it for ever."""

    async def story(world: World) -> None:
        sbc, call, desk, _ = await talking(world)
        desk.on_reoffer = silent
        sbc.reoffer(call, SENDONLY)
        await asyncio.sleep(1)
        sbc.do(call.bye)
        assert (await desk.until(Ended)).by == "remote"
        record = await world.record()
        assert record.outcome is not None
        assert record.outcome.name == "normal_hangup"

    play(story, tmp_path)


@pytest.mark.parametrize("seed", range(16))
def test_hold_and_resume_over_a_bad_network(tmp_path: Path, seed: int) -> None:
    """One datagram in ten lost, doubled or late: after the last word of both, both legs and phones agree."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        answered = asyncio.ensure_future(sbc.until(Answered, patience=200))
        refused = asyncio.ensure_future(sbc.until(Rejected, patience=200))
        await asyncio.wait([answered, refused], return_when=asyncio.FIRST_COMPLETED)
        for task in (answered, refused):
            task.cancel()
        await asyncio.gather(answered, refused, return_exceptions=True)
        if not answered.cancelled():
            await asyncio.sleep(10)
            for direction in (SENDONLY, SENDRECV, INACTIVE, SENDRECV):
                if call.state == "confirmed" and world.registry.calls:
                    sbc.reoffer(call, direction)
                    # Our own timers: a re-INVITE takes up to 32 s, and so does the one it causes.
                    await asyncio.sleep(70)
            if world.registry.calls:
                assert flows(world) == ((True, True), (True, True))
                assert desk.direction is SENDRECV
            sbc.do(call.bye)
        await world.record()

    play(story, tmp_path, wire=Wire(seed=seed, loss=0.1, duplicate=0.1, delay=0.01, jitter=0.05))
