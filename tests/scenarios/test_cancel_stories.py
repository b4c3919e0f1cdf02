"""CANCEL between two endpoints: before any 1xx, across a final response, into silence; and BYE in an early dialog.

RFC 3261 section 9, RFC 5407. Each runs in virtual time, to the very end.
"""

from __future__ import annotations

import pytest

from sip_stack.dialog import SessionState
from sip_stack.events import (
    Cancelled,
    Ended,
    Rejected,
)
from sip_stack.message import parse_message
from tests.support.two_endpoints import ANSWER, World


def test_cancel_while_ringing(world: World) -> None:
    calling, called = world.ring()
    calling.cancel(world.network.now, [("Reason", "SIP;cause=200")])
    world.network.run_for(1.0)

    assert world.wire.titles()[3:] == ["CANCEL", "200 CANCEL", "487 INVITE", "ACK"]
    assert world.bob.one(Cancelled).request.headers.get("Reason") == "SIP;cause=200"
    ended = world.alice.one(Ended)
    assert ended.by == "local"
    assert world.alice.names() == ["Progress", "Progress", "Ended"]
    assert called.state is SessionState.ENDED


@pytest.mark.parametrize("answered", [False, True])
def test_the_200_to_a_cancel_has_the_tag_of_the_invite(world: World, answered: bool) -> None:
    """Section 9.2; SIPp takes the tag of whatever response came last for that of the dialog."""
    calling, called = world.ring()
    if answered:
        world.wire.drop("200 INVITE", times=1)
        called.answer(world.network.now, body=ANSWER)
    calling.cancel(world.network.now)
    world.network.run_for(0.1)

    tags = {each.title: parse_message(each.data).to.tag for each in world.wire.log}
    assert tags["200 CANCEL"] == tags["180 INVITE"] == called.local_tag


def test_cancel_before_any_1xx_waits_for_it(world: World) -> None:
    """RFC 3261 section 9.1: no CANCEL until the peer has shown that it has the INVITE."""
    world.wire.drop("INVITE", times=2)
    calling = world.alice.invite(world.bob)
    world.network.run_for(0.2)
    calling.cancel(world.network.now)
    world.network.run_for(0.5)
    assert "CANCEL" not in world.wire.titles()

    world.network.run_for(2.0)
    assert world.wire.titles(world.alice.address) == ["INVITE", "INVITE", "INVITE", "CANCEL", "ACK"]
    assert world.alice.names() == ["Ended"]
    world.bob.one(Cancelled)


def test_cancel_into_silence_ends_with_timer_b(world: World) -> None:
    world.wire.drop("INVITE")
    calling = world.alice.invite(world.bob)
    calling.cancel(world.network.now)
    world.network.run_for(40.0)

    assert "CANCEL" not in world.wire.titles()
    assert world.alice.names() == ["Ended"]


def test_cancel_that_the_peer_ignores(world: World) -> None:
    """64*T1 after CANCEL the INVITE counts as cancelled (RFC 3261 section 9.1)."""
    calling, called = world.ring()
    world.wire.drop("CANCEL")
    calling.cancel(world.network.now)
    world.network.run_for(33.0)

    assert world.alice.names() == ["Progress", "Progress", "Ended"]
    called.reject(world.network.now, 480)


def test_cancel_crosses_200(world: World) -> None:
    """Pitfall 41: ACK, then BYE; the user hears of no answer."""
    calling, called = world.ring()
    called.answer(world.network.now, body=ANSWER)
    calling.cancel(world.network.now)
    world.network.run_for(1.0)

    from_alice = world.wire.titles(world.alice.address)
    assert from_alice == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert "200 CANCEL" in world.wire.titles(world.bob.address)
    assert "487 INVITE" not in world.wire.titles()
    assert world.alice.names() == ["Progress", "Progress", "Ended"]
    assert world.bob.one(Ended).by == "remote"


def test_cancel_crosses_486(world: World) -> None:
    calling, called = world.ring()
    called.reject(world.network.now, 486)
    calling.cancel(world.network.now)
    world.network.run_for(1.0)

    ended = world.alice.one(Ended)
    assert ended.by == "local"
    assert world.bob.names() == ["InviteReceived"]


def test_commands_after_the_peers_cancel_are_no_error(world: World) -> None:
    """The call's coroutine has not read `Cancelled` yet: what it still says is ignored."""
    calling, called = world.ring()
    calling.cancel(world.network.now)
    world.network.run_for(1.0)
    called.progress(world.network.now, 183)
    called.answer(world.network.now, body=ANSWER)
    called.reject(world.network.now, 486)
    called.bye(world.network.now)
    world.network.run_for(1.0)

    assert world.wire.titles()[-1] == "ACK"


def test_busy_with_a_lost_ack(world: World) -> None:
    """The 486 is repeated by the transaction until its ACK comes."""
    world.wire.drop("ACK", times=2)
    _, called = world.ring()
    called.reject(world.network.now, 486, headers=[("Reason", "Q.850;cause=17")])
    world.network.run_for(5.0)

    assert world.wire.titles().count("486 INVITE") == 3
    rejected = world.alice.one(Rejected)
    assert (rejected.response.status, rejected.auth) == (486, None)
    assert rejected.response.headers.get("Reason") == "Q.850;cause=17"


def test_bye_in_early_dialog(world: World) -> None:
    """RFC 3261 section 15.1.2: the caller may BYE an early dialog; the INVITE is answered 487."""
    calling, called = world.ring()
    text = (
        f"BYE sip:10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKbye1;rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:10.0.0.1>;tag={calling.local_tag}\r\n"
        f"To: <sip:10.0.0.2>;tag={called.local_tag}\r\nCall-ID: {calling.call_id}\r\nCSeq: 2 BYE\r\n\r\n"
    )
    world.network.send(world.alice.address, world.bob.address, text.encode())
    world.network.run_for(1.0)

    assert world.wire.titles(world.bob.address)[-2:] == ["200 BYE", "487 INVITE"]
    assert world.bob.one(Ended).by == "remote"
    assert world.alice.one(Rejected).response.status == 487
