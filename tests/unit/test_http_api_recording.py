"""Recording over HTTP: what is answered, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.api_client import ApiClient, error_of

RECORDING = "/v1/calls/call-1/recording"


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def test_a_live_call_is_recorded_paused_resumed_and_let_be(api: ApiClient) -> None:
    states = [api.post(RECORDING + step).json()["state"] for step in ("", "/pause", "/resume")]
    assert states == ["recording", "paused", "recording"]
    assert api.get("/v1/calls/call-1").json()["recordings"][0]["path"] == "recordings/call-1.wav"
    assert api.delete(RECORDING).status_code == 200
    for step in ("/pause", "/resume"):
        assert error_of(api.post(RECORDING + step))[:2] == (409, "not_recording")
    assert error_of(api.delete(RECORDING))[:2] == (409, "not_recording")
    assert error_of(api.post("/v1/calls/nobody/recording"))[:2] == (404, "call_not_found")


def test_a_call_of_our_own_may_be_recorded_from_its_answer(api: ApiClient) -> None:
    assert api.post("/v1/calls", {"destination": "billing", "record": True}).status_code == 202
    assert [order.record for order in api.control.orders] == [True]
    refused = api.post("/v1/calls", {"destination": "billing", "record": True, "call_id": "call-1"})
    assert error_of(refused) == (400, "invalid_request", "record")
