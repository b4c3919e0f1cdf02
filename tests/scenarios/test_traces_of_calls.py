"""What the trace of a call shows: every leg, in the order of the wire, also of calls that never came to be."""

from __future__ import annotations

from pathlib import Path

from b2bua.call.clock import CallClock
from b2bua.trace import Ladder
from b2bua.trace.ladder import ladder_of
from b2bua.trace.masking import MASK
from sip_stack.dialog import ServerSession
from sip_stack.events import Rejected
from sip_stack.message import Request
from tests.support.b2bua_world import BILLING, DESK, SBC, Phone, World, answer, play, refuse


def ladder(world: World, number: int = 0) -> Ladder:
    traced = world.trace.of_call(world.records[number].call_id)
    assert traced is not None
    return ladder_of(traced, CallClock(0.0))


def story_of(shown: Ladder) -> list[str]:
    """`caller> INVITE` came from the caller, `>agent INVITE` went to the agent."""
    names = [participant.name for participant in shown.participants]
    return [
        f">{names[step.whom]} {step.title}" if step.sent else f"{names[step.whom]}> {step.title}"
        for step in shown.steps
    ]


async def challenge(phone: Phone, session: ServerSession, request: Request) -> None:
    """Ask for credentials, and believe any."""
    if request.headers.get("Authorization") is not None:
        await answer(phone, session, request)
        return
    asked = ("WWW-Authenticate", 'Digest realm="billing", nonce="n", qop="auth"')
    phone.do(lambda now: session.reject(now, 401, headers=[asked]))


def test_a_handoff_is_seen_on_all_three_legs(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        await world.phone(DESK)
        await world.phone(BILLING)
        session = alice.call("desk")
        await world.until(lambda: any(call.answered for call in world.registry.calls.values()))
        handoff = world.hand_off(destination="billing")
        await world.until(lambda: handoff.is_talking)
        alice.do(session.bye)
        await world.record()
        await world.settle()

        shown = ladder(world)
        assert [participant.name for participant in shown.participants] == ["caller", "agent 1", "agent 2"]
        told = story_of(shown)
        assert told[:9] == [
            "caller> INVITE",
            ">caller 100 Trying (INVITE)",
            ">agent 1 INVITE",
            "agent 1> 100 Trying (INVITE)",
            "agent 1> 180 Ringing (INVITE)",
            ">caller 180 Ringing (INVITE)",
            "agent 1> 200 OK (INVITE)",
            ">agent 1 ACK",
            ">caller 200 OK (INVITE)",
        ]
        assert told[-4:].count("caller> BYE") == 1
        assert {">agent 1 BYE", ">agent 2 INVITE", ">agent 2 ACK", ">agent 2 BYE"} <= set(told)
        assert not any(step.again for step in shown.steps)

    play(story, tmp_path)


def test_a_refused_call_has_a_trace_too(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        alice.call("nobody")
        await alice.until(Rejected)
        await world.settle()

        assert story_of(ladder(world)) == [
            "caller> INVITE",
            ">caller 100 Trying (INVITE)",
            ">caller 404 Not Found (INVITE)",
            "caller> ACK",
        ]

    play(story, tmp_path)


def test_a_challenge_is_shown_without_what_answers_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        await world.phone(BILLING, challenge)
        session = alice.call("billing")
        await world.until(lambda: any(call.answered for call in world.registry.calls.values()))
        alice.do(session.bye)
        await world.record()

        shown = ladder(world)
        with_credentials = [step for step in shown.steps if b"Authorization: Digest" in step.data]
        assert [step.title for step in with_credentials][:2] == ["INVITE", "ACK"]
        for step in with_credentials:
            assert b'username="acme"' in step.data
            assert b'response="' + 32 * MASK + b'"' in step.data

    play(story, tmp_path)


def test_calls_of_others_are_not_in_it(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        await world.phone(DESK, refuse(486))
        for number in range(3):
            alice.call("desk")
            await world.record(number + 1)
        await world.settle()

        for number in range(3):
            assert story_of(ladder(world, number)).count("caller> INVITE") == 1
            assert len({step.remote for step in ladder(world, number).steps}) == 2

    play(story, tmp_path)
