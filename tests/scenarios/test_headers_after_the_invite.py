"""What of responses, BYE and CANCEL crosses: what is on both pass lists, and why it ended, in numbers.

Nothing else does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from sip_stack.dialog import ServerSession
from sip_stack.events import (
    Answered,
    Cancelled,
    Ended,
    Progress,
    Rejected,
    ReofferCompleted,
    RequestCompleted,
)
from sip_stack.extensions import Extensions
from sip_stack.message import Request, Response
from tests.support.b2bua_world import (
    B2BUA,
    BILLING,
    CONFIGURATION,
    DESK,
    SBC,
    Behaviour,
    Phone,
    World,
    offer,
    play,
    ring,
)
from tests.support.handoff_cast import MAIN as ASSISTED
from tests.support.handoff_cast import talking, with_route

PASSED = (("X-Ticket", "4711"), ("x-lower", "a, b"), ("User-to-User", "414243;encoding=hex"))
AMONG_TRUSTED = (
    ("P-Asserted-Identity", "<sip:+15550002222@pbx.example>"),
    ("History-Info", "<sip:sales@pbx.example>;index=1"),
    ("Privacy", "id"),
)
HIDDEN = (
    ("Subject", "secret-subject"),
    ("Call-Info", "<http://secret.example>"),
    ("Warning", '399 secret.example "secret"'),
    ("X-Twilio-Sid", "secret-sid"),
    ("X-B2BUA-Hops", "99"),
    ("Identity", "secret-signature"),
    ("Remote-Party-ID", "<sip:secret@secret.example>"),
)
ALL = (*PASSED, *AMONG_TRUSTED, *HIDDEN)


def destinations(more: str = "", desk: str = f"sip:operator@{DESK}") -> str:
    return (
        "front-desk:\n  default: true\n  method: invite\n  encryption: udp/rtp\n"
        f"{more}  route: {desk}\n"
        f"billing:\n  method: invite\n  encryption: udp/rtp\n  route: sip:q@{BILLING}\n"
    )


def configuration(trunk: str = "") -> str:
    return CONFIGURATION.replace("    max_calls: 100\n", f"    max_calls: 100\n{trunk}")


def picked(message: Request | Response, names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers of these names that a message has."""
    wanted = {name.lower() for name, _ in names}
    return [(name, value) for name, value in message.headers.items() if name.lower() in wanted]


def sent(world: World, host: str, title: str) -> Request | Response:
    """The only message of that title that the B2BUA sent to `host`."""
    (message,) = [
        each.message
        for each in world.network.wire.log
        if (each.source[0], each.destination[0], each.title) == (B2BUA, host, title)
    ]
    return message


def from_(ended: Ended) -> list[str]:
    """Who is quoted in a BYE."""
    assert isinstance(ended.message, Request)
    return ended.message.headers.get_all("X-From")


def talkative(headers: Sequence[tuple[str, str]] = ALL, *, media: bool = False) -> Behaviour:
    """Ring and answer, with headers in both."""

    async def behaviour(phone: Phone, session: ServerSession, request: Request) -> None:
        ringing = [*headers, ("X-In", "ringing")]
        if media:
            body = offer(phone.host)
            phone.do(lambda now: session.progress(now, 183, headers=ringing, body=body))
        else:
            phone.do(lambda now: session.progress(now, 180, headers=ringing))
        await asyncio.sleep(1)
        answer = [*headers, ("X-In", "answer")]
        phone.do(lambda now: session.answer(now, body=offer(phone.host), headers=answer))

    return behaviour


@pytest.mark.parametrize("media", [False, True])
@pytest.mark.parametrize("reliable", [False, True])
def test_ringing_and_answer_bring_what_both_lists_have(tmp_path: Path, media: bool, reliable: bool) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK, talkative(media=media))
        sbc = await world.phone(SBC)
        use = Extensions(reliable="required" if reliable else "disabled")
        call = sbc.call("desk", extensions=use)
        answered = (await sbc.until(Answered)).response
        (progress,) = [e.response for e in sbc.events if isinstance(e, Progress) and e.response.status > 100]
        assert progress.status == (183 if media else 180)
        assert picked(progress, ALL) == [*PASSED]
        assert progress.headers.get_all("X-In") == ["ringing"]
        assert picked(answered, ALL) == [*PASSED]
        assert answered.headers.get_all("X-In") == ["answer"]
        sbc.do(call.bye)

    play(story, tmp_path, destinations=destinations())


