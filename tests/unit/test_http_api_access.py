"""Who may use the HTTP API, and what passes its gate: keys, web pages, sizes, kinds of bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.types import Message
from structlog.testing import capture_logs

from b2bua.http_api.gate import MAX_BODY
from tests.support.api_client import KEY, ApiClient, error_of

UNAUTHORIZED = (401, "unauthorized", None)
ONLY_PROGRAMS = (403, "web_page_refused", None)


def run(serving: Awaitable[None]) -> None:
    async def serve() -> None:
        await serving

    asyncio.run(serve())


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path, keys=("another-key", KEY, "schlüssel-grün"))


@pytest.mark.parametrize("key", [KEY, "another-key"])
def test_any_of_the_keys_opens(api: ApiClient, key: str) -> None:
    assert api.request("GET", "/v1/calls", key=key).status_code == 200


def test_a_key_is_octets_and_may_be_other_than_ascii(api: ApiClient) -> None:
    as_sent = "schlüssel-grün".encode().decode("latin-1")

    headers = {"Authorization": f"bearer {as_sent}"}

    assert api.request("GET", "/v1/calls", key=None, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", KEY, f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer \xff\xfe"],
)
def test_anything_else_is_refused_and_told_how(api: ApiClient, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    answer = api.request("GET", "/v1/calls", key=None, headers=headers)

    assert error_of(answer) == UNAUTHORIZED
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_without_a_key_nobody_learns_which_paths_there_are(api: ApiClient) -> None:
    for method, path in (("GET", "/v1/nothing"), ("PATCH", "/v1/calls"), ("DELETE", "/v1/calls/nobody")):
        assert error_of(api.request(method, path, key=None)) == UNAUTHORIZED


def test_the_document_needs_no_key(api: ApiClient) -> None:
    assert api.request("GET", "/openapi.json", key=None).json()["openapi"].startswith("3.1")


def test_keys_of_a_reloaded_configuration_replace_the_old_ones(api: ApiClient) -> None:
    api.keys.replace([SecretStr("the-new-key")])

    assert error_of(api.get("/v1/calls")) == UNAUTHORIZED
    assert api.request("GET", "/v1/calls", key="the-new-key").status_code == 200


def test_no_keys_where_others_can_reach_us_means_nobody(tmp_path: Path) -> None:
    api = ApiClient(tmp_path, keys=(), loopback=False)

    assert error_of(api.get("/v1/calls")) == UNAUTHORIZED


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "127.0.0.1", "localhost:8080", "LOCALHOST", "[::1]:8080", "[::1]"]
)
def test_without_keys_programs_of_this_machine_may(tmp_path: Path, host: str) -> None:
    api = ApiClient(tmp_path, keys=())

    assert api.request("GET", "/v1/calls", key=None, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.com:8080"},
        {"Host": "localhost.example.com"},
        {"Host": "192.0.2.1"},
        {"Host": ""},
        {"Origin": "https://example.com"},
        {"Origin": "null"},
    ],
)
def test_without_keys_no_web_page_may(tmp_path: Path, headers: dict[str, str]) -> None:
    api = ApiClient(tmp_path, keys=())

    assert error_of(api.request("POST", "/v1/reload", key=None, headers=headers)) == ONLY_PROGRAMS


def test_refusals_are_logged_once_per_client_and_without_what_was_tried(api: ApiClient) -> None:
    with capture_logs() as logged:
        for _ in range(5):
            api.request("GET", "/v1/calls", key="guessed-key-1")

    (line,) = logged
    assert (line["event"], line["client"], line["status"]) == ("api_refused", "127.0.0.1", 401)
    assert "guessed" not in str(line)


def test_a_body_of_the_largest_size_is_read_and_one_more_octet_is_not(api: ApiClient) -> None:
    json_headers = {"Content-Type": "application/json"}
    body = b'{"destination": "desk"}'.ljust(MAX_BODY)

    path = "/v1/calls/call-1/handoff"
    assert api.request("POST", path, content=body, headers=json_headers).status_code == 202
    too_large = api.request("POST", path, content=body + b" ", headers=json_headers)
    assert error_of(too_large) == (413, "too_large", None)


def test_reading_stops_where_a_body_without_length_gets_too_long(api: ApiClient) -> None:
    read = 0
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": bytes(16_384), "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {KEY}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/reload", "headers": headers, "client": None}
    run(api.app(scope, receive, send))

    assert sent[0]["status"] == 413
    assert read == MAX_BODY // 16_384 + 1


def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(api: ApiClient) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(f"nobody is there for {message}")

    headers = [(b"authorization", f"Bearer {KEY}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/reload", "headers": headers, "client": None}
    run(api.app(scope, receive, send))


def test_the_key_is_asked_for_before_the_body_is_read(api: ApiClient) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body of a stranger was read")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/reload",
        "headers": [],
        "client": ("192.0.2.9", 1),
    }
    run(api.app(scope, receive, send))

    assert sent[0]["status"] == 401


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
)
def test_a_body_that_does_not_say_it_is_json_is_refused(api: ApiClient, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}

    answer = api.request("POST", "/v1/calls/call-1/handoff", content=b"{}", headers=headers)

    assert error_of(answer) == (415, "not_json", None)


def test_a_charset_beside_the_kind_is_fine(api: ApiClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    answer = api.request("POST", "/v1/calls/call-1/handoff", content=b"{}", headers=headers)

    assert answer.status_code == 202


@pytest.mark.parametrize("scope_type", ["websocket", "lifespan"])
def test_nothing_but_http_is_served(api: ApiClient, scope_type: str) -> None:
    async def receive() -> Message:
        raise AssertionError("listened")

    async def send(message: Message) -> None:
        raise AssertionError("answered")

    run(api.app({"type": scope_type}, receive, send))
