"""Whoever takes over an application or an SBC does not get far with our trunks: prefixes and limits of calls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from b2bua.control import ControlError
from b2bua.handoff.begin import place_of
from b2bua.handoff.handoff import HandoffRequest
from sip_stack.dialog import ClientSession
from sip_stack.events import Acknowledged, Answered, Ended, Rejected
from tests.support.attended_transfer import replaces
from tests.support.b2bua_world import BILLING, CONFIGURATION, DESK, SBC, World, play, ring
from tests.support.next_process import Watched

LIMITED = f"""\
front-desk:
  default: true
  method: invite
  encryption: udp/rtp
  route: sip:operator@{DESK}
  LIMIT
billing:
  method: invite
  encryption: udp/rtp
  route: sip:queue-1@{BILLING}
"""


async def answered(world: World, name: str) -> ClientSession:
    """A call that was answered."""
    sbc = world.phones[SBC]
    known = len([event for event in sbc.events if isinstance(event, Answered)])
    session = sbc.call(name)
    await sbc.until(Answered, count=known + 1)
    return session


async def refused(world: World, name: str) -> tuple[int, str]:
    """The status of a call that is not put through, and its cause."""
    sbc = world.phones[SBC]
    known = len([event for event in sbc.events if isinstance(event, Rejected)])
    records = len(world.records)
    sbc.call(name)
    rejected = await sbc.until(Rejected, count=known + 1)
    record = await world.record(records + 1)
    assert record.outcome is not None
    return rejected.response.status, record.outcome.name


def hang_up(world: World, *sessions: ClientSession) -> None:
    for session in sessions:
        world.phones[SBC].do(session.bye)


def test_a_destination_has_so_many_calls_at_once_and_others_are_not_affected(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for host in (SBC, DESK, BILLING):
            await world.phone(host)
        first, second = await answered(world, "desk"), await answered(world, "desk")
        assert await refused(world, "desk") == (480, "destination_limit")
        other = await answered(world, "billing")
        hang_up(world, first)
        await asyncio.sleep(1)
        again = await answered(world, "desk")
        hang_up(world, second, other, again)
        await world.record(5)

    play(story, tmp_path, destinations=LIMITED.replace("LIMIT", "max_calls: 2"))


def test_who_rings_counts_and_who_gave_up_does_not(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        await world.phone(DESK, ring)
        calling = sbc.call("desk")
        await asyncio.sleep(1)
        assert await refused(world, "desk") == (480, "destination_limit")
        sbc.do(calling.cancel)
        await world.record(2)
        assert world.registry.services.outgoing.admit("front-desk", 0.0, at_once=1, per_hour=None) is None

    play(story, tmp_path, destinations=LIMITED.replace("LIMIT", "max_calls: 1"))


def test_a_destination_has_so_many_calls_in_any_hour(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for host in (SBC, DESK):
            await world.phone(host)
        for _ in range(3):
            hang_up(world, await answered(world, "desk"))
            await asyncio.sleep(600)
        assert await refused(world, "desk") == (480, "destination_hourly_limit")
        await asyncio.sleep(1800)
        hang_up(world, await answered(world, "desk"))
        await asyncio.sleep(1)
        assert await refused(world, "desk") == (480, "destination_hourly_limit"), (
            "the second and third still count"
        )
        await world.record(6)

    play(story, tmp_path, destinations=LIMITED.replace("LIMIT", "max_calls_per_hour: 3"))


POLICY = """\
policy:
  allow: ["tel:*", "sip:*@gw.example.com", "sip:*@198.51.100.2"]
  allow_prefixes: ["+1", "+49"]
  deny_prefixes: ["+1900", "+1 (976)"]
