"""Two endpoints and a network that misbehaves: the stories that SIP stacks get wrong (RFC 3261, RFC 5407).

Each runs in virtual time, to the very end: no test leaves a transaction, a session or a timer behind.
"""

from __future__ import annotations

import gc
from itertools import pairwise

import pytest

from sip_stack.dialog import Dialog, Session, SessionState
from sip_stack.events import (
    Acknowledged,
    Answered,
    Cancelled,
    Ended,
    Event,
    Failed,
    InviteReceived,
    Rejected,
    RequestCompleted,
)
from sip_stack.extensions import Extensions, TimerTerms
from sip_stack.message import Message
from tests.support.fake_network import FakeNetwork, Wire
from tests.support.two_endpoints import ANSWER, World


def test_a_call_from_invite_to_bye(world: World) -> None:
    calling, called = world.talk()
    calling.bye(world.network.now)
    world.network.run_for(0.1)

    assert world.wire.titles() == [
        "INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE",
    ]  # fmt: skip
    assert world.alice.names() == ["Progress", "Progress", "Answered", "Ended"]
    assert world.bob.names() == ["InviteReceived", "Acknowledged", "Ended"]
    assert world.alice.one(Ended).by == "local"
    assert world.bob.one(Ended).by == "remote"
    assert called.state is SessionState.ENDED


def test_the_callee_hangs_up(world: World) -> None:
    _, called = world.talk()
    called.bye(world.network.now, [("Reason", "Q.850;cause=16")])
    world.network.run_for(0.1)

    assert world.bob.one(Ended).by == "local"
    ended = world.alice.one(Ended)
    assert ended.by == "remote"
    assert ended.message is not None
    assert ended.message.headers.get("Reason") == "Q.850;cause=16"


def test_a_request_of_the_callee_waits_until_the_caller_knows_the_dialog(world: World) -> None:
    """A REFER that overtakes the 200 finds no dialog: its 481 would end the call (RFC 3261 section 12.2.1.2)."""
    _, called = world.ring()
    world.wire.drop("200 INVITE", times=1)
    called.answer(world.network.now, body=ANSWER)
    called.request(world.network.now, "REFER", [("Refer-To", "<sip:elsewhere@example.com>")])
    called.request(world.network.now, "INFO")
    world.network.run_for(5)

    assert world.wire.titles(world.bob.address)[2:] == ["200 INVITE", "200 INVITE", "REFER", "INFO"]
    assert [each.method for each in world.bob.all(RequestCompleted)] == ["REFER", "INFO"]


def test_a_request_that_waited_is_not_sent_when_the_call_is_over(world: World) -> None:
    _, called = world.ring()
    world.wire.drop("200 INVITE", times=1)
    called.answer(world.network.now, body=ANSWER)
    called.request(world.network.now, "INFO")
    called.bye(world.network.now)
    world.network.run_for(5)

    assert "INFO" not in world.wire.titles()
    assert world.bob.one(Ended).by == "local"


def test_dropped_invite_makes_one_call(world: World) -> None:
    world.wire.drop("INVITE", times=3)
    world.talk()

    assert world.wire.titles().count("INVITE") == 4
    assert len(world.bob.all(InviteReceived)) == 1


def test_repeated_invite_before_the_100_arrives_makes_one_call(world: World) -> None:
    """Pitfall 40: the 100s get lost, the INVITE comes again and again."""
    world.wire.drop("100 INVITE", times=2)
    calling = world.alice.invite(world.bob)
    world.network.run_for(3.0)

    assert world.wire.titles() == ["INVITE", "100 INVITE", "INVITE", "100 INVITE", "INVITE", "100 INVITE"]
    assert len(world.bob.all(InviteReceived)) == 1
    calling.cancel(world.network.now)


def test_nobody_answers_the_invite(world: World) -> None:
    world.wire.drop("INVITE")
    world.alice.invite(world.bob)
    world.network.run_for(40.0)

    assert world.alice.one(Failed).reason == "timeout"
    sent = [each.at for each in world.wire.log]
    gaps = [round(later - earlier, 3) for earlier, later in pairwise(sent)]
    assert gaps == [0.5, 1, 2, 4, 8, 16]


