"""Two endpoints and a network that misbehaves: the stories that SIP stacks get wrong (RFC 3261, RFC 5407).

Each runs in virtual time, to the very end: no test leaves a transaction, a session or a timer behind.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from sip_stack.auth import Credentials
from sip_stack.dialog import ClientSession, Dialog, ServerSession, Session, SessionState
from sip_stack.events import (
    Acknowledged,
    Answered,
    Cancelled,
    Challenged,
    Ended,
    Event,
    Failed,
    InviteReceived,
    Progress,
    Rejected,
    ReofferCompleted,
    ReofferReceived,
)
from sip_stack.extensions import Extensions, TimerTerms
from sip_stack.message import Message, parse_message, response_to
from tests.support.fake_network import Datagram, FakeNetwork, Peer, Wire

ANSWER = b"v=0\r\ns=answer\r\n"


@dataclass
class World:
    """Alice calls, Bob answers."""

    network: FakeNetwork
    alice: Peer
    bob: Peer
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.wire = self.network.wire

    def ring(self, **options: object) -> tuple[ClientSession, ServerSession]:
        """Alice's INVITE is at Bob's, who lets it ring."""
        calling = self.alice.invite(self.bob, **options)
        while not self.bob.all(InviteReceived):
            self.network.run_for(0.1)
        called = self.bob.all(InviteReceived)[-1].session
        called.progress(self.network.now, 180)
        self.network.run_for(0.1)
        return calling, called

    def talk(self, **options: object) -> tuple[ClientSession, ServerSession]:
        """An established call."""
        calling, called = self.ring(**options)
        called.answer(self.network.now, body=ANSWER)
        self.network.run_for(0.1)
        assert calling.state is called.state is SessionState.CONFIRMED
        return calling, called


@pytest.fixture
def world() -> Iterator[World]:
    network = FakeNetwork()
    world = World(network, network.peer("10.0.0.1"), network.peer("10.0.0.2"))
    yield world
    for session in list(world.alice.endpoint._core.sessions.values()):
        session.bye(network.now)
    world.network.run_out()
    for peer in (world.alice, world.bob):
        assert peer.endpoint.transaction_count == 0
        assert peer.endpoint.session_count == 0
        assert peer.endpoint.next_timer() is None


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
    assert calling.state is SessionState.EARLY

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


# CANCEL


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


# Answers of more than one


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


# Digest


def challenge(status: int) -> list[tuple[str, str]]:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return [(name, 'Digest realm="cc", nonce="n1", qop="auth", algorithm=MD5')]


CREDENTIALS = Credentials("acme", "secret")


@pytest.mark.parametrize("status", [401, 407])
def test_challenge_after_100(world: World, status: int) -> None:
    """Pitfalls 11 and 12: same Call-ID and From tag, new branch, CSeq + 1, no To tag, ACK with the old ones."""
    calling = world.alice.invite(world.bob, credentials=CREDENTIALS)
    world.network.run_for(0.1)
    world.bob.one(InviteReceived).session.progress(world.network.now, 183)
    world.network.run_for(0.1)
    assert calling.remote_tag is not None
    world.bob.one(InviteReceived).session.reject(world.network.now, status, headers=challenge(status))
    world.network.run_for(0.015)
    assert calling.remote_tag is None, "the second INVITE makes a dialog of its own"
    world.network.run_for(0.1)

    first, second = [each.message for each in world.wire.log if each.title == "INVITE"]
    ack = next(each.message for each in world.wire.log if each.title == "ACK")
    assert second.call_id == first.call_id
    assert second.from_.tag == first.from_.tag
    assert second.to.tag is None
    assert second.branch != first.branch
    assert second.cseq.number == first.cseq.number + 1
    assert second.body == first.body
    assert (ack.branch, ack.cseq.number, ack.to.tag is None) == (first.branch, first.cseq.number, False)
    name = "Authorization" if status == 401 else "Proxy-Authorization"
    assert name in second.headers
    assert name not in first.headers
    assert world.alice.one(Challenged).attempt == 1

    world.bob.all(InviteReceived)[-1].session.answer(world.network.now, body=ANSWER)
    world.network.run_for(0.1)
    ack = [each.message for each in world.wire.log if each.title == "ACK"][-1]
    assert ack.headers.get(name) == second.headers.get(name)
    assert ack.cseq.number == second.cseq.number
    world.alice.one(Answered).session.bye(world.network.now)


def test_wrong_password_is_said_once(world: World) -> None:
    world.alice.invite(world.bob, credentials=CREDENTIALS)
    for _ in range(2):
        world.network.run_for(0.1)
        world.bob.all(InviteReceived)[-1].session.reject(world.network.now, 401, headers=challenge(401))
    world.network.run_for(0.1)

    assert world.wire.titles(world.alice.address).count("INVITE") == 2
    assert world.alice.one(Rejected).auth == "rejected"


@pytest.mark.parametrize(
    ("status", "headers", "auth"),
    [(401, True, "no_credentials"), (407, True, "no_credentials"), (403, False, None)],
)
def test_challenge_without_credentials_to_give(
    world: World, status: int, headers: bool, auth: str | None
) -> None:
    world.alice.invite(world.bob)
    world.network.run_for(0.1)
    session = world.bob.one(InviteReceived).session
    session.reject(world.network.now, status, headers=challenge(status) if headers else ())
    world.network.run_for(0.1)

    assert world.alice.one(Rejected).auth == auth


def test_403_after_credentials_is_their_refusal(world: World) -> None:
    world.alice.invite(world.bob, credentials=CREDENTIALS)
    world.network.run_for(0.1)
    world.bob.all(InviteReceived)[-1].session.reject(world.network.now, 407, headers=challenge(407))
    world.network.run_for(0.1)
    world.bob.all(InviteReceived)[-1].session.reject(world.network.now, 403)
    world.network.run_for(0.1)

    assert world.alice.one(Rejected).auth == "rejected"


def test_cancel_during_the_challenge(world: World) -> None:
    """Pitfall 16: cancelled while the 407 was on its way, so there is no second INVITE."""
    calling = world.alice.invite(world.bob, credentials=CREDENTIALS)
    world.network.run_for(0.1)
    world.bob.one(InviteReceived).session.reject(world.network.now, 407, headers=challenge(407))
    calling.cancel(world.network.now)
    world.network.run_for(1.0)

    assert world.wire.titles(world.alice.address).count("INVITE") == 1
    assert world.alice.names() == ["Progress", "Ended"]


def test_cancel_after_the_challenge_cancels_the_second_invite(world: World) -> None:
    calling = world.alice.invite(world.bob, credentials=CREDENTIALS)
    world.network.run_for(0.1)
    world.bob.one(InviteReceived).session.reject(world.network.now, 407, headers=challenge(407))
    world.network.run_for(0.1)
    calling.cancel(world.network.now)
    world.network.run_for(1.0)

    second = [each.message for each in world.wire.log if each.title == "INVITE"][-1]
    cancel = next(each.message for each in world.wire.log if each.title == "CANCEL")
    assert (cancel.branch, cancel.cseq.number) == (second.branch, second.cseq.number)
    world.bob.one(Cancelled)
    assert world.alice.names()[-1] == "Ended"


def test_challenged_bye_is_answered_with_credentials(world: World) -> None:
    """Pitfall 14: the 401 to a BYE ends nothing."""
    calling, _ = world.talk(credentials=CREDENTIALS)
    world.wire.drop("BYE", times=1)
    calling.bye(world.network.now)
    bye = calling.dialog
    assert bye is not None
    world.network.run_for(0.05)
    sent = next(each for each in world.wire.log if each.title == "BYE")
    refused = response_to(sent.message, 401, headers=challenge(401))  # type: ignore[arg-type]
    world.network.send(world.bob.address, world.alice.address, refused.encode())
    world.network.run_for(1.0)

    byes = [each.message for each in world.wire.log if each.title == "BYE"]
    assert len(byes) == 2
    assert "Authorization" in byes[1].headers
    assert byes[1].cseq.number == byes[0].cseq.number + 1
    ended = world.alice.one(Ended)
    assert ended.by == "local"
    assert world.bob.one(Ended).by == "remote"


# re-INVITE


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
