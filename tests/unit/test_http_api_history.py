"""What is kept, over HTTP: pages of handoffs, contexts without a call, outcomes, annotations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from b2bua.http_api import answers
from b2bua.http_api.note_bodies import AnnotationBody, ContextBody, OutcomeBody
from b2bua.store import Place
from tests.support.api_client import ApiClient, error_of

CHAT = {"channel": "webchat", "shared_id": "c-1", "reason": "refund", "data": {"customer": "C-1"}}


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def without_store(api: ApiClient) -> None:
    api.control.store = replace(api.control.store, available=False)


def test_a_context_without_a_call_is_read_as_a_handoff(api: ApiClient) -> None:
    made = api.post("/v1/handoffs", CHAT)

    assert made.status_code == 201
    handoff = made.json()
    assert (handoff["channel"], handoff["call_id"], handoff["method"], handoff["state"]) == (
        "webchat",
        None,
        None,
        "requested",
    )
    assert api.get(made.headers["location"]).json() == handoff
    assert api.get("/v1/handoffs?shared_id=c-1").json()["handoffs"] == [handoff]
    answers.Handoff.model_validate(handoff, strict=True)


def test_what_waits_for_the_store_is_202(api: ApiClient) -> None:
    handoff_id = api.post("/v1/handoffs", CHAT).json()["id"]
    without_store(api)

    answered = [
        api.post("/v1/handoffs", CHAT),
        api.post(f"/v1/handoffs/{handoff_id}/outcome", {"result": "done"}),
        api.post("/v1/calls/call-3/annotations", {"text": "well"}),
    ]

    assert [answer.status_code for answer in answered] == [202, 202, 202]
    page = api.get("/v1/handoffs?shared_id=c-1").json()
    assert page["complete"] is False
    assert error_of(api.get("/v1/handoffs/unknown")) == (503, "store_unavailable", None)
    assert error_of(api.get("/v1/handoffs?id=unknown")) == (503, "store_unavailable", None)
    ready = api.request("GET", "/readyz", key=None)
    assert (ready.status_code, ready.json()["store"]["available"]) == (200, False)


def test_the_human_side_says_what_became_of_it(api: ApiClient) -> None:
    handoff = api.hand_off({"destination": "billing"}).json()
    assert handoff["resolution"] is None

    said = {"result": "refunded", "agent": "ann", "note": "Sent\na new one.", "data": {"amount": 12.5}}
    answer = api.post(f"/v1/handoffs/{handoff['id']}/outcome", said)

    assert answer.status_code == 201
    resolution = answer.json()["resolution"]
    assert {key: resolution[key] for key in said} == said
    assert api.get(f"/v1/handoffs/{handoff['id']}").json()["resolution"] == resolution
    assert error_of(api.post("/v1/handoffs/nobody/outcome", said)) == (404, "handoff_not_found", None)


def test_calls_are_annotated(api: ApiClient) -> None:
    note = api.post("/v1/calls/call-3/annotations", {"text": "twice", "author": "ann", "data": {"n": 2}})

    assert note.status_code == 201
    assert api.get("/v1/calls/call-3").json()["annotations"] == [note.json()]
    assert error_of(api.post("/v1/calls/nobody/annotations", {"text": "x"})) == (404, "call_not_found", None)
    for _ in range(99):
        api.post("/v1/calls/call-3/annotations", {"text": "again"})
    full = api.post("/v1/calls/call-3/annotations", {"text": "one more"})
    assert error_of(full) == (409, "too_many_annotations", None)


def test_pages(api: ApiClient) -> None:
    for _ in range(3):
        api.post("/v1/handoffs", CHAT)

    first = api.get("/v1/handoffs?shared_id=c-1&limit=2").json()
    assert len(first["handoffs"]) == 2
    assert first["next"] == "17-handoff1"
    api.get(f"/v1/handoffs?shared_id=c-1&limit=2&after={first['next']}")
    assert api.control.asked_page == (Place(17, "handoff1"), 2)


def test_the_shared_id_wins_over_the_id(api: ApiClient) -> None:
    one = api.post("/v1/handoffs", CHAT).json()
    other = api.post("/v1/handoffs", {**CHAT, "shared_id": "c-2"}).json()

    def found(query: str) -> list[str]:
        return [each["id"] for each in api.get(f"/v1/handoffs?{query}").json()["handoffs"]]

    assert found(f"id={one['id']}") == [one["id"]]
    assert found(f"id={one['id']}&shared_id=c-2") == [other["id"]]
    assert found("id=unknown") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "shared_id"),
        ("shared_id=", "shared_id"),
        ("shared_id=s&limit=0", "limit"),
        ("shared_id=s&limit=101", "limit"),
        ("shared_id=s&after=soon", "after"),
        ("shared_id=s&after=1-a;b", "after"),
        ("shared_id=s&after=" + "9" * 40 + "-a", "after"),
        ("shared_id=" + "s" * 256, "shared_id"),
        ("id=" + "s" * 129, "id"),
    ],
)
def test_questions_that_make_no_sense_are_refused(api: ApiClient, query: str, field: str) -> None:
    assert error_of(api.get(f"/v1/handoffs?{query}")) == (400, "invalid_request", field)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/handoffs", {"channel": "voice"}, "channel"),
        ("/v1/handoffs", {}, "channel"),
        ("/v1/handoffs", {**CHAT, "data": {"a": [1]}}, "data.a"),
        ("/v1/handoffs", {**CHAT, "data": {str(n): n for n in range(65)}}, "data"),
        ("/v1/handoffs", {**CHAT, "reason": "a\nb"}, "reason"),
        ("/v1/handoffs", {**CHAT, "sip_headers": {}}, "sip_headers"),
        ("/v1/handoffs/handoff-1/outcome", {}, "result"),
        ("/v1/handoffs/handoff-1/outcome", {"result": ""}, "result"),
        ("/v1/handoffs/handoff-1/outcome", {"result": "x" * 256}, "result"),
        ("/v1/calls/call-1/annotations", {"text": ""}, "text"),
        ("/v1/calls/call-1/annotations", {"text": "x" * 4097}, "text"),
        ("/v1/calls/call-1/annotations", {"text": "x\0y"}, "text"),
        ("/v1/calls/call-1/annotations", {"text": "x", "when": "now"}, "when"),
    ],
)
def test_bodies_that_are_refused(api: ApiClient, path: str, body: dict[str, object], field: str) -> None:
    assert error_of(api.post(path, body)) == (400, "invalid_request", field)


def test_the_examples_of_the_document_are_taken(api: ApiClient) -> None:
    api.hand_off({})
    for model, path in (
        (ContextBody, "/v1/handoffs"),
        (OutcomeBody, "/v1/handoffs/handoff-1/outcome"),
        (AnnotationBody, "/v1/calls/call-1/annotations"),
    ):
        (example,) = model.model_json_schema()["examples"]
        assert api.post(path, example).status_code == 201
