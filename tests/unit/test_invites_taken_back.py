"""An INVITE that an earlier process of ours has sent is cancelled by the next one, in virtual time."""

from __future__ import annotations

import pytest

from sip_stack.dialog import ClientSession
from sip_stack.dialog.snapshot import InviteSnapshot
from sip_stack.errors import SipError
from sip_stack.events import Answered, Cancelled, Ended, InviteReceived
from tests.support.fake_network import FakeNetwork, Peer


class Ringing:
    """A phone that rings for a process that is killed."""

    def __init__(self) -> None:
        self.network = FakeNetwork()
        self.before, self.phone = self.network.peer("10.0.0.1"), self.network.peer("10.0.0.2")
        self.route = ("Route", "<sip:10.0.0.2;lr>")
        session = self.before.invite(self.phone, headers=[self.route, ("X-Secret", "4711")])
        self.network.run_for(0.1)
        self.theirs = self.phone.one(InviteReceived).session
        self.theirs.progress(self.network.now, 180)
        self.network.run_for(0.1)
        self.sent = session.invite
        assert session.pending is not None
        self.flow, self.left = session.pending

    def take_back(self) -> Peer:
        """The next process does."""
        us = self.network.successor(self.before)
        flow = us.flow(self.flow.remote)
        us.endpoint.take_back(us.now, flow=flow, invite=self.left, headers=[("Reason", "SIP;cause=487")])
        return us

    def settled(self, us: Peer) -> None:
        """Nothing is left over on either side."""
        self.network.run_out()
        for peer in (us, self.phone):
            assert (peer.endpoint.session_count, peer.endpoint.transaction_count) == (0, 0)


def test_the_phone_is_told_and_its_487_is_acknowledged() -> None:
    ringing = Ringing()
    us = ringing.take_back()
    ringing.network.run_for(1)
    cancel = ringing.phone.one(Cancelled).request
    invite = ringing.sent
    assert cancel.uri == invite.uri
    assert (cancel.via.branch, cancel.cseq.number) == (invite.via.branch, invite.cseq.number)
    for name in ("From", "To", "Call-ID", "Route"):
        assert cancel.headers.get_all(name) == invite.headers.get_all(name)
    assert cancel.headers.get("Reason") == "SIP;cause=487"
    assert us.one(Ended).by == "local"
    ringing.settled(us)


def test_an_answer_that_crosses_is_acknowledged_and_hung_up() -> None:
    ringing = Ringing()
    ringing.theirs.answer(ringing.network.now, body=b"v=0\r\n")
    us = ringing.take_back()
    ringing.network.run_for(1)
    assert ringing.phone.one(Ended).by == "remote"
    assert us.one(Ended).by == "local"
    ringing.settled(us)


def test_a_phone_that_knows_nothing_of_it_any_more_is_given_up() -> None:
    ringing = Ringing()
    ringing.theirs.reject(ringing.network.now, 486)
    ringing.network.run_for(40)
    us = ringing.take_back()
    ringing.network.run_for(33)
    assert us.one(Ended).by == "local"
    ringing.settled(us)


def test_an_answered_or_finished_invite_is_none_to_take_back() -> None:
    ringing = Ringing()
    ringing.theirs.answer(ringing.network.now, body=b"v=0\r\n")
    ringing.network.run_for(0.1)
    session = ringing.before.one(Answered).session
    assert isinstance(session, ClientSession)
    assert session.pending is None


def test_nothing_is_kept_that_the_cancel_does_not_say() -> None:
    left = Ringing().left
    assert "4711" not in str(left)
    assert InviteSnapshot(*left).restored().cseq.method == "INVITE"


def test_what_nobody_can_read_is_refused_and_leaves_nothing() -> None:
    us = FakeNetwork().peer("10.0.0.1")
    with pytest.raises(SipError):
        us.endpoint.take_back(
            us.now, flow=us.flow(("10.0.0.2", 5060)), invite=InviteSnapshot("sip:10.0.0.2", ())
        )
    assert (us.endpoint.session_count, us.endpoint.transaction_count) == (0, 0)
