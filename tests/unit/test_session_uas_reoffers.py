"""re-INVITE and UPDATE of a call we received, from either side: RFC 3261 section 14, RFC 3311."""

from __future__ import annotations

from sip_stack.dialog import SessionState
from sip_stack.events import Acknowledged, Ended, ReofferReceived
from sip_stack.message import Request
from tests.support.called_side import NO_OFFER, OFFER, ack, answer, established, incoming, within
from tests.support.sip_text import Alone, sip_request, sip_response, statuses


def reoffered(alone: Alone) -> ReofferReceived:
    return next(event for event in reversed(alone.events) if isinstance(event, ReofferReceived))


def test_a_reinvite_is_answered_and_acknowledged() -> None:
    alone = Alone()
    session = established(alone)
    assert statuses(alone.receive(within(session, "INVITE", 2, b"v=0\r\ns=hold\r\n"))) == [100]
    event = reoffered(alone)
    session.answer_reoffer(alone.now, event.transaction, b"v=0\r\ns=held\r\n")
    (response,) = alone.drain()
    assert (response.body, response.to.tag) == (b"v=0\r\ns=held\r\n", session.local_tag)
    assert statuses(alone.wait(0.6)) == [200], "repeated until its ACK"
    alone.receive(ack(session, cseq=2))
    assert statuses(alone.wait(10)) == []
    assert alone.names()[-2:] == ["ReofferReceived", "Acknowledged"]


def test_an_unacknowledged_reinvite_ends_the_call() -> None:
    alone = Alone()
    session = established(alone)
    alone.receive(within(session, "INVITE", 2, OFFER))
    session.answer_reoffer(alone.now, reoffered(alone).transaction, OFFER)
    assert statuses(alone.wait(33))[-1] == "BYE"
    (ended,) = [event for event in alone.events if isinstance(event, Ended)]
    assert ended.by == "no_ack"


def test_a_reinvite_before_the_ack_of_the_answer() -> None:
    """RFC 5407 section 3.1.4: offer and answer are exchanged, only the ACK is late; the re-INVITE is served."""
    alone = Alone()
    session = incoming(alone)
    answer(alone, session)
    assert statuses(alone.receive(within(session, "INVITE", 2, OFFER))) == [100]
    session.answer_reoffer(alone.now, reoffered(alone).transaction, OFFER)
    alone.drain()
    assert statuses(alone.receive(within(session, "INVITE", 3, OFFER))) == [500]
    alone.receive(ack(session, cseq=1))
    alone.receive(ack(session, cseq=2))
    assert len([event for event in alone.events if isinstance(event, Acknowledged)]) == 2
    assert statuses(alone.receive(within(session, "INVITE", 4, OFFER))) == [100]


def test_a_reinvite_while_our_offer_waits_for_the_ack_is_glare() -> None:
    alone = Alone()
    session = incoming(alone, NO_OFFER)
    answer(alone, session)
    assert statuses(alone.receive(within(session, "INVITE", 2, OFFER))) == [491]
    assert statuses(alone.receive(within(session, "UPDATE", 3, OFFER))) == [491]


def test_a_cancelled_reinvite_leaves_the_call() -> None:
    alone = Alone()
    session = established(alone)
    alone.receive(within(session, "INVITE", 2, OFFER, branch="z9hG4bKre"))
    assert statuses(
        alone.receive(sip_request("CANCEL", branch="z9hG4bKre", to_tag=session.local_tag, cseq=2))
    ) == [
        200,
        487,
    ]
    session.answer_reoffer(alone.now, reoffered(alone).transaction, OFFER)
    assert alone.drain() == []
    assert session.state is SessionState.CONFIRMED
    assert statuses(alone.receive(within(session, "INVITE", 3, OFFER))) == [100]


def test_bye_during_their_reinvite_answers_it() -> None:
    """Section 15.1.2: a pending request gets 487."""
    alone = Alone()
    session = established(alone)
    alone.receive(within(session, "INVITE", 2, OFFER))
    assert statuses(alone.receive(within(session, "BYE", 3))) == [200, 487]
    session.refuse(alone.now, reoffered(alone).transaction, 488)
    assert alone.drain() == []


