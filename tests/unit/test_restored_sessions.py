"""Sessions that go on in another process after the one that had them was killed, in virtual time."""

from __future__ import annotations

import pytest

from sip_stack.dialog import ClientSession, ServerSession, Session, SessionState
from sip_stack.dialog.restored import SessionSnapshot
from sip_stack.dialog.snapshot import UNSEEN_REQUESTS, DialogSnapshot
from sip_stack.errors import LocalError
from sip_stack.events import (
    Answered,
    Ended,
    InviteReceived,
    RefreshDue,
    ReofferCompleted,
    ReofferReceived,
    RequestReceived,
)
from sip_stack.extensions import NO_EXTENSIONS, Extensions, TimerTerms
from sip_stack.settings import EndpointSettings
from tests.support.fake_network import FakeNetwork, Peer

TIMER = Extensions(TimerTerms("supported", 90))
SETTINGS = EndpointSettings(allow=("INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO"), supported=("timer",))
NO_UPDATE = EndpointSettings(allow=("INVITE", "ACK", "BYE", "CANCEL"), supported=("timer",))
SDP = b"v=0\r\n"


class Survived:
    """A call between us, who are killed, and a far end, who hears nothing of that."""

    def __init__(
        self, *, we_call: bool, extensions: Extensions = NO_EXTENSIONS, theirs: EndpointSettings = SETTINGS
    ) -> None:
        self.network = FakeNetwork()
        self.before = self.network.peer("10.0.0.1", SETTINGS)
        self.them = self.network.peer("10.0.0.2", theirs)
        caller, callee = (self.before, self.them) if we_call else (self.them, self.before)
        caller.invite(callee, extensions=extensions)
        self.network.run_for(0.1)
        answering = callee.one(InviteReceived).session
        answering.use(extensions)
        answering.answer(self.network.now, body=SDP)
        self.network.run_for(0.1)
        calling = caller.one(Answered).session
        self.theirs: ClientSession | ServerSession
        old, self.theirs = (calling, answering) if we_call else (answering, calling)
        assert old.dialog is not None
        self.old: ClientSession | ServerSession = old
        self.dialog = DialogSnapshot.of(old.dialog)
        self.session = SessionSnapshot.of(old)
        self.extensions = extensions

    def restore(self) -> tuple[Peer, Session]:
        """Another process of ours that goes on."""
        us = self.network.successor(self.before)
        return us, self.restore_at(us)

    def restore_at(self, us: Peer) -> Session:
        """The session in that process."""
        return us.endpoint.restore(
            us.now,
            flow=us.flow(self.them.address),
            dialog=self.dialog,
            session=self.session,
            extensions=self.extensions,
        )

    def settled(self, us: Peer) -> None:
        """Nothing is left over on either side."""
        self.network.run_out()
        for peer in (us, self.them):
            assert (peer.endpoint.session_count, peer.endpoint.transaction_count) == (0, 0)


both = pytest.mark.parametrize("we_call", [True, False])


@both
def test_they_hang_up(we_call: bool) -> None:
    survived = Survived(we_call=we_call)
    us, session = survived.restore()
    assert session.state is SessionState.CONFIRMED
    survived.theirs.bye(us.now)
    survived.network.run_for(1)
    assert us.one(Ended).by == "remote"
    assert survived.them.one(Ended).by == "local"
    survived.settled(us)


@both
def test_we_hang_up_with_a_number_that_no_request_before_can_have_had(we_call: bool) -> None:
    survived = Survived(we_call=we_call)
    us, session = survived.restore()
    session.bye(us.now)
    survived.network.run_for(1)
    bye = survived.them.one(Ended).message
    assert bye is not None
    assert bye.cseq.number > survived.dialog.local_cseq + UNSEEN_REQUESTS
    assert us.one(Ended).by == "local"
    survived.settled(us)


@both
def test_either_side_offers_anew(we_call: bool) -> None:
    survived = Survived(we_call=we_call)
    us, session = survived.restore()
    session.reoffer(us.now, SDP)
    survived.network.run_for(0.1)
    offered = survived.them.one(ReofferReceived)
    assert offered.request.contact is not None
    assert offered.request.contact.uri == "sip:10.0.0.1:5060"
    survived.theirs.answer_reoffer(us.now, offered.transaction, SDP)
    survived.network.run_for(0.1)
    assert us.one(ReofferCompleted).response is not None

    survived.theirs.reoffer(us.now, SDP)
    survived.network.run_for(0.1)
    session.answer_reoffer(us.now, us.one(ReofferReceived).transaction, SDP)
    survived.network.run_for(0.1)
    assert survived.them.one(ReofferCompleted).response is not None
    survived.theirs.request(us.now, "INFO")
    survived.network.run_for(0.1)
    session.respond(us.now, us.one(RequestReceived).transaction, 200)
    session.bye(us.now)
    survived.settled(us)


@both
def test_who_owns_the_call_id_waits_longer_after_a_glare(we_call: bool) -> None:
    _, session = Survived(we_call=we_call).restore()
    assert (session.glare_delay() >= 2.1) is we_call
    assert SessionSnapshot.of(session).we_called is we_call, "and so does the process after that"