@pytest.mark.parametrize("by", ["caller", "agent"])
def test_bye_brings_what_both_lists_have(tmp_path: Path, by: str) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        headers = [*ALL, ("Reason", 'Q.850;cause=31;text="secret-text", SIP ;cause=200 ;text="secret"')]
        if by == "caller":
            sbc.do(lambda now: call.bye(now, headers))
            ended = await desk.until(Ended)
        else:
            desk.do(lambda now: desk.sessions[0].bye(now, headers))
            ended = await sbc.until(Ended)
        bye = ended.message
        assert isinstance(bye, Request)
        assert picked(bye, ALL) == [*PASSED]
        assert bye.headers.get_all("Reason") == ['Q.850;cause=31;text="normal_hangup"', "SIP;cause=200"]
        assert b"secret" not in bye.encode()

    play(story, tmp_path, destinations=destinations())


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Q.850;cause=0", ['Q.850;cause=16;text="normal_hangup"']),
        ("Q.850;cause=4240", ['Q.850;cause=16;text="normal_hangup"']),
        ("Q.850;cause=x, SIP;cause=99, FOO;cause=1, Q.850", ['Q.850;cause=16;text="normal_hangup"']),
        ('"', ['Q.850;cause=16;text="normal_hangup"']),
        ("q.850;cause=17, Q.850;cause=18", ['Q.850;cause=17;text="normal_hangup"']),
        ("SIP;cause=503", ["SIP;cause=503"]),
        ("", ['Q.850;cause=16;text="normal_hangup"']),
    ],
)
def test_a_reason_crosses_as_a_number_that_is_one(tmp_path: Path, said: str, told: list[str]) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(lambda now: call.bye(now, [("Reason", said)] if said else []))
        message = (await desk.until(Ended)).message
        assert message is not None
        assert message.headers.get_all("Reason") == told

    play(story, tmp_path, destinations=destinations())


@pytest.mark.parametrize(
    ("trunk", "desk", "passes"),
    [
        ("    trusted: true\n", "  trusted: true\n", [*PASSED, *AMONG_TRUSTED]),
        ("    trusted: true\n", "", [*PASSED]),
        ("", "  trusted: true\n", [*PASSED]),
        ("    pass_headers: [X-Ticket]\n", "", [PASSED[0]]),
        ("", "  pass_headers: [X-Ticket]\n", [PASSED[0]]),
        ("    pass_headers: []\n", "", []),
        ("", "  pass_headers: []\n", []),
        ("    pass_headers: [Subject, X-*]\n", "  pass_headers: [Subject]\n", [HIDDEN[0]]),
    ],
)
def test_the_lists_of_trunk_and_destination_hold_both_ways(
    tmp_path: Path, trunk: str, desk: str, passes: list[tuple[str, str]]
) -> None:
    async def story(world: World) -> None:
        phone = await world.phone(DESK, talkative())
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        answered = (await sbc.until(Answered)).response
        assert picked(answered, ALL) == passes
        assert picked(sent(world, SBC, "180 INVITE"), ALL) == passes
        sbc.do(lambda now: call.bye(now, ALL))
        bye = (await phone.until(Ended)).message
        assert bye is not None
        assert picked(bye, ALL) == passes

    play(story, tmp_path, main=configuration(trunk), destinations=destinations(desk))


def test_nothing_passes_in_refusals_reoffers_and_infos(tmp_path: Path) -> None:
    async def refuse_them(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.reject(now, 486, headers=ALL))

    async def story(world: World) -> None:
        await world.phone(BILLING, refuse_them)
        desk = await world.phone(DESK)
        sbc = await world.phone(SBC)
        sbc.call("billing")
        assert picked((await sbc.until(Rejected)).response, ALL) == []
        call = sbc.call("desk")
        await sbc.until(Answered)
        sbc.do(lambda now: call.reoffer(now, offer(SBC).replace(b"sendrecv", b"sendonly"), headers=ALL))
        completed = (await sbc.until(ReofferCompleted)).response
        assert completed is not None
        assert picked(completed, ALL) == []
        key = b"Signal=5\r\nDuration=160\r\n"
        sbc.do(lambda now: call.request(now, "INFO", ALL, key, "application/dtmf-relay"))
        await sbc.until(RequestCompleted)
        await asyncio.sleep(1)
        sbc.do(call.bye)
        await desk.until(Ended)
        after = [
            each.message
            for each in world.network.wire.log
            if each.destination[0] == DESK and each.title in ("INVITE", "INFO", "BYE")
        ]
        assert len(after) == 4
        assert [picked(message, ALL) for message in after[1:]] == [[], [], []]

    play(story, tmp_path, destinations=destinations())


