"""Consulting a human over HTTP: what is asked for, what comes next, and when nothing may."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.api_client import ApiClient, error_of


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def test_a_consultation_is_asked_for_and_led(api: ApiClient) -> None:
    asked = {"destination": "billing", "consult": True, "brief": "on_answer", "consult_timeout": "45s"}
    answer = api.hand_off(asked)
    assert answer.status_code == 202
    assert answer.json()["consult"] == "waiting"
    (request,) = api.control.requests
    assert (request.consult, request.brief, request.consult_timeout) == (True, "on_answer", 45.0)
    where = answer.headers["location"]
    phases = {"brief": "briefing", "introduce": "introducing", "decline": "declined", "accept": "accepted"}
    for verb, phase in phases.items():
        told = api.post(f"{where}/{verb}")
        assert (told.status_code, told.json()["consult"]) == (202, phase)
        assert told.headers["location"] == where


@pytest.mark.parametrize("verb", ["brief", "introduce", "accept", "decline"])
def test_what_cannot_be_led(api: ApiClient, verb: str) -> None:
    assert error_of(api.post(f"/v1/handoffs/none/{verb}"))[:2] == (404, "handoff_not_found")
    where = api.hand_off({"destination": "billing"}).headers["location"]
    assert api.get(where).json()["consult"] is None
    assert error_of(api.post(f"{where}/{verb}"))[:2] == (409, "not_consulting")
    api.control.finish(where.rpartition("/")[2])
    assert error_of(api.post(f"{where}/{verb}"))[:2] == (409, "handoff_final")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"brief": "on_answer"}, "brief"),
        ({"consult_timeout": "20s"}, "consult_timeout"),
        ({"consult": True, "release_assistant": "before_dial"}, "release_assistant"),
        ({"consult": "yes"}, "consult"),
        ({"consult": True, "consult_timeout": 0}, "consult_timeout"),
    ],
)
def test_what_does_not_go_together_is_refused(api: ApiClient, body: dict[str, object], field: str) -> None:
    answer = api.hand_off({"destination": "billing", **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
    assert not api.control.requests