def test_our_bye_during_their_reinvite_answers_it() -> None:
    alone = Alone()
    session = established(alone)
    alone.receive(within(session, "INVITE", 2, OFFER))
    session.bye(alone.now)
    assert statuses(alone.drain()) == [487, "BYE"]
    assert statuses(alone.receive(within(session, "INVITE", 3, OFFER))) == [481]


def test_update_with_an_offer_is_answered_without_ack() -> None:
    alone = Alone()
    session = established(alone)
    assert statuses(alone.receive(within(session, "UPDATE", 2, OFFER))) == []
    session.answer_reoffer(alone.now, reoffered(alone).transaction, OFFER)
    (response,) = alone.drain()
    assert statuses([response]) == [200]
    assert response.headers.get("Contact") == "<sip:10.0.0.1:5060>"
    assert statuses(alone.wait(40)) == []


def test_update_without_a_body_refreshes_the_target() -> None:
    alone = Alone()
    session = established(alone)
    update = sip_request("UPDATE", to_tag=session.local_tag, cseq=2, contact="<sip:them@10.0.0.9:5070>")
    assert statuses(alone.receive(update)) == [200]
    session.bye(alone.now)
    (bye,) = alone.drain()
    assert isinstance(bye, Request)
    assert bye.uri == "sip:them@10.0.0.9:5070"
    assert alone.transmits[-1].flow.remote == ("10.0.0.9", 5070)


def test_update_before_the_answer_comes_too_early() -> None:
    """RFC 3311 section 5.2: their offer has no answer yet."""
    alone = Alone()
    session = incoming(alone)
    session.progress(alone.now, 183)
    alone.drain()
    (refused,) = alone.receive(within(session, "UPDATE", 2, OFFER))
    assert statuses([refused]) == [500]
    assert "Retry-After" in refused.headers
    assert statuses(alone.receive(within(session, "INVITE", 3, OFFER))) == [500]


def test_update_during_a_reinvite() -> None:
    alone = Alone()
    session = established(alone)
    alone.receive(within(session, "INVITE", 2, OFFER))
    assert statuses(alone.receive(within(session, "UPDATE", 3, OFFER))) == [500]

    theirs = reoffered(alone)
    session.refuse(alone.now, theirs.transaction, 488)
    session.reoffer(alone.now, OFFER)
    assert statuses(alone.drain()) == [488, "INVITE"]
    assert statuses(alone.receive(within(session, "UPDATE", 4, OFFER))) == [491]


def test_a_refused_reinvite_does_not_move_the_target() -> None:
    """RFC 6141: a Contact counts once the request is accepted."""
    alone = Alone()
    session = established(alone)
    data = sip_request("INVITE", to_tag=session.local_tag, cseq=2, contact="<sip:moved@10.0.0.9>", body=OFFER)
    alone.receive(data)
    session.refuse(alone.now, reoffered(alone).transaction, 488)
    assert session.remote_contact == "sip:them@10.0.0.2:5060"


def test_our_reoffer_waits_for_their_reinvite() -> None:
    alone = Alone()
    session = established(alone)
    alone.receive(within(session, "INVITE", 2, OFFER))
    session.reoffer(alone.now, OFFER)
    assert alone.drain() == []
    session.answer_reoffer(alone.now, reoffered(alone).transaction, OFFER)
    assert statuses(alone.drain()) == [200]
    (reinvite,) = alone.receive(ack(session, cseq=2))
    assert isinstance(reinvite, Request)
    assert reinvite.method == "INVITE"
    assert statuses(alone.receive(sip_response(reinvite, 200))) == ["ACK"]


def test_a_glare_retry_of_the_called_side_comes_within_two_seconds() -> None:
    alone = Alone()
    session = established(alone)
    session.reoffer(alone.now, OFFER)
    (first,) = alone.drain()
    assert isinstance(first, Request)
    alone.receive(sip_response(first, 491))
    assert {message.cseq.number for message in alone.wait(2.0)} == {first.cseq.number + 1}