def test_dropped_200(world: World) -> None:
    """The 2xx comes again from the callee, since no transaction repeats it."""
    world.wire.drop("200 INVITE", times=2)
    calling, called = world.ring()
    called.answer(world.network.now, body=ANSWER)
    world.network.run_for(0.1)
    unheard = calling.state
    assert unheard is SessionState.EARLY

    world.network.run_for(2.0)
    assert calling.state is SessionState.CONFIRMED
    assert world.wire.titles().count("200 INVITE") == 3
    assert len(world.alice.all(Answered)) == 1
    world.bob.one(Acknowledged)


def test_lost_ack(world: World) -> None:
    """Pitfall 38: each repeated 2xx gets its ACK, the same octets, whatever the call does meanwhile."""
    world.wire.drop("ACK", times=2)
    world.ring()[1].answer(world.network.now, body=ANSWER)
    world.network.run_for(5.0)

    acks = [each.data for each in world.wire.log if each.title == "ACK"]
    assert len(acks) == 3
    assert len(set(acks)) == 1
    assert len(world.bob.all(Acknowledged)) == 1


def test_ack_never_comes(world: World) -> None:
    """RFC 3261 section 13.3.1.4: T1 doubling to T2, and BYE after 64*T1."""
    world.wire.drop("ACK")
    called = world.ring()[1]
    answered = world.network.now
    called.answer(answered, body=ANSWER)
    world.network.run_for(40.0)

    repeats = [round(each.at - answered, 3) for each in world.wire.log if each.title == "200 INVITE"]
    assert repeats == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    bye = next(each for each in world.wire.log if each.title == "BYE")
    assert bye.at - answered == pytest.approx(32.0)
    assert world.bob.one(Ended).by == "no_ack"
    assert world.alice.one(Ended).by == "remote"


def test_dropped_bye_and_dropped_200_to_it(world: World) -> None:
    calling, _ = world.talk()
    world.wire.drop("BYE", times=2)
    world.wire.drop("200 BYE", times=1)
    calling.bye(world.network.now)
    world.network.run_for(10.0)

    assert world.alice.one(Ended).by == "local"
    assert len(world.bob.all(Ended)) == 1


def test_bye_into_silence(world: World) -> None:
    calling, called = world.talk()
    world.wire.drop("BYE")
    calling.bye(world.network.now)
    world.network.run_for(40.0)

    ended = world.alice.one(Ended)
    assert (ended.by, ended.message) == ("local", None)
    called.bye(world.network.now)


def test_bye_glare(world: World) -> None:
    """Both hang up at once: both BYEs are answered, both sessions end once."""
    calling, called = world.talk()
    calling.bye(world.network.now)
    called.bye(world.network.now)
    world.network.run_for(1.0)

    assert world.wire.titles().count("200 BYE") == 2
    assert [world.alice.one(Ended).by, world.bob.one(Ended).by] == ["local", "local"]


def test_bye_for_a_call_that_is_gone_gets_481(world: World) -> None:
    calling, called = world.talk()
    bye = called.build("BYE", "z9hG4bKgone", (), b"", "", called.flow)
    calling.bye(world.network.now)
    world.network.run_for(1.0)
    world.network.send(world.bob.address, world.alice.address, bye.encode())
    world.network.run_for(1.0)

    assert world.wire.titles(world.alice.address)[-1] == "481 BYE"


def test_bye_between_our_200_and_its_ack(world: World) -> None:
    """Pitfall 45: the ACK is lost, the BYE is honoured, and the 2xx is not repeated any more."""
    world.wire.drop("ACK")
    calling, called = world.ring()
    called.answer(world.network.now, body=ANSWER)
    world.network.run_for(0.1)
    calling.bye(world.network.now)
    world.network.run_for(5.0)

    assert world.wire.titles().count("200 INVITE") == 1
    assert world.bob.one(Ended).by == "remote"


