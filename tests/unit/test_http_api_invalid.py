"""What the API says of requests that are wrong: what, where and what is allowed, without words of Python."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.api_client import KEY, ApiClient

HANDOFF = "/v1/calls/call-1/handoff"
ROUTE = {"route": "sip:queue-1@cc.example.com", "encryption": "udp/rtp"}
TEXT, OBJECT = (
    "of the wrong kind; allowed: text, in quotes",
    "of the wrong kind; allowed: an object, in braces",
)
FLAG = "of the wrong kind; allowed: true or false, without quotes"
SECONDS = "a duration such as 500ms, 30s, 1m or 4h"
OF_ANOTHER_WORLD = re.compile(
    r"\b(Input|String|Dictionary|Value|List|dict|dictionary|tuple|integer|boolean|bool|str|int|None|YAML|validation"
    r"|pattern|pydantic|items?|parse|model|field)\b"
)


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ([], None, f"the body is {OBJECT}"),
        ("billing", None, f"the body is {OBJECT}"),
        ({"destination": 5}, "destination", TEXT),
        ({"destination": ""}, "destination", "empty"),
        ({"destination": "x" * 65}, "destination", "longer than 64 characters"),
        ({"reason": None}, "reason", TEXT),
        ({"route": 5}, "route", "of the wrong kind; allowed: a URI, or a list of URIs"),
        ({"route": [5]}, "route[0]", TEXT),
        ({"sip_headers": ["X-A: b"]}, "sip_headers", OBJECT),
        ({"sip_headers": {"X-A": 5}}, "sip_headers.X-A", TEXT),
        (
            {"sip_headers": {"X" * 257: "a"}},
            "sip_headers." + "X" * 188,
            "a key that is longer than 256 characters",
        ),
        ({"data": {str(number): 1 for number in range(65)}}, "data", "longer than 64 entries"),
        ({"data": {"": 1}}, "data.", "a key that is empty"),
        ({"consult": "true"}, "consult", FLAG),
        (
            {"ring_timeout": "20 seconds"},
            "ring_timeout",
            f"not a duration; allowed: {SECONDS}; did you mean '20s'?",
        ),
        (
            {"ring_timeout": "2d"},
            "ring_timeout",
            f"out of range; allowed: 100ms to 24h: {SECONDS}, or seconds",
        ),
        ({"callback_url": ""}, "callback_url", "empty; allowed: http(s)://HOST[:PORT]/PATH"),
        (
            {"release_assistant": "on-answer"},
            "release_assistant",
            "not a known value; allowed: on_answer, on_start, before_dial; did you mean 'on_answer'?",
        ),
        (
            {**ROUTE, "encryption": 5},
            "encryption",
            "not a known value; allowed: tls/srtp, tls/srtp-preferred, tls/rtp, udp/rtp",
        ),
        ({**ROUTE, "auth": "acme"}, "auth", OBJECT),
        ({**ROUTE, "auth": {"username": "acme"}}, "auth.password", "it is missing"),
        (
            {**ROUTE, "auth": {"username": "acme", "password": "x", "realn": "x"}},
            "auth.realn",
            "unknown key; allowed: password, realm, username; did you mean 'realm'?",
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_said_in_words(
    api: ApiClient, body: object, field: str | None, message: str
) -> None:
    error = api.post(HANDOFF, body).json()["error"]
    assert (error["field"], error["message"]) == (field, message)


@pytest.mark.parametrize(("key", "meant"), [("destnation", "destination"), ("colour", None)])
def test_an_unknown_key_is_told_with_those_that_there_are(
    api: ApiClient, key: str, meant: str | None
) -> None:
    message = api.post("/v1/calls", {key: "x"}).json()["error"]["message"]
    assert message.startswith("unknown key; allowed: brief, call_id, caller_id, data, destination, ")
    assert message.endswith("did you mean 'destination'?" if meant else "sip_auth_username, sip_headers")


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"", "the body is missing"),
        (b"null", f"the body is {OBJECT}"),
        (b"NaN", f"the body is {OBJECT}"),
        (
            b"{'a': 1}",
            "the body is not JSON: expecting property name enclosed in double quotes at character 1",
        ),
    ],
)
def test_a_body_that_is_none_is_told_as_such(api: ApiClient, octets: bytes, message: str) -> None:
    answer = api.request("POST", HANDOFF, content=octets, headers={"Content-Type": "application/json"})
    said = answer.json()["error"]["message"]
    assert said == message or said.startswith("the body is not JSON: syntax error")  # PyPy


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        ("/v1/calls?limit=0", "limit", "too small; allowed: 1 or more"),
        ("/v1/calls?limit=501", "limit", "too large; allowed: 500 or less"),
        ("/v1/calls?limit=ten", "limit", "of the wrong kind; allowed: a whole number"),
        ("/v1/calls?limit=1.5", "limit", "of the wrong kind; allowed: a whole number"),
        ("/v1/events?call_id=", "call_id", "empty"),
        (f"/v1/handoffs/{'x' * 129}", "handoff_id", "longer than 128 characters"),
        (
            "/v1/calls/call-1/trace?format=pdf",
            "format",
            "not a known value; allowed: text, mermaid, html, pcap",
        ),
    ],
)
def test_what_is_wrong_with_a_parameter_is_said_in_words(
    api: ApiClient, path: str, field: str, message: str
) -> None:
    error = api.get(path).json()["error"]
    assert (error["field"], error["message"]) == (field, message)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (
            "a b",
            "characters that it may not have; allowed: letters, digits and signs of ASCII, without spaces",
        ),
        ("x" * 256, "longer than 255 characters"),
    ],
)
def test_what_is_wrong_with_an_idempotency_key_is_said_in_words(
    api: ApiClient, key: str, message: str
) -> None:
    error = api.post(HANDOFF, {}, Idempotency_Key=key).json()["error"]
    assert (error["field"], error["message"]) == ("Idempotency-Key", message)


WRONG: tuple[object, ...] = (None, True, 5, -1.5, 1e300, "", "x", "x" * 5000, [], [5], {}, {"": 1}, {"a": []})
BODIES = (
    *(HANDOFF, "/v1/calls", "/v1/calls/call-1/bridge", "/v1/calls/call-1/annotations", "/v1/handoffs"),
    "/v1/handoffs/handoff-1/outcome",
)


@pytest.mark.parametrize("path", BODIES)
def test_nothing_wrong_in_a_body_is_told_in_the_words_of_a_library(api: ApiClient, path: str) -> None:
    """Each key that a body knows gets each kind of value."""
    operation = next(
        operations["post"]
        for template, operations in api.document["paths"].items()
        if "post" in operations and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    )
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = api.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert len(schema["properties"]) > 0
    bodies = [*WRONG, *({key: wrong} for key in schema["properties"] for wrong in WRONG)]
    seen = 0
    for body in bodies:
        answer = api.request(
            "POST", path, content=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        if answer.status_code == 400:
            seen += 1
            message = answer.json()["error"]["message"]
            assert not OF_ANOTHER_WORLD.search(message), (body, message)
            assert message[0].islower(), message
            assert KEY not in message
    assert seen > len(WRONG)
