"""An INVITE that an earlier process of ours has received, and not answered, is refused by the next one."""

from __future__ import annotations

import pytest

from sip_stack.dialog import ClientSession, Session
from sip_stack.dialog.restored import SessionSnapshot
from sip_stack.dialog.snapshot import DialogSnapshot, InviteSnapshot, UnansweredSnapshot
from sip_stack.dialog.unanswered import UnansweredInvite
from sip_stack.errors import LocalError, SipError
from sip_stack.events import Acknowledged, Answered, Ended, InviteReceived, Progress, Rejected
from tests.support.fake_network import FakeNetwork, Peer

REASON = ("Reason", 'Q.850;cause=41;text="process_lost"')


class Waiting:
    """A caller who hears that it rings, from a process that is killed."""

    def __init__(self) -> None:
        self.network = FakeNetwork()
        self.caller, self.before = self.network.peer("10.0.0.2"), self.network.peer("10.0.0.1")
        self.session: ClientSession = self.caller.invite(self.before, headers=[("X-Secret", "4711")])
        self.network.run_for(0.1)
        theirs = self.before.one(InviteReceived).session
        theirs.progress(self.network.now, 180)
        self.network.run_for(0.1)
        assert theirs.unanswered is not None
        flow, self.target, self.left = theirs.unanswered
        assert flow.remote == (self.target.host, self.target.port) == self.caller.address

    def restart(self) -> Peer:
        """The next process is there, and reads."""
        us = self.network.successor(self.before)
        us.endpoint.await_sessions()
        return us

    def take_up(self, us: Peer) -> UnansweredInvite:
        """It has read what was left."""
        invite = us.endpoint.take_up(flow=us.flow((self.target.host, self.target.port)), left=self.left)
        us.endpoint.sessions_restored(us.now)
        return invite

    def settled(self, us: Peer) -> None:
        """Nothing is left over on either side."""
        self.network.run_out()
        for peer in (us, self.caller):
            assert (peer.endpoint.session_count, peer.endpoint.transaction_count) == (0, 0)


def test_the_caller_gets_a_final_response_in_their_early_dialog() -> None:
    waiting = Waiting()
    us = waiting.restart()
    waiting.take_up(us).refuse(us.now, 503, [REASON])
    waiting.network.run_for(1)
    refusal = waiting.caller.one(Rejected).response
    rang = waiting.caller.all(Progress)[-1].response
    assert (refusal.status, refusal.headers.get("Reason")) == (503, REASON[1])
    assert refusal.to.tag == rang.to.tag
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        assert refusal.headers.get_all(name) == rang.headers.get_all(name)
    waiting.settled(us)


def test_a_response_that_is_lost_comes_again_until_its_ack() -> None:
    waiting = Waiting()
    us = waiting.restart()
    waiting.network.wire.drop("503 INVITE", times=2)
    waiting.take_up(us).refuse(us.now, 503)
    waiting.network.run_for(2)
    assert waiting.caller.one(Rejected).response.status == 503
    assert waiting.network.wire.titles(us.address) == ["100 INVITE", "180 INVITE", *["503 INVITE"] * 3]
    waiting.settled(us)


def test_an_invite_that_comes_again_gets_the_response_again() -> None:
    waiting = Waiting()
    us = waiting.restart()
    waiting.take_up(us).refuse(us.now, 503)
    waiting.network.run_for(1)
    waiting.network.send(waiting.caller.address, us.address, waiting.session.invite.encode())
    waiting.network.run_for(0.1)
    assert waiting.network.wire.titles(us.address)[-1] == "503 INVITE"
    assert us.all(InviteReceived) == []
    waiting.settled(us)


def test_a_caller_who_has_given_up_before_it_was_read_hears_487() -> None:
    waiting = Waiting()
    us = waiting.restart()
    waiting.session.cancel(waiting.network.now)
    waiting.network.run_for(0.2)
    assert waiting.network.wire.titles(us.address) == ["100 INVITE", "180 INVITE"], "it waits"
    assert not waiting.take_up(us).refuse(us.now, 503), "it has its final response"
    waiting.network.run_for(1)
    assert waiting.network.wire.titles(us.address)[2:] == ["200 CANCEL", "487 INVITE"]
    ended = waiting.caller.one(Ended)
    assert (ended.by, getattr(ended.message, "status", None)) == ("local", 487)
    waiting.settled(us)


def test_a_cancel_that_crosses_the_response_is_answered_and_changes_nothing() -> None:
    waiting = Waiting()
    us = waiting.restart()
    invite = waiting.take_up(us)
    waiting.session.cancel(waiting.network.now)
    invite.refuse(us.now, 503)
    waiting.network.run_for(1)
    assert sorted(waiting.network.wire.titles(us.address)[2:]) == ["200 CANCEL", "503 INVITE"]
    waiting.settled(us)


