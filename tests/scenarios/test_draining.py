"""The end of a process: no new calls, the running ones go on for a while, and whoever is left is told why they end."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sip_stack.dialog import ServerSession, SessionState
from sip_stack.events import Cancelled, Ended, OutOfDialogCompleted, Progress, Rejected
from sip_stack.message import NameAddr, Response
from sip_stack.transport import Target
from tests.support.b2bua_world import B2BUA, DESK, SBC, Phone, World, play, ring


def ping(phone: Phone) -> None:
    phone.stack.endpoint.request(
        phone.now,
        flow=phone.stack.flow_to(Target("udp", B2BUA, 5060)),
        method="OPTIONS",
        uri=f"sip:{B2BUA}",
        from_=NameAddr("", f"sip:{phone.host}"),
        to=NameAddr("", f"sip:{B2BUA}"),
    )
    phone.stack.flush()


async def ponged(phone: Phone, count: int) -> Response:
    response = (await phone.until(OutOfDialogCompleted, count=count)).response
    assert response is not None
    return response


async def answered(world: World, phone: Phone, desk: Phone) -> ServerSession:
    """A call from `phone` that `desk` has answered."""
    phone.call("desk")
    await world.until(lambda: any(call.answered for call in world.registry.calls.values()))
    return desk.sessions[-1]


def test_new_calls_and_pings_are_refused_and_the_running_call_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        desk = await world.phone(DESK)
        session = await answered(world, alice, desk)
        ping(alice)
        assert (await ponged(alice, 1)).status == 200

        drain = asyncio.create_task(world.registry.drain(60))
        await asyncio.sleep(1)
        ping(alice)
        pong = await ponged(alice, 2)
        alice.call("desk")
        refused = (await alice.until(Rejected)).response

        # Pitfall 52: OPTIONS is answered 503 while draining, so that others stop sending calls.
        assert (pong.status, refused.status) == (503, 503)
        assert None not in (pong.headers.get("Retry-After"), refused.headers.get("Retry-After"))
        record = await world.record()
        assert (record.outcome and record.outcome.name) == "draining"
        assert len(desk.invites()) == 1
        await asyncio.sleep(30)
        assert session.state is SessionState.CONFIRMED
        desk.do(session.bye)
        began = world.stack.now()
        await drain
        assert world.stack.now() - began < 1  # it does not wait for its deadline when nobody is left
        last = await world.record(2)
        assert (last.outcome and last.outcome.code) == 4000

    play(story, tmp_path)


def test_at_the_deadline_both_sides_are_told_why_the_call_ends(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        desk = await world.phone(DESK)
        await answered(world, alice, desk)
        began = world.stack.now()

        await world.registry.drain(60)

        assert 60 <= world.stack.now() - began < 61
        for phone in (alice, desk):
            bye = (await phone.until(Ended)).message
            assert bye is not None
            assert bye.headers.get_all("Reason") == ['Q.850;cause=41;text="shutdown"']
        record = await world.record()
        assert (record.outcome and (record.outcome.name, record.outcome.code)) == ("shutdown", 11104)

    play(story, tmp_path)


def test_a_caller_who_still_hears_ringing_gets_503_and_the_phone_stops(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        desk = await world.phone(DESK, ring)
        alice.call("desk")
        await alice.until(Progress)

        await world.registry.drain(5)

        assert (await alice.until(Rejected)).response.status == 503
        await desk.until(Cancelled)
        assert not world.registry.calls

    play(story, tmp_path)


def test_who_is_told_to_hurry_ends_every_call_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        alice = await world.phone(SBC)
        desk = await world.phone(DESK)
        await answered(world, alice, desk)
        began = world.stack.now()
        drain = asyncio.create_task(world.registry.drain(3600))
        await asyncio.sleep(1)

        world.registry.end_all()
        await drain

        assert world.stack.now() - began < 5
        record = await world.record()
        assert (record.outcome and record.outcome.code) == 11104

    play(story, tmp_path)
