"""Requests of ours outside any dialog, and what is told of their answers (RFC 3261 section 8.1)."""

from __future__ import annotations

import pytest

from sip_stack.auth import Credentials
from sip_stack.errors import LocalError
from sip_stack.events import OutOfDialogCompleted
from sip_stack.message import NameAddr, Request
from tests.support.sip_text import FLOW, Alone, sip_response


def options(alone: Alone, credentials: Credentials | None = None) -> Request:
    alone.endpoint.request(
        alone.now,
        flow=FLOW,
        method="OPTIONS",
        uri="sip:them@10.0.0.2",
        from_=NameAddr.parse("<sip:us@10.0.0.1>"),
        to=NameAddr.parse("<sip:them@10.0.0.2>"),
        credentials=credentials,
        owner="keep-alive",
    )
    (request,) = alone.drain()
    assert isinstance(request, Request)
    return request


def completed(alone: Alone) -> OutOfDialogCompleted:
    (event,) = alone.events
    assert isinstance(event, OutOfDialogCompleted)
    return event


def test_options_outside_a_dialog() -> None:
    alone = Alone()
    request = options(alone)
    alone.receive(sip_response(request, 100))
    alone.receive(sip_response(request, 200))
    event = completed(alone)
    assert event.response is not None
    assert event.request.owner == "keep-alive"


def test_options_into_silence() -> None:
    alone = Alone()
    options(alone)
    alone.wait(33)
    assert (completed(alone).response, completed(alone).reason) == (None, "timeout")


def test_challenged_options() -> None:
    alone = Alone()
    request = options(alone, Credentials("u", "p"))
    challenge = ['WWW-Authenticate: Digest realm="r", nonce="n"']
    (retry,) = alone.receive(sip_response(request, 401, headers=challenge))
    assert isinstance(retry, Request)
    assert retry.cseq.number == 2
    assert alone.receive(sip_response(retry, 401, headers=challenge)) == []
    event = completed(alone)
    assert event.response is not None
    assert event.response.status == 401


def test_an_invite_is_no_request_outside_a_dialog() -> None:
    alone = Alone()
    address = NameAddr.parse("<sip:us@10.0.0.1>")
    with pytest.raises(LocalError):
        alone.endpoint.request(0.0, flow=FLOW, method="INVITE", uri="sip:x", from_=address, to=address)