def test_the_callee_may_not_bye_before_the_ack(world: World) -> None:
    """RFC 3261 section 15: the BYE waits for the ACK."""
    world.wire.drop("ACK", times=1)
    calling, called = world.ring()
    called.answer(world.network.now, body=ANSWER)
    called.bye(world.network.now)
    world.network.run_for(0.3)
    assert "BYE" not in world.wire.titles()

    world.network.run_for(1.0)
    assert world.wire.titles()[-3:] == ["ACK", "BYE", "200 BYE"]
    assert world.bob.one(Ended).by == "local"
    assert calling.state is SessionState.ENDED


def test_200_overtaken_by_bye(world: World) -> None:
    """The 2xx is slower than the BYE behind it: the late answer opens no ghost call."""
    calling, called = world.ring()
    world.wire.hold("200 INVITE", seconds=1.0)
    called.answer(world.network.now, body=ANSWER)
    bye = called.build("BYE", "z9hG4bKearly", (), b"", "", called.flow)
    world.network.send(world.bob.address, world.alice.address, bye.encode())
    world.network.run_for(2.0)

    assert "200 BYE" in world.wire.titles(world.alice.address)
    assert world.wire.titles(world.alice.address)[-1] == "ACK"
    assert world.alice.one(Ended).by == "remote"
    assert calling.state is SessionState.ENDED
    called.bye(world.network.now)


# What stays


@pytest.mark.parametrize("ending", ["bye", "cancel", "reject", "glare"])
def test_what_is_over_is_freed_without_the_collector(world: World, ending: str) -> None:
    """Pitfall 89: no cycle and no timer keeps a session once it has ended, though its transactions linger."""

    def alive() -> dict[int, object]:
        kinds = (Session, Dialog, Message)
        return {id(thing): thing for thing in gc.get_objects() if isinstance(thing, kinds)}

    others = alive()
    gc.disable()
    try:
        timed = Extensions(timer=TimerTerms(use="supported"))
        calling, called = world.ring(extensions=timed)
        called.use(timed)
        if ending == "cancel":
            calling.cancel(world.network.now)
        elif ending == "reject":
            called.reject(world.network.now, 486)
        else:
            called.answer(world.network.now, body=ANSWER)
            world.network.run_for(0.1)
            if ending == "glare":
                calling.reoffer(world.network.now, b"v=0\r\n")
                called.reoffer(world.network.now, b"v=0\r\n")
                world.network.run_for(0.1)
            calling.bye(world.network.now)
        world.network.run_for(1.0)
        world.alice.events.clear()
        world.bob.events.clear()
        del calling, called
        assert [thing for number, thing in alive().items() if number not in others] == []
    finally:
        gc.enable()
    assert world.alice.endpoint.transaction_count > 0


# A bad network


@pytest.mark.parametrize("seed", range(12))
def test_every_call_ends_on_both_sides_over_a_bad_network(seed: int) -> None:
    """20 % loss, 10 % doubled, reordered: each side ends each call exactly once and forgets everything."""
    network = FakeNetwork(Wire(seed=seed, loss=0.2, duplicate=0.1, jitter=0.3))
    alice, bob = network.peer("10.0.0.1"), network.peer("10.0.0.2")

    def pick_up(event: Event) -> None:
        if isinstance(event, InviteReceived):
            event.session.progress(network.now, 180)
            event.session.answer(network.now, body=ANSWER)

    bob.on_event = pick_up
    callings = [alice.invite(bob) for _ in range(10)]
    network.run_for(20.0)
    for number, calling in enumerate(callings):
        (calling.cancel if calling.state is SessionState.EARLY else calling.bye)(network.now)
        if number % 2 and len(bob.all(InviteReceived)) > number:
            bob.all(InviteReceived)[number].session.bye(network.now)
    network.run_out()

    terminal = (Ended, Rejected, Failed, Cancelled)
    for peer in (alice, bob):
        ends = [event for event in peer.events if isinstance(event, terminal)]
        sessions = {id(event.session) for event in ends}
        assert len(ends) == len(sessions)
        assert peer.endpoint.session_count == peer.endpoint.transaction_count == 0
        assert len(peer.endpoint._core.timers) == 0
    assert len(alice.all(Ended)) + len(alice.all(Failed)) == 10
    assert len(bob.all(Ended)) == len(bob.all(InviteReceived))
