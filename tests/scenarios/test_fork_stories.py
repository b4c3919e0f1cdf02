"""Answers of more than one phone to one INVITE, and tags that change on the way.

RFC 3261 sections 12.1.2 and 13.2.2.4.
"""

from __future__ import annotations

from sip_stack.dialog import SessionState
from sip_stack.events import (
    Answered,
    InviteReceived,
    Progress,
)
from sip_stack.message import parse_message, response_to
from tests.support.fake_network import Datagram
from tests.support.two_endpoints import ANSWER, World


def forge(invite: Datagram, status: int, tag: str | None, body: bytes = b"") -> bytes:
    """Another fork's response to Alice's INVITE."""
    request = parse_message(invite.data)
    response = response_to(
        request,  # type: ignore[arg-type]
        status,
        to_tag=tag,
        headers=[("Contact", "<sip:fork@10.0.0.2:5060>")],
        body=body,
    )
    return response.encode()


def test_forked_200(world: World) -> None:
    """RFC 3261 section 13.2.2.4: the second answer is ACKed and BYEd, the call goes on with the first."""
    calling, _ = world.talk()
    other = forge(world.wire.log[0], 200, "fork2", ANSWER)
    for _ in range(2):
        world.network.send(world.bob.address, world.alice.address, other)
        world.network.run_for(0.5)

    to_fork = [
        each.title for each in world.wire.log
        if each.source == world.alice.address and b"tag=fork2" in each.data
    ]  # fmt: skip
    assert to_fork == ["ACK", "BYE", "ACK"]
    assert calling.state is SessionState.CONFIRMED
    assert len(world.alice.all(Answered)) == 1
    assert world.alice.endpoint.counters.forked_answers == 1


def test_forked_200_after_the_call_has_ended(world: World) -> None:
    calling, _ = world.talk()
    calling.bye(world.network.now)
    world.network.run_for(1.0)
    world.network.send(world.bob.address, world.alice.address, forge(world.wire.log[0], 200, "late", ANSWER))
    world.network.run_for(1.0)

    assert world.wire.titles(world.alice.address)[-2:] == ["ACK", "BYE"]


def test_answer_tag_differs_from_the_ringing_one(world: World) -> None:
    """Pitfall 43: the 180 came from one fork, the answer from another; all requests carry the answer's tag."""
    calling = world.alice.invite(world.bob)
    world.network.run_for(0.1)
    invite = world.wire.log[0]
    world.network.send(world.bob.address, world.alice.address, forge(invite, 180, "ringing"))
    world.network.run_for(0.1)
    assert calling.remote_tag == "ringing"

    world.network.send(world.bob.address, world.alice.address, forge(invite, 200, "answer", ANSWER))
    world.network.run_for(0.1)
    assert calling.remote_tag == "answer"
    calling.bye(world.network.now)
    world.network.run_for(1.0)
    bye = next(each for each in world.wire.log if each.title == "BYE")
    assert bye.message.to.tag == "answer"
    world.bob.all(InviteReceived)[0].session.reject(world.network.now, 487)


def test_183_without_to_tag(world: World) -> None:
    """Pitfall 44: it is progress, but makes no dialog."""
    calling = world.alice.invite(world.bob)
    world.network.run_for(0.1)
    world.network.send(world.bob.address, world.alice.address, forge(world.wire.log[0], 183, None))
    world.network.run_for(0.1)

    assert [event.response.status for event in world.alice.all(Progress)] == [100, 183]
    assert calling.remote_tag is None
    world.bob.one(InviteReceived).session.answer(world.network.now, body=ANSWER)
    world.network.run_for(0.1)
    assert calling.state is SessionState.CONFIRMED