def test_a_cancel_of_nothing_is_refused_once_all_is_read() -> None:
    waiting = Waiting()
    us = waiting.restart()
    waiting.session.cancel(waiting.network.now)
    waiting.network.run_for(0.2)
    us.endpoint.sessions_restored(us.now)
    waiting.network.run_for(0.2)
    assert waiting.network.wire.titles(us.address)[-1] == "481 CANCEL"


def test_an_invite_that_came_again_before_it_was_read_is_a_call() -> None:
    waiting = Waiting()
    us = waiting.restart()
    waiting.network.send(waiting.caller.address, us.address, waiting.session.invite.encode())
    waiting.network.run_for(0.1)
    with pytest.raises(LocalError):
        waiting.take_up(us)
    us.one(InviteReceived).session.reject(us.now, 486)
    waiting.network.run_for(1)
    assert waiting.caller.one(Rejected).response.status == 486
    waiting.settled(us)


def test_an_answered_or_cancelled_invite_is_none_to_take_up() -> None:
    for how in ("answered", "cancelled"):
        waiting = Waiting()
        theirs = waiting.before.one(InviteReceived).session
        if how == "answered":
            theirs.answer(waiting.network.now, body=b"v=0\r\n")
            assert theirs.unanswered is not None, "they may not have it"
        else:
            waiting.session.cancel(waiting.network.now)
        waiting.network.run_for(0.1)
        assert theirs.unanswered is None


def test_nothing_is_kept_that_no_response_says() -> None:
    assert "4711" not in str(Waiting().left)


@pytest.mark.parametrize("missing", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_what_nobody_can_read_is_refused_and_leaves_nothing(missing: str) -> None:
    waiting = Waiting()
    us = waiting.restart()
    uri, lines = waiting.left.invite
    broken = InviteSnapshot(uri, tuple(line for line in lines if line[0] != missing))
    waiting.left = UnansweredSnapshot(broken, *waiting.left[1:])
    with pytest.raises(SipError):
        waiting.take_up(us)
    assert us.endpoint.transaction_count == 0


# -- answered, and not acknowledged ------------------------------------------------------------------------------------


class Unacknowledged(Waiting):
    """A caller whose 200 was lost."""

    def __init__(self) -> None:
        super().__init__()
        theirs = self.before.one(InviteReceived).session
        self.network.wire.drop("200 INVITE", times=1)
        theirs.answer(self.network.now, body=b"v=0\r\n")
        self.before.drain()
        assert theirs.dialog is not None
        self.dialog, self.usage = DialogSnapshot.of(theirs.dialog), SessionSnapshot.of(theirs)

    def restore(self, us: Peer) -> Session:
        """It has read what was left, and goes on."""
        flow = us.flow(self.caller.address)
        session = us.endpoint.restore(
            us.now, flow=flow, dialog=self.dialog, session=self.usage, unanswered=(self.left, flow)
        )
        us.endpoint.sessions_restored(us.now)
        return session


def test_a_2xx_without_an_ack_is_sent_again_to_the_octet_until_it_comes() -> None:
    waiting = Unacknowledged()
    us = waiting.restart()
    waiting.network.wire.drop("200 INVITE", times=2)
    session = waiting.restore(us)
    waiting.network.run_for(3)
    sent = [each.data for each in waiting.network.wire.log if each.title == "200 INVITE"]
    assert (len(sent), len(set(sent))) == (4, 1)
    assert waiting.caller.one(Answered).response.encode() == sent[0]
    us.one(Acknowledged)
    session.bye(us.now)
    waiting.network.run_for(1)
    assert waiting.caller.one(Ended).by == "remote"
    waiting.settled(us)


def test_an_invite_that_comes_again_begins_no_call_when_its_2xx_is_repeated() -> None:
    waiting = Unacknowledged()
    us = waiting.restart()
    session = waiting.restore(us)
    waiting.network.send(waiting.caller.address, us.address, waiting.session.invite.encode())
    waiting.network.run_for(1)
    assert us.all(InviteReceived) == []
    session.bye(us.now)
    waiting.network.run_for(1)
    waiting.settled(us)


def test_an_invite_that_is_served_already_leaves_no_session() -> None:
    waiting = Unacknowledged()
    us = waiting.restart()
    waiting.network.send(waiting.caller.address, us.address, waiting.session.invite.encode())
    waiting.network.run_for(0.1)
    with pytest.raises(LocalError):
        waiting.restore(us)
    us.one(InviteReceived).session.reject(us.now, 486)
    waiting.network.run_for(1)
    waiting.settled(us)


@pytest.mark.parametrize("answer", ["nonsense", "OPTIONS sip:a SIP/2.0\r\n\r\n"])
def test_a_2xx_that_nobody_can_read_leaves_nothing(answer: str) -> None:
    waiting = Unacknowledged()
    waiting.usage = waiting.usage._replace(answer=answer)
    us = waiting.restart()
    with pytest.raises(SipError):
        waiting.restore(us)
    assert (us.endpoint.session_count, us.endpoint.transaction_count) == (0, 0)