"""


def request(uri: str) -> HandoffRequest:
    return HandoffRequest(route=(uri,), encryption="udp/rtp")


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        ("sip:+15551230000@gw.example.com", True),
        ("sip:+1-555-123-0000@gw.example.com", True),
        ("sip:00495551230000@gw.example.com", True),
        ("sip:+4912345@gw.example.com", True),
        ("sip:+19005551234@gw.example.com", False),
        ("sip:%2B19005551234@gw.example.com", False),
        ("sip:+1(900)5551234@gw.example.com", False),
        ("sip:0019005551234@gw.example.com", False),
        ("sip:+19765551234@gw.example.com", False),
        ("sip:+19005551234;ext=1@gw.example.com", False),
        ("sip:+442071234567@gw.example.com", False),
        ("sip:2071234567@gw.example.com", False),
        ("sip:operator@gw.example.com", True),
        ("sip:+1555" + "0" * 100 + "@gw.example.com", True),
        ("sip:+1900555" + "0" * 100 + "@gw.example.com", False),
        ("sip:+1/900/555-1234@gw.example.com", False),
        ("sip:+19005551234p1@gw.example.com", False),
        ("sip:0019005551234,1@gw.example.com", False),
        ("sip:5551234;phone-context=+1900@gw.example.com", False),
        ("sip:5551234;Phone-Context=%2B1555@gw.example.com", True),
        ("sip:+15551230000;rn=+1900-555-1234;npdi@gw.example.com", False),
        ("sip:4you@gw.example.com", True),
    ],
)
def test_numbers_from_outside_pass_by_their_prefix(tmp_path: Path, uri: str, allowed: bool) -> None:
    async def story(world: World) -> None:
        if allowed:
            assert place_of(world.configuration, request(uri)).route == (uri,)
        else:
            with pytest.raises(ControlError) as raised:
                place_of(world.configuration, request(uri))
            assert (raised.value.status, raised.value.code) == (400, "policy_refused")

    play(story, tmp_path, main=CONFIGURATION + POLICY)


async def handed_off(world: World) -> str:
    """A call whose caller is handed to a URI from outside and hangs up then; how the attempt went."""
    records = len(world.records)
    session = await answered(world, "desk")
    handoff = world.hand_off(route=(f"sip:queue-1@{BILLING}",), encryption="udp/rtp")
    await world.until(lambda: any(each.answered or each.ended for each in handoff.attempts))
    outcome = handoff.attempts[0].outcome
    hang_up(world, session)
    await world.record(records + 1)
    return "connected" if outcome is None else outcome.name


def test_uris_from_outside_have_a_limit_of_their_own_all_together(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        services, policy = world.registry.services, world.configuration.policy
        assert (policy.max_calls, policy.max_calls_per_hour) == (1, 2)
        for host in (SBC, DESK, BILLING):
            await world.phone(host)
        for expected in ("connected", "connected", "destination_hourly_limit"):
            assert await handed_off(world) == expected
        assert services.outgoing.admit("", services.now(), at_once=1, per_hour=None) is None

    limits = "  max_calls: 1\n  max_calls_per_hour: 2\n"
    play(story, tmp_path, main=CONFIGURATION + POLICY + limits)


def test_who_came_in_place_of_a_human_is_no_call_of_ours_in_the_next_process_either(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        def refusal() -> str | None:
            return world.registry.services.outgoing.admit("front-desk", 0.0, at_once=1, per_hour=None)

        world.media.outlives = True
        watched = Watched(world)
        sbc, desk = await world.phone(SBC), await world.phone(DESK)
        session = await answered(world, "desk")
        await desk.until(Acknowledged)
        await watched.kill_and_restart()
        assert refusal() == "destination_full"
        ours = desk.sessions[0]
        replaced = replaces(ours)
        desk.call("anybody", headers=(("Replaces", replaced), ("Require", "replaces")))
        await desk.until(Ended)
        assert refusal() is None
        await watched.kill_and_restart()
        assert refusal() is None
        sbc.do(session.bye)
        await world.record()
        assert refusal() is None
        await watched.close()

    play(story, tmp_path, destinations=LIMITED.replace("LIMIT", "max_calls: 1"))