def test_what_they_sent_before_is_out_of_order_now() -> None:
    survived = Survived(we_call=False)
    us, session = survived.restore()
    assert session.dialog is not None
    assert session.dialog.remote_cseq == 1
    assert survived.theirs.dialog is not None
    survived.theirs.dialog.local_cseq = 0
    survived.theirs.reoffer(us.now, SDP)
    survived.network.run_for(0.1)
    assert us.all(ReofferReceived) == []


def test_a_session_is_restored_once() -> None:
    survived = Survived(we_call=True)
    us, _ = survived.restore()
    with pytest.raises(LocalError):
        survived.restore_at(us)
    assert us.endpoint.session_count == 1


# -- session timers --------------------------------------------------------------------------------------------------


def test_a_refresh_of_ours_goes_out_at_once_as_nobody_knows_when_the_last_one_was() -> None:
    survived = Survived(we_call=True, extensions=Extensions(TimerTerms("supported", 90, refresher="us")))
    us, session = survived.restore()
    survived.network.run_for(0.1)
    assert [each.title for each in survived.network.wire.log[-2:]] == ["UPDATE", "200 UPDATE"]
    survived.network.run_for(1000)
    assert session.state is SessionState.CONFIRMED
    assert survived.theirs.state is SessionState.CONFIRMED, "it is kept alive from then on"
    session.bye(us.now)
    survived.settled(us)


def test_who_takes_no_update_is_offered_what_is_in_force() -> None:
    terms = Extensions(TimerTerms("supported", 90, refresher="us"))
    survived = Survived(we_call=True, extensions=terms, theirs=NO_UPDATE)
    us, _ = survived.restore()
    survived.network.run_for(0.1)
    assert len(us.all(RefreshDue)) == 1


def test_who_refreshes_gets_a_whole_interval_and_no_more() -> None:
    survived = Survived(we_call=False, extensions=TIMER)
    us, session = survived.restore()
    survived.network.run_for(1000)
    assert session.state is SessionState.CONFIRMED, "they refresh"
    survived.network.wire.cut("10.0.0.2")
    survived.network.run_for(100)
    assert us.one(Ended).by == "expired"


def test_what_was_agreed_on_holds_though_timers_are_disabled_by_now() -> None:
    survived = Survived(we_call=True, extensions=Extensions(TimerTerms("supported", 90, refresher="us")))
    survived.extensions = NO_EXTENSIONS
    us, session = survived.restore()
    survived.network.run_for(1000)
    assert survived.theirs.state is SessionState.CONFIRMED
    session.bye(us.now)
    survived.settled(us)


# -- what comes before the session is there --------------------------------------------------------------------------


def test_a_bye_that_comes_while_sessions_are_restored_waits_for_its_own() -> None:
    survived = Survived(we_call=False)
    us = survived.network.successor(survived.before)
    us.endpoint.await_sessions()
    survived.theirs.bye(us.now)
    survived.network.run_for(2.0)
    assert survived.them.all(Ended) == [], "no 481, which would end it for one side alone"
    survived.restore_at(us)
    us.endpoint.sessions_restored(us.now)
    survived.network.run_for(0.1)
    assert (us.one(Ended).by, survived.them.one(Ended).by) == ("remote", "local")
    survived.settled(us)


def test_what_waited_in_vain_is_refused_as_ever() -> None:
    survived = Survived(we_call=False)
    us = survived.network.successor(survived.before)
    us.endpoint.await_sessions()
    survived.theirs.bye(us.now)
    survived.network.run_for(0.2)
    us.endpoint.sessions_restored(us.now)
    survived.network.run_for(1.0)
    assert survived.network.wire.titles(us.address)[-1] == "481 BYE"
    survived.settled(us)


@both
def test_their_answer_to_an_offer_of_the_process_before_is_acknowledged(we_call: bool) -> None:
    stage = Survived(we_call=we_call)
    stage.old.reoffer(stage.network.now, SDP)
    stage.before.drain()
    stage.network.run_for(0.05)
    reoffer = stage.them.one(ReofferReceived)
    us, session = stage.restore()
    stage.theirs.answer_reoffer(stage.network.now, reoffer.transaction, SDP)
    stage.network.run_for(64.0)
    assert stage.theirs.state is SessionState.CONFIRMED, "they wait for the ACK no more"
    assert us.endpoint.counters.strays == 0
    session.bye(us.now)
    stage.settled(us)


def test_only_what_the_process_before_may_have_asked_is_acknowledged_for_it() -> None:
    stage = Survived(we_call=True)
    us, session = stage.restore()
    assert session.dialog is not None
    after = session.dialog.local_cseq + 1
    theirs = session.remote_tag
    for cseq, tag in ((f"{after} INVITE", theirs), ("1 INVITE", "stranger"), ("1 OPTIONS", theirs)):
        lines = (
            "SIP/2.0 200 OK",
            "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx",
            f"From: {session.dialog.local}",
            f"To: <sip:10.0.0.2>;tag={tag}",
            f"Call-ID: {session.call_id}",
            f"CSeq: {cseq}",
            "Content-Length: 0",
        )
        data = "\r\n".join((*lines, "", "")).encode()
        us.endpoint.receive(data, us.flow(stage.them.address), us.now)
    assert us.endpoint.transmits() == []
    assert us.endpoint.counters.strays == 3
    session.bye(us.now)
    stage.settled(us)
