"""re-INVITEs between two endpoints: lost, refused, crossing each other and BYEs (RFC 3261 section 14)."""

from __future__ import annotations

from sip_stack.dialog import SessionState
from sip_stack.events import (
    Acknowledged,
    Ended,
    Event,
    ReofferCompleted,
    ReofferReceived,
)
from tests.support.fake_network import Peer
from tests.support.two_endpoints import ANSWER, World


def answer_reoffers(peer: Peer) -> None:
    def answer(event: Event) -> None:
        if isinstance(event, ReofferReceived):
            event.session.answer_reoffer(peer.now, event.transaction, ANSWER)

    peer.on_event = answer


def test_reinvite_and_its_answer(world: World) -> None:
    calling, _ = world.talk()
    answer_reoffers(world.bob)
    calling.reoffer(world.network.now, b"v=0\r\ns=hold\r\n")
    world.network.run_for(1.0)

    assert world.bob.one(ReofferReceived).request.body == b"v=0\r\ns=hold\r\n"
    completed = world.alice.one(ReofferCompleted)
    assert completed.response is not None
    assert completed.response.body == ANSWER
    assert len(world.bob.all(Acknowledged)) == 2


def test_reinvite_with_lost_200_and_lost_ack(world: World) -> None:
    _, called = world.talk()
    answer_reoffers(world.alice)
    world.wire.drop("200 INVITE", times=1)
    world.wire.drop("ACK", times=1)
    called.reoffer(world.network.now, b"v=0\r\n")
    world.network.run_for(5.0)

    assert len(world.bob.all(ReofferCompleted)) == 1
    assert len(world.alice.all(Acknowledged)) == 1


def test_reinvite_refused_leaves_the_call(world: World) -> None:
    calling, called = world.talk()
    calling.reoffer(world.network.now, b"v=0\r\n")
    world.network.run_for(0.1)
    offered = world.bob.one(ReofferReceived)
    called.refuse(world.network.now, offered.transaction, 488)
    world.network.run_for(1.0)

    completed = world.alice.one(ReofferCompleted)
    assert completed.response is not None
    assert completed.response.status == 488
    assert calling.state is called.state is SessionState.CONFIRMED


def test_reinvite_glare(world: World) -> None:
    """RFC 3261 section 14.1: both get 491; the callee tries again within 2 s, the caller after 2.1 to 4 s."""
    calling, called = world.talk()
    answer_reoffers(world.alice)
    answer_reoffers(world.bob)
    started = world.network.now
    calling.reoffer(started, b"v=0\r\ns=from caller\r\n")
    called.reoffer(started, b"v=0\r\ns=from callee\r\n")
    world.network.run_for(6.0)

    assert world.wire.titles().count("491 INVITE") == 2
    retries = [each for each in world.wire.log if each.title == "INVITE" and each.at > started]
    assert [each.source for each in retries] == [world.bob.address, world.alice.address]
    assert 0 <= retries[0].at - started <= 2.1
    assert 2.1 <= retries[1].at - started <= 4.1
    for peer in (world.alice, world.bob):
        completed = peer.one(ReofferCompleted)
        assert completed.response is not None
        assert completed.response.status == 200


def test_second_reinvite_before_the_first_is_answered(world: World) -> None:
    """RFC 3261 section 14.2: 500 with Retry-After, and the first is not disturbed."""
    calling, called = world.talk()
    calling.reoffer(world.network.now, b"v=0\r\n")
    world.network.run_for(0.1)
    second = calling.build("INVITE", "z9hG4bKsecond", (), b"v=0\r\n", "application/sdp", calling.flow)
    world.network.send(world.alice.address, world.bob.address, second.encode())
    world.network.run_for(0.1)

    refused = next(each.message for each in world.wire.log if each.title == "500 INVITE")
    assert 0 <= int(refused.headers.get("Retry-After") or "-1") <= 10
    called.answer_reoffer(world.network.now, world.bob.one(ReofferReceived).transaction, ANSWER)
    world.network.run_for(1.0)
    completed = world.alice.one(ReofferCompleted)
    assert completed.response is not None
    assert completed.response.status == 200


