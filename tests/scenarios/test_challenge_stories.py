"""Digest challenges between two endpoints: answered once, on the way to an answer, a CANCEL or a BYE.

RFC 3261 section 22.
"""

from __future__ import annotations

import pytest

from sip_stack.auth import Credentials
from sip_stack.events import (
    Answered,
    Cancelled,
    Challenged,
    Ended,
    InviteReceived,
    Rejected,
)
from sip_stack.message import response_to
from tests.support.two_endpoints import ANSWER, World


def challenge(status: int) -> list[tuple[str, str]]:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return [(name, 'Digest realm="cc", nonce="n1", qop="auth", algorithm=MD5')]


CREDENTIALS = Credentials("acme", "secret")


@pytest.mark.parametrize("status", [401, 407])
def test_challenge_after_100(world: World, status: int) -> None:
    """Pitfalls 11, 12 and 13: same Call-ID and From tag, new branch, CSeq + 1, no To tag, ACK with the old ones;
    the ACK to the answer has the credentials and the CSeq of the second INVITE."""
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


def test_403_after_ringing_is_of_the_call_and_not_of_the_credentials(world: World) -> None:
    """Asterisk says so when its dialplan rejects a call with cause 21."""
    world.alice.invite(world.bob, credentials=CREDENTIALS)
    world.network.run_for(0.1)
    world.bob.all(InviteReceived)[-1].session.reject(world.network.now, 407, headers=challenge(407))
    world.network.run_for(0.1)
    session = world.bob.all(InviteReceived)[-1].session
    session.progress(world.network.now, 180)
    session.reject(world.network.now, 403)
    world.network.run_for(0.1)

    assert world.alice.one(Rejected).auth is None


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
