"""The OpenAPI document and docs/api.md: complete, and true."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from b2bua.call import cause
from b2bua.call.clock import CallClock
from b2bua.feed import EVERY_KIND, FeedEvent, LegFacts
from b2bua.handoff.handoff import HandoffRequest, HandoffState
from b2bua.http_api import answers
from b2bua.http_api.documented import ERRORS
from tests.support.api_client import KEY, ApiClient

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
CONSULT_VERBS = ("brief", "introduce", "accept", "decline")
OPEN = {"/healthz", "/readyz"}


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, of_path in document["paths"].items():
        for method, operation in of_path.items():
            yield method.upper(), path, operation


def test_every_operation_is_there_and_says_what_it_does(api: ApiClient) -> None:
    found = {(method, path) for method, path, _ in operations(api.document)}

    assert found == {
        ("GET", "/v1/calls"),
        ("GET", "/v1/calls/{call_id}"),
        ("DELETE", "/v1/calls/{call_id}"),
        ("POST", "/v1/calls"),
        ("POST", "/v1/calls/{call_id}/bridge"),
        ("POST", "/v1/calls/{call_id}/recording"),
        ("POST", "/v1/calls/{call_id}/recording/pause"),
        ("POST", "/v1/calls/{call_id}/recording/resume"),
        ("DELETE", "/v1/calls/{call_id}/recording"),
        ("POST", "/v1/calls/{call_id}/handoff"),
        ("GET", "/v1/handoffs"),
        ("POST", "/v1/handoffs"),
        ("POST", "/v1/handoffs/{handoff_id}/outcome"),
        ("POST", "/v1/calls/{call_id}/annotations"),
        ("GET", "/v1/handoffs/{handoff_id}"),
        ("DELETE", "/v1/handoffs/{handoff_id}"),
        *(("POST", f"/v1/handoffs/{{handoff_id}}/{verb}") for verb in CONSULT_VERBS),
        ("GET", "/v1/destinations"),
        ("GET", "/v1/trunks"),
        ("GET", "/v1/events"),
        ("POST", "/v1/destinations"),
        ("GET", "/v1/destinations/{name}"),
        ("PUT", "/v1/destinations/{name}"),
        ("DELETE", "/v1/destinations/{name}"),
        ("POST", "/v1/destinations/{name}/default"),
        ("POST", "/v1/destinations/{name}/duplicate"),
        ("POST", "/v1/reload"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("POST", "/v1/drain"),
        ("GET", "/v1/calls/{call_id}/trace"),
    }
    assert all(operation["description"] for _, _, operation in operations(api.document))


def test_operations_have_short_names_for_generated_clients(api: ApiClient) -> None:
    names = [operation["operationId"] for _, _, operation in operations(api.document)]

    assert "begin_handoff" in names
    assert len(set(names)) == len(names)


def test_the_document_says_what_needs_a_key(api: ApiClient) -> None:
    for method, path, operation in operations(api.document):
        without_key = api.request(method, path.replace("{", "").replace("}", ""), key=None)

        assert operation["security"] == ([] if path in OPEN else [{"key": []}])
        assert (without_key.status_code == 401) == (path not in OPEN)
    assert api.document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}


def test_no_answer_is_documented_that_is_never_given(api: ApiClient) -> None:
    for _, _, operation in operations(api.document):
        assert "422" not in operation["responses"]
    assert "HTTPValidationError" not in api.document["components"]["schemas"]


def test_every_reference_leads_somewhere(api: ApiClient) -> None:
    for name in re.findall(r"#/components/schemas/(\w+)", str(api.document)):
        assert name in api.document["components"]["schemas"]


def test_error_examples_are_errors(api: ApiClient) -> None:
    seen = set()
    for _, _, operation in operations(api.document):
        for status, response in operation["responses"].items():
            if int(status) < 400:
                continue
            content = response["content"]["application/json"]
            model = content["schema"]["$ref"].rpartition("/")[2]
            for code, example in content["examples"].items():
                answer = getattr(answers, model).model_validate(example["value"])
                assert answer.error.code == code
                seen.add(code)
    not_of_an_operation = {"not_found", "wrong_http_method", "invalid_http"}
    assert seen == {error.code for error in ERRORS} - not_of_an_operation


def test_the_example_of_a_handoff_begins_one(api: ApiClient) -> None:
    (example,) = api.document["components"]["schemas"]["HandoffBody"]["examples"]

    assert api.hand_off(example).status_code == 202


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/calls", answers.Calls),
        ("/v1/calls/call-1", answers.Call),
        ("/v1/calls/call-3", answers.Call),
        ("/v1/handoffs/handoff-1", answers.Handoff),
        ("/v1/handoffs/handoff-2", answers.Handoff),
        ("/v1/handoffs?shared_id=s-1", answers.Handoffs),
        ("/v1/handoffs/context3", answers.Handoff),
        ("/readyz", answers.Ready),
        ("/v1/destinations", answers.Destinations),
        ("/v1/destinations/billing", answers.DestinationSettings),
        ("/healthz", answers.Status),
    ],
)
def test_what_is_answered_is_what_is_described(api: ApiClient, path: str, model: type[BaseModel]) -> None:
    headers = {"X-Ticket": "1", "X-Twilio-Sid": "2"}
    api.hand_off(
        {"shared_id": "s-1", "data": {"n": 1, "f": 0.5, "b": True, "z": None}, "sip_headers": headers}
    )
    api.control.finish("handoff-1")
    api.hand_off({"shared_id": "s-1"})
    api.post("/v1/handoffs", {"channel": "sms", "shared_id": "s-1"})
    api.post("/v1/handoffs/handoff-1/outcome", {"result": "refunded", "data": {"amount": 12.5}})
    api.post("/v1/calls/call-1/annotations", {"text": "twice"})

    model.model_validate(api.get(path).json(), strict=True)


def test_a_reload_is_described_too(api: ApiClient) -> None:
    answers.Reloaded.model_validate(api.post("/v1/reload").json(), strict=True)


# -- docs/api.md --------------------------------------------------------------------------------------------------


def test_the_page_lists_every_operation(api: ApiClient) -> None:
    listed = re.findall(r"^\| `(GET|POST|PUT|DELETE) ([^`?]+)[^`]*`", PAGE, re.MULTILINE)

    expected = [(method, path) for method, path, _ in operations(api.document)]
    assert sorted(listed) == sorted([*expected, ("GET", "/openapi.json")])


def test_the_page_lists_every_event_with_what_it_tells(api: ApiClient) -> None:
    listed = dict(re.findall(r"^\| `([a-z.]+)` \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE))

    assert set(listed) == {kind.name for kind in EVERY_KIND} | {"gap"}
    for kind in EVERY_KIND:
        told = as_above(listed["leg.answered"], listed[kind.name])
        assert told == set(example_of(kind).facts()), kind.name


def as_above(above: str, text: str) -> set[str]:
    names = set(re.findall(r"`(\w+)`", text))
    return names | as_above("", above) if text.startswith("as above") else names


def example_of(kind: type[FeedEvent]) -> FeedEvent:
    """An event of this kind."""
    leg = LegFacts("id", "agent", "billing", "sip:a@b", "alice", "")
    given: dict[str, object] = {
        "call_id": "call-1",
        "clock": CallClock(0.0),
        "at": 1.0,
        "leg": leg,
        "request": HandoffRequest(),
        "outcome": cause.local("normal_hangup"),
        "answered": None,
        "state": HandoffState.CONNECTED,
    }
    return kind(**{each.name: given.get(each.name, "x") for each in fields(kind)})  # type: ignore[arg-type]


def test_the_page_lists_every_error() -> None:
    listed = re.findall(r"^\| (\d{3}) \| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)

    assert listed == [(str(error.status), error.code, error.when) for error in ERRORS]


def test_the_examples_of_the_page_work(api: ApiClient) -> None:
    api.environ["SALES_SIP_PASSWORD"] = "from-the-environment"
    commands = [
        command
        for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
        for command in block.replace("\\\n", " ").splitlines()
        if command.startswith("curl")
    ]
    assert len(commands) >= 5
    for command in commands:
        answer = play(api, command)
        assert answer < 300, command


def play(api: ApiClient, command: str) -> int:
    """A curl command, asked of the API in memory. Returns the status."""
    words = iter(
        shlex.split(
            command.replace("$B2BUA_API_KEY", KEY)
            .replace("$CALL_ID", "call-1")
            .replace("$HANDOFF_ID", next(reversed(api.control.live), "none yet"))
        )[1:]
    )
    method, path, content, headers = "GET", "", b"", {}
    for word in words:
        if word == "-X":
            method = next(words)
        elif word in ("-H", "--header"):
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word in ("--json", "-d"):
            content = next(words).encode()
            method = "POST" if method == "GET" else method
            headers["Content-Type"] = "application/json"
        elif word.startswith("http://127.0.0.1:8080/"):
            path = word.removeprefix("http://127.0.0.1:8080")
        else:
            assert word in ("-s", "-f", "-sN"), word
    return api.request(method, path, key=None, content=content, headers=headers).status_code
