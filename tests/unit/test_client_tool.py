"""`connect_to_live_agent`: what a model is told, whatever happens."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx2
import pytest

from b2bua.call import cause
from b2bua.client import (
    FAILURE_REASONS,
    AsyncClient,
    Client,
    OnCall,
    ToolResult,
    anthropic_tool,
    connect_to_live_agent,
    connect_to_live_agent_async,
    exchange,
    openai_responses_tool,
    openai_tool,
)
from b2bua.client.tool import REASON_OF_CODE, REASON_OF_OUTCOME
from b2bua.handoff.handoff import HandoffState
from b2bua.http_api.documented import ERRORS
from tests.support.api_client import KEY, ApiClient
from tests.unit.test_client import reach

PUBLISHED = {
    "missing_outbound_number_id",
    "outbound_number_not_found",
    "telephony_number_not_found",
    "transfer_number_not_configured",
    "telephony_service_unavailable",
    "conference_service_unavailable",
    "unavailable",
    "cancelled",
    "exception",
}


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ApiClient:
    monkeypatch.setattr(exchange, "DELAYS", ())
    monkeypatch.setattr(exchange, "POLL_SECONDS", 0.0)
    return ApiClient(tmp_path)


def ending(api: ApiClient, state: HandoffState, event: str) -> OnCall:
    """A call in which every handoff has ended like this by the time that somebody looks."""
    look = api.control._handoff

    def handoff(handoff_id: str) -> object:
        found = look(handoff_id)
        found.state = state
        found.outcome = None if state is HandoffState.CONNECTED else cause.local(event)
        return found

    api.control._handoff = handoff  # type: ignore[method-assign,assignment]
    return reach(api).on_call("call-1")


def test_a_success(api: ApiClient) -> None:
    result = connect_to_live_agent(
        ending(api, HandoffState.CONNECTED, ""), {"destination": "billing", "reason": "r"}
    )

    assert (result["status"], result["reason"], result["conference_id"]) == ("success", None, "handoff-1")
    (request,) = api.control.requests
    assert (request.destination, request.reason) == ("billing", "r")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("busy", "unavailable"),
        ("ring_timeout", "unavailable"),
        ("auth_rejected", "telephony_service_unavailable"),
        ("unallocated", "transfer_number_not_configured"),
        ("media_engine_lost", "conference_service_unavailable"),
        ("cancel", "cancelled"),
        ("internal_error", "exception"),
    ],
)
def test_a_failure_has_a_published_reason_and_a_sentence(api: ApiClient, event: str, reason: str) -> None:
    result = connect_to_live_agent(ending(api, HandoffState.FAILED, event), "{}")

    assert (result["status"], result["reason"]) == ("failed", reason)
    assert result["message"] == FAILURE_REASONS[reason]
    assert result["conference_id"] == "handoff-1"


def test_every_outcome_and_every_reason_is_known() -> None:
    assert {row.name for row in cause.CAUSES.values()} == set(REASON_OF_OUTCOME)
    assert set(REASON_OF_CODE) < {error.code for error in ERRORS}
    assert set(FAILURE_REASONS) == PUBLISHED
    given = {*REASON_OF_OUTCOME.values(), *REASON_OF_CODE.values()}
    assert all(FAILURE_REASONS[reason] for reason in given)


@pytest.mark.parametrize(
    ("call_id", "arguments", "reason"),
    [
        ("call-1", {"destination": "nobody"}, "transfer_number_not_configured"),
        ("call-1", {"destination": "x" * 100}, "exception"),
        ("call-2", {}, "unavailable"),
        ("call-3", {}, "cancelled"),
        ("call-9", {}, "cancelled"),
        ("call-1", "not json", "exception"),
        ("call-1", "[]", "exception"),
    ],
)
def test_a_handoff_that_never_begins(api: ApiClient, call_id: str, arguments: object, reason: str) -> None:
    result = connect_to_live_agent(reach(api).on_call(call_id), arguments)  # type: ignore[arg-type]

    assert (result["status"], result["reason"], result["conference_id"]) == ("failed", reason, None)


def test_a_b2bua_that_is_not_there_or_does_not_know_us(api: ApiClient) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    for client in (Client(transport=httpx2.MockTransport(refuse)), reach(api, "wrong")):
        assert connect_to_live_agent(client.on_call("c"), {})["reason"] == "telephony_service_unavailable"


def test_nobody_answers_in_time(api: ApiClient) -> None:
    result = connect_to_live_agent(reach(api).on_call("call-1"), {"destination": "billing"}, seconds=0)

    assert (result["reason"], result["conference_id"]) == ("unavailable", "handoff-1")
    assert api.control.live["handoff-1"].state is HandoffState.CANCELLED


def test_somebody_answers_in_the_last_moment(api: ApiClient) -> None:
    cancel = api.control.cancel_handoff

    def too_late(handoff_id: str) -> object:
        api.control.live[handoff_id].state = HandoffState.COMPLETED
        return cancel(handoff_id)

    api.control.cancel_handoff = too_late  # type: ignore[method-assign,assignment]

    result = connect_to_live_agent(reach(api).on_call("call-1"), {}, seconds=0)

    assert result["status"] == "success"


def test_what_a_model_makes_up_is_left_out(api: ApiClient) -> None:
    connect_to_live_agent(
        reach(api).on_call("call-1"), {"route": "sip:x@y", "reason": 7, "destination": ""}, seconds=0
    )

    (request,) = api.control.requests
    assert (request.route, request.reason, request.destination) == ((), "7", "desk")


@pytest.mark.parametrize(
    ("call_id", "seconds", "reason"), [("call-1", 0, "unavailable"), ("call-3", 5, "cancelled")]
)
def test_the_other_one_does_the_same(api: ApiClient, call_id: str, seconds: float, reason: str) -> None:
    async def story() -> ToolResult:
        transport = httpx2.ASGITransport(api.app)
        async with AsyncClient("http://127.0.0.1", KEY, transport=transport) as client:
            return await connect_to_live_agent_async(client.on_call(call_id), "{}", seconds=seconds)

    assert asyncio.run(story())["reason"] == reason


def test_the_definition_names_every_destination(api: ApiClient) -> None:
    destinations = reach(api).destinations()
    chat = openai_tool(destinations)
    anthropic = anthropic_tool(destinations)

    assert chat["type"] == "function"
    assert openai_responses_tool(destinations) == {"type": "function", **chat["function"]}
    assert anthropic["input_schema"] == chat["function"]["parameters"]
    assert anthropic["name"] == "connect_to_live_agent"
    schema = anthropic["input_schema"]
    assert schema["properties"]["destination"]["enum"] == ["desk", "billing", "back"]
    assert "billing: Billing disputes and refunds" in schema["properties"]["destination"]["description"]
    assert "Left out, it is desk." in schema["properties"]["destination"]["description"]
    json.dumps([chat, anthropic])
