"""A call that comes back to us is bounded by our own count of its passes (482); Max-Forwards is the stack's (483)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sip_stack.events import Answered, Rejected
from sip_stack.message import Request
from tests.support.b2bua_world import B2BUA, DESK, DESTINATIONS, SBC, World, play

AROUND = DESTINATIONS.replace(f"sip:operator@{DESK}", f"sip:desk@{B2BUA}")


def invites(world: World, destination: str) -> list[Request]:
    """The INVITEs that reached a host, in order."""
    return [
        each.message
        for each in world.network.wire.log
        if each.title == "INVITE" and each.destination[0] == destination and isinstance(each.message, Request)
    ]


def test_a_call_that_goes_in_a_circle_is_refused_after_a_few_rounds(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        sbc.call("desk")
        rejected = await sbc.until(Rejected)
        assert rejected.response.status == 482
        passes = [request.headers.get("X-B2BUA-Hops") for request in invites(world, B2BUA)]
        assert passes == [None, "1", "2", "3", "4", "5"]
        record = await world.record(count=6)
        assert {each.outcome.code for each in world.records if each.outcome} == {2060}
        assert record.outcome is not None

    play(story, tmp_path, destinations=AROUND)


def test_rings_together_do_not_multiply_a_loop_without_a_bound(tmp_path: Path) -> None:
    """Two routes back to us double the calls with each round: 2 + 4 + 8 + 16 + 32, and not 2**70."""

    async def story(world: World) -> None:
        sbc = await world.phone(SBC)
        sbc.call("desk")
        assert (await sbc.until(Rejected)).response.status == 482
        assert len(invites(world, B2BUA)) == 63

    both = f"  ring: together\n  route: [sip:desk@{B2BUA}, sip:desk@{B2BUA}:5060]"
    play(story, tmp_path, destinations=AROUND.replace(f"  route: sip:desk@{B2BUA}", both))


@pytest.mark.parametrize(("said", "passed_on"), [("3", "4"), ("x", "1"), ("-1", "1"), ("99999999", "1")])
def test_the_count_goes_on_and_what_is_no_number_begins_anew(
    tmp_path: Path, said: str, passed_on: str
) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", headers=(("X-B2BUA-Hops", said), ("X-Other", "1")))
        await sbc.until(Answered)
        (invite,) = invites(world, DESK)
        assert invite.headers.get_all("X-B2BUA-Hops") == [passed_on]
        assert invite.headers.get("X-Other") == "1"
        assert invite.max_forwards == 69
        sbc.do(lambda now: call.bye(now))

    play(story, tmp_path)


def test_a_configured_header_cannot_reset_the_count(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.phone(DESK)
        sbc = await world.phone(SBC)
        call = sbc.call("desk", headers=(("x-b2bua-hops", "2"),))
        await sbc.until(Answered)
        (invite,) = invites(world, DESK)
        assert invite.headers.get_all("X-B2BUA-Hops") == ["3"]
        sbc.do(lambda now: call.bye(now))

    headers = "  headers: {X-B2BUA-Hops: '0'}\n  route: sip:operator"
    play(story, tmp_path, destinations=DESTINATIONS.replace("  route: sip:operator", headers))