def test_bye_while_our_reinvite_is_pending(world: World) -> None:
    calling, called = world.talk()
    calling.reoffer(world.network.now, b"v=0\r\n")
    world.network.run_for(0.1)
    calling.bye(world.network.now)
    world.network.run_for(1.0)

    assert "487 INVITE" in world.wire.titles(world.bob.address)
    assert world.alice.names()[-1] == "Ended"
    assert world.alice.all(ReofferCompleted) == []
    called.answer_reoffer(world.network.now, world.bob.one(ReofferReceived).transaction, ANSWER)


def test_bye_while_our_reinvite_never_gets_its_final_response(world: World) -> None:
    """Bob says 100 and then nothing; the BYE ends the call, and the INVITE is not kept for ever."""
    calling, _ = world.talk()
    calling.reoffer(world.network.now, b"v=0\r\ns=again\r\n")
    world.network.run_for(0.1)
    world.wire.drop("487 INVITE")
    calling.bye(world.network.now)
    world.network.run_for(0.1)

    assert world.bob.one(Ended).by == "remote"
    # The fixture sees that no transaction is left in the end.


def test_reinvite_that_gets_no_final_response_is_cancelled(world: World) -> None:
    """Bob's user thinks about it for ever: after 64*T1 we take the offer back, and the call goes on as it was."""
    calling, called = world.talk()
    calling.reoffer(world.network.now, b"v=0\r\ns=again\r\n")
    world.network.run_for(31)
    assert "CANCEL" not in world.wire.titles()
    world.network.run_for(2)

    response = world.alice.one(ReofferCompleted).response
    assert response is not None
    assert response.status == 487
    assert calling.state is called.state is SessionState.CONFIRMED
    calling.reoffer(world.network.now, b"v=0\r\ns=third\r\n")
    world.network.run_for(0.1)
    assert len(world.bob.all(ReofferReceived)) == 2


def test_reinvite_into_a_peer_that_died_over_it_ends_the_call(world: World) -> None:
    """Bob says 100 and is gone: the CANCEL gets no answer either, and silence ends a dialog (section 12.2.1.2)."""
    calling, called = world.talk()
    calling.reoffer(world.network.now, b"v=0\r\ns=again\r\n")
    world.network.run_for(0.1)
    for title in ("200 CANCEL", "487 INVITE"):
        world.wire.drop(title)
    world.network.run_for(70)

    assert world.alice.one(ReofferCompleted).response is None
    assert calling.state is called.state is SessionState.ENDED


def test_reinvite_that_a_later_request_overtakes_is_sent_again(world: World) -> None:
    """The re-INVITE is lost once, the UPDATE behind it arrives: 500, for its CSeq is now too low (section 12.2.2)."""
    calling, called = world.talk()
    world.wire.drop("INVITE", times=1)
    calling.reoffer(world.network.now, b"v=0\r\ns=again\r\n")
    calling.request(world.network.now, "UPDATE")
    world.network.run_for(1)

    assert world.wire.titles().count("500 INVITE") == 1
    received = world.bob.one(ReofferReceived)
    assert received.request.body == b"v=0\r\ns=again\r\n"
    called.answer_reoffer(world.network.now, received.transaction, ANSWER)
    world.network.run_for(1)
    response = world.alice.one(ReofferCompleted).response
    assert response is not None
    assert response.status == 200


def test_reinvite_for_a_call_that_the_peer_forgot(world: World) -> None:
    """RFC 3261 section 12.2.1.2: 481 ends the dialog; the user hears that it is gone."""
    calling, called = world.talk()
    called.finish(None)
    calling.reoffer(world.network.now, b"v=0\r\n")
    world.network.run_for(1.0)

    assert world.alice.names()[-2:] == ["ReofferCompleted", "Ended"]
    ended = world.alice.one(Ended)
    assert ended.by == "remote"
    assert world.wire.titles(world.alice.address)[-1] == "BYE"


def test_reoffer_waits_for_the_ack_of_the_answer(world: World) -> None:
    """The callee wants to re-INVITE right after answering: not before the INVITE is over."""
    _, called = world.ring()
    answer_reoffers(world.alice)
    called.answer(world.network.now, body=ANSWER)
    called.reoffer(world.network.now, b"v=0\r\n")
    world.network.run_for(1.0)

    assert world.wire.titles()[3:6] == ["200 INVITE", "ACK", "INVITE"]
    world.bob.one(ReofferCompleted)
