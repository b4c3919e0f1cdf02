"""Placing and joining calls over HTTP: what arrives behind the API, and what is refused at its edge."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.api_client import ApiClient, error_of

ROUTE = {"route": "sip:anna@cc.example.com", "encryption": "udp/rtp"}
SECRET = "a-secret-of-anna"


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def test_a_call_is_placed_with_credentials_that_never_come_back(api: ApiClient) -> None:
    answer = api.post(
        "/v1/calls",
        {**ROUTE, "sip_auth_username": "acme", "sip_auth_password": SECRET, "caller_id": "+15550001000"},
        Idempotency_Key="one",
    )
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/calls/{answer.json()['call_id']}"
    assert SECRET not in answer.text
    (order,) = api.control.orders
    assert order.request.credentials is not None
    assert order.request.credentials.username == "acme"
    assert SECRET not in repr(order)
    assert (order.from_user, order.call_id, order.request.consult) == ("+15550001000", "", False)
    assert order.request.idempotency_key == "one"


def test_beside_a_live_call_it_is_a_consultation(api: ApiClient) -> None:
    answer = api.post("/v1/calls", {"destination": "billing", "call_id": "call-1", "brief": "on_answer"})
    assert answer.status_code == 202
    assert answer.json()["handoffs"][0]["consult"] == "waiting"
    (order,) = api.control.orders
    assert (order.request.consult, order.request.brief) == (True, "on_answer")
    assert error_of(api.post("/v1/calls", {"call_id": "nobody"}))[:2] == (404, "call_not_found")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"destination": "nowhere"}, "unknown_destination", "destination"),
        ({"route": "sip:anna@elsewhere.example", "encryption": "udp/rtp"}, "policy_refused", "route[0]"),
        ({**ROUTE, "sip_auth_username": "acme"}, "invalid_request", "sip_auth_password"),
        (
            {"destination": "billing", "sip_auth_username": "a", "sip_auth_password": SECRET},
            "invalid_request",
            "sip_auth_username",
        ),
        ({"destination": "billing", "brief": "on_answer"}, "invalid_request", "brief"),
        ({"call_id": "call-1", "caller_id": "4711"}, "invalid_request", "caller_id"),
        ({"destination": "billing", **ROUTE}, "invalid_request", "route"),
        ({"caller_id": "a>b"}, "invalid_request", "caller_id"),
        ({"sip_headers": {"X-A": "a\r\nb"}}, "invalid_request", "sip_headers"),
    ],
)
def test_what_cannot_be_placed(api: ApiClient, body: dict[str, object], code: str, field: str) -> None:
    assert error_of(api.post("/v1/calls", body)) == (400, code, field)


def test_calls_are_joined(api: ApiClient) -> None:
    answer = api.post("/v1/calls/call-1/bridge", {"call_id": "call-1"})
    assert (answer.status_code, answer.json()["call_id"]) == (200, "call-1")
    for other, expected in (("call-2", (409, "call_not_answered")), ("call-3", (409, "call_ended"))):
        assert error_of(api.post("/v1/calls/call-1/bridge", {"call_id": other}))[:2] == expected
    assert error_of(api.post("/v1/calls/call-1/bridge", {"call_id": "none"}))[:2] == (404, "call_not_found")
    assert error_of(api.post("/v1/calls/call-1/bridge", {}))[:2] == (400, "invalid_request")