def test_who_left_before_is_not_quoted_when_somebody_else_hangs_up(tmp_path: Path) -> None:
    """The headers of a BYE are those of who ends the call, and not of a human that the caller had before."""

    async def story(world: World) -> None:
        human = await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        human.do(lambda now: human.sessions[0].bye(now, [("X-From", "human")]))
        await world.until(lambda: cast.caller.peer is cast.call.leg("assistant"))
        again = cast.bot.sessions[1]
        cast.bot.do(lambda now: again.bye(now, [("X-From", "assistant")]))
        assert from_(await cast.sbc.until(Ended)) == ["assistant"]

    play(story, tmp_path, main=with_route("after_agent: assistant"))


@pytest.mark.parametrize("hangs_up", ["caller", "human"])
def test_a_human_and_a_caller_who_were_handed_over_quote_each_other(tmp_path: Path, hangs_up: str) -> None:
    async def story(world: World) -> None:
        human = await world.phone(DESK)
        cast = await talking(world)
        handoff = world.hand_off(destination="front-desk")
        await cast.until_awaited()
        cast.agent().hear()
        await cast.until_over(handoff)
        assert from_(await cast.bot.until(Ended)) == []
        if hangs_up == "caller":
            cast.sbc.do(lambda now: cast.session.bye(now, [("X-From", "caller")]))
            assert from_(await human.until(Ended)) == ["caller"]
        else:
            human.do(lambda now: human.sessions[0].bye(now, [("X-From", "human")]))
            assert from_(await cast.sbc.until(Ended)) == ["human"]

    play(story, tmp_path, main=ASSISTED)


def test_who_answers_after_another_has_failed_is_the_one_quoted(tmp_path: Path) -> None:
    async def ring_and_refuse(phone: Phone, session: ServerSession, request: Request) -> None:
        phone.do(lambda now: session.progress(now, 180, headers=[("X-From", "desk")]))
        await asyncio.sleep(1)
        phone.do(lambda now: session.reject(now, 486, headers=[("X-From", "desk, refusing")]))

    async def story(world: World) -> None:
        await world.phone(DESK, ring_and_refuse)
        await world.phone(BILLING, talkative((("X-From", "billing"),)))
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        answered = (await sbc.until(Answered)).response
        assert sent(world, SBC, "180 INVITE").headers.get_all("X-From") == ["desk"]
        assert answered.headers.get_all("X-From") == ["billing"]
        sbc.do(call.bye)

    play(story, tmp_path, destinations=destinations("  fallback: billing\n"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('SIP;cause=200;text="Call completed elsewhere secret"', ["SIP;cause=200"]),
        ("Q.850;cause=26", ['Q.850;cause=26;text="cancel"']),
        ("", []),
    ],
)
def test_why_a_caller_gave_up_reaches_the_phone_that_rings(
    tmp_path: Path, said: str, told: list[str]
) -> None:
    """A phone counts no missed call when it is told that somebody else answered (RFC 3326 section 3.1)."""

    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Progress, count=2)
        sbc.do(lambda now: call.cancel(now, [("Reason", said), *ALL] if said else ALL))
        cancelled = (await desk.until(Cancelled)).request
        assert cancelled.headers.get_all("Reason") == told
        assert picked(cancelled, ALL) == []
        assert b"secret" not in cancelled.encode()

    play(story, tmp_path, destinations=destinations())


def test_phones_that_rang_together_are_told_that_another_answered(tmp_path: Path) -> None:
    both = f"[sip:operator@{DESK}, sip:other@{BILLING}]"

    async def story(world: World) -> None:
        await world.phone(DESK)
        loser = await world.phone(BILLING, ring)
        sbc = await world.phone(SBC)
        call = sbc.call("desk")
        await sbc.until(Answered)
        cancelled = (await loser.until(Cancelled)).request
        assert cancelled.headers.get_all("Reason") == ['SIP;cause=200;text="Call completed elsewhere"']
        sbc.do(call.bye)

    play(story, tmp_path, destinations=destinations("  ring: together\n", both))


def test_a_phone_whose_time_is_up_is_told_so(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        desk = await world.phone(DESK, ring)
        sbc = await world.phone(SBC)
        sbc.call("desk")
        cancelled = (await desk.until(Cancelled)).request
        assert cancelled.headers.get_all("Reason") == ['Q.850;cause=19;text="no-answer"']
        await sbc.until(Rejected)

    play(story, tmp_path, destinations=destinations())
