"""An ACK with the INVITE's branch and a To tag of the caller's invention, as pyVoIP 1.6.8 sends it."""

from __future__ import annotations

import pytest

from sip_stack.events import Acknowledged, InviteReceived
from tests.support.sip_text import Alone, sip_request, statuses

BRANCH = "z9hG4bKpyvoip"


def answered() -> Alone:
    """A called side that has answered and waits for the ACK."""
    us = Alone()
    us.receive(sip_request("INVITE", branch=BRANCH))
    (invited,) = (event for event in us.events if isinstance(event, InviteReceived))
    invited.session.answer(us.now, body=b"v=0\r\n")
    us.drain()
    return us


def test_it_counts_for_the_answer_of_that_invite() -> None:
    us = answered()
    us.receive(sip_request("ACK", branch=BRANCH, to_tag="invented", contact=None))
    assert us.names()[-1] == Acknowledged.__name__
    assert us.wait(40.0) == [], "neither the answer again nor a BYE"


@pytest.mark.parametrize(
    ("branch", "from_tag", "call_id"),
    [("z9hG4bKother", "them", "call-1"), (BRANCH, "another", "call-1"), (BRANCH, "them", "call-2")],
)
def test_a_stranger_acknowledges_nothing(branch: str, from_tag: str, call_id: str) -> None:
    us = answered()
    us.receive(
        sip_request("ACK", branch=branch, from_tag=from_tag, call_id=call_id, to_tag="invented", contact=None)
    )
    assert Acknowledged.__name__ not in us.names()
    assert statuses(us.wait(1.0)) == [200], "the answer again"
