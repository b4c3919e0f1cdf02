"""Managing destinations over HTTP: the file is edited, checked, and taken; secrets stay where they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from b2bua.config import Destination, Position, Problem, ReloadResult
from b2bua.config.section import keys_of
from tests.support.api_client import MORE_DESTINATIONS, ApiClient, error_of
from tests.support.config_files import DESTINATIONS

BEFORE = DESTINATIONS + MORE_DESTINATIONS
BILLING = "/v1/destinations/billing"
SALES = {"method": "invite", "encryption": "udp/rtp", "route": "sip:sales@pbx.example.com"}


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def text(api: ApiClient) -> str:
    return (api.folder / "destinations.yaml").read_text()


def test_one_is_shown_as_the_file_has_it_without_its_secret(api: ApiClient) -> None:
    answer = api.get(BILLING)

    assert answer.json() == {
        "name": "billing",
        "description": "Billing disputes and refunds",
        "default": False,
        "method": "invite",
        "encryption": "udp/rtp",
        "route": "sip:queue-1@cc.example.com",
        "auth": {"username": "acme"},
        "secrets": {"auth.password": "set"},
    }
    assert api.get("/v1/destinations/desk").json()["secrets"] == {"auth.password": "unset"}


def test_one_is_added_and_taken(api: ApiClient) -> None:
    answer = api.post("/v1/destinations", {"name": "sales", **SALES, "description": None})

    assert answer.status_code == 201
    assert answer.headers["location"] == "/v1/destinations/sales"
    assert answer.json() == api.get("/v1/destinations/sales").json()
    assert text(api) == BEFORE + "sales:\n  method: invite\n  encryption: udp/rtp\n" + (
        "  route: sip:sales@pbx.example.com\n"
    )
    assert api.control.reloads == 1


def test_what_was_read_can_be_changed_and_sent_back(api: ApiClient) -> None:
    read = api.get(BILLING)

    answer = api.put(BILLING, {**read.json(), "ring_timeout": "20s"}, If_Match=read.headers["etag"])

    assert answer.status_code == 200
    assert answer.headers["etag"] == api.get(BILLING).headers["etag"] != read.headers["etag"]
    assert text(api) == BEFORE.replace("billing-secret}\n", "billing-secret}\n  ring_timeout: 20s\n")


def test_what_is_not_sent_is_taken_out_but_for_the_password(api: ApiClient) -> None:
    api.put(BILLING, {**SALES, "auth": {"username": "us"}})

    assert "auth: {username: us, password: billing-secret}" in text(api)
    assert "Billing disputes" not in text(api)


def test_an_edit_of_what_somebody_has_changed_is_refused(api: ApiClient) -> None:
    tag = api.get(BILLING).headers["etag"]
    by_hand = text(api).replace("queue-1", "queue-2")
    (api.folder / "destinations.yaml").write_text(by_hand)

    assert error_of(api.put(BILLING, SALES, If_Match=tag)) == (412, "destination_changed", None)
    assert error_of(api.delete(f"{BILLING}?confirm=billing", If_Match=f'"x", {tag}'))[0] == 412
    assert text(api) == by_hand
    now = api.get(BILLING).headers["etag"]
    assert api.put(BILLING, SALES, If_Match=f'"x", {now}').status_code == 200
    assert api.put(BILLING, SALES, If_Match="*").status_code == 200


def test_an_edit_elsewhere_is_nobodys_business(api: ApiClient) -> None:
    tag = api.get(BILLING).headers["etag"]
    api.post("/v1/destinations", {"name": "sales", **SALES})

    assert api.put(BILLING, SALES, If_Match=tag).status_code == 200


def test_problems_are_told_with_their_lines(api: ApiClient) -> None:
    answer = api.put(BILLING, {**SALES, "ring_timeout": 20, "fallback": "nobody"})

    assert error_of(answer) == (400, "invalid_destination", "ring_timeout")
    (problem,) = answer.json()["problems"]
    assert "destinations.yaml:10:17: billing.ring_timeout: not a duration; found the number 20" in problem
    assert (text(api), api.control.reloads) == (BEFORE, 0)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {**SALES, "auth": {"username": "u", "password": "clear"}},
            (400, "secret_in_clear", "auth.password"),
        ),
        ({**SALES, "headers": {"X-A": "${HOME}"}}, (400, "secret_in_clear", "headers.X-A")),
        ({**SALES, "name": "other"}, (400, "invalid_request", "name")),
        ({**SALES, "default": True}, (409, "destination_is_default", "default")),
        ([], (400, "invalid_request", None)),
        (None, (400, "invalid_request", None)),
    ],
)
def test_what_is_refused_by_name(api: ApiClient, body: object, error: tuple[int, str, str | None]) -> None:
    assert error_of(api.put(BILLING, body)) == error
    assert text(api) == BEFORE


@pytest.mark.parametrize("name", [None, "", "a b", 7, "x" * 65, "desk"])
def test_a_new_one_needs_a_name_of_its_own(api: ApiClient, name: object) -> None:
    answer = api.post("/v1/destinations", {"name": name, **SALES})

    assert answer.status_code == (409 if name == "desk" else 400)


def test_one_is_removed_when_its_name_is_said_twice(api: ApiClient) -> None:
    for confirm in ("", "?confirm=", "?confirm=back", "?confirm=Billing"):
        assert error_of(api.delete(BILLING + confirm)) == (400, "confirmation_needed", "confirm")

    assert api.delete(f"{BILLING}?confirm=billing").status_code == 204
    assert text(api) == DESTINATIONS + "back:\n  method: bye\n"
    assert error_of(api.get(BILLING)) == (404, "destination_not_found", None)


def test_what_is_needed_is_not_removed(api: ApiClient) -> None:
    assert error_of(api.delete("/v1/destinations/desk?confirm=desk"))[:2] == (409, "destination_in_use")
    api.post(f"{BILLING}/default")
    assert error_of(api.delete(f"{BILLING}?confirm=billing"))[:2] == (409, "destination_is_default")


def test_another_becomes_the_default(api: ApiClient) -> None:
    assert api.post(f"{BILLING}/default").json()["default"] is True
    assert api.get("/v1/destinations/desk").json()["default"] is False


def test_a_copy_is_made_with_its_secret(api: ApiClient) -> None:
    answer = api.post(f"{BILLING}/duplicate", {"name": "billing-2"})

    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/destinations/billing-2")
    assert "billing-secret" not in answer.text
    assert text(api).count("billing-secret") == 2
    assert error_of(api.post(f"{BILLING}/duplicate", {"name": "desk"}))[:2] == (409, "destination_exists")
    assert error_of(api.post(f"{BILLING}/duplicate", {}))[:2] == (400, "invalid_request")


def test_what_a_reload_does_not_take_is_taken_back(api: ApiClient) -> None:
    problem = Problem(Position("b2bua.yaml"), "hold_music", "cut short")
    api.control.reload_result = ReloadResult(None, (problem,))

    answer = api.post("/v1/destinations", {"name": "sales", **SALES})

    assert error_of(answer) == (400, "invalid_destination", None)
    assert answer.json()["problems"] == ["b2bua.yaml: hold_music: cut short"]
    assert (text(api), api.control.reloads) == (BEFORE, 2)


def test_files_with_problems_are_told_about(api: ApiClient) -> None:
    (api.folder / "destinations.yaml").write_text("desk: [\n")

    for answer in (
        api.get(BILLING),
        api.put(BILLING, SALES),
        api.post("/v1/destinations", {"name": "sales", **SALES}),
        api.delete(f"{BILLING}?confirm=billing"),
        api.post(f"{BILLING}/default"),
        api.post(f"{BILLING}/duplicate", {"name": "x"}),
    ):
        assert error_of(answer) == (409, "configuration_error", None)
        assert answer.json()["problems"]
    assert len(api.get("/v1/destinations").json()["destinations"]) == 3


def test_a_file_in_a_spelling_that_cannot_be_edited_is_left_alone(api: ApiClient) -> None:
    odd = BEFORE.replace("back:", "? back\n:")
    (api.folder / "destinations.yaml").write_text(odd)

    assert error_of(api.delete("/v1/destinations/back?confirm=back"))[:2] == (409, "not_editable")
    assert text(api) == odd


def test_no_answer_ever_holds_a_secret(api: ApiClient) -> None:
    answers = [
        api.get("/v1/destinations"),
        api.get(BILLING),
        api.put(BILLING, {**SALES, "auth": {"username": "u", "password": "sent-secret"}}),
        api.put(BILLING, {**SALES, "auth": {"username": 7}}),
        api.put(BILLING, {**SALES, "auth": {"username": "us"}}),
        api.post(f"{BILLING}/duplicate", {"name": "copy"}),
        api.post(f"{BILLING}/default"),
    ]
    assert not [each.text for each in answers if "-secret" in each.text]
    assert not [each.headers for each in answers if "secret" in json.dumps(dict(each.headers))]


def schema_of(api: ApiClient, path: str, method: str) -> dict[str, Any]:
    body = api.document["paths"][path][method]["requestBody"]
    schema: dict[str, Any] = body["content"]["application/json"]["schema"]
    return schema


def test_the_document_has_every_key_of_the_configuration(api: ApiClient) -> None:
    properties = schema_of(api, "/v1/destinations/{name}", "put")["properties"]

    assert set(keys_of(Destination)) <= set(properties)
    assert properties["auth"]["required"] == ["username"]
    assert all(each.get("description") for each in properties.values())


def test_the_examples_of_the_document_work(api: ApiClient) -> None:
    api.environ["SALES_SIP_PASSWORD"] = "x"
    (new,) = schema_of(api, "/v1/destinations", "post")["examples"]
    (settings,) = schema_of(api, "/v1/destinations/{name}", "put")["examples"]

    assert api.post("/v1/destinations", new).status_code == 201
    assert api.put(BILLING, settings).status_code == 200


AUTH = "billing-secret}\n"
HOOK = "https://app.example.com/hook?tenant=hook-secret"


def test_a_url_is_shown_without_what_may_be_a_secret_in_it(api: ApiClient) -> None:
    path = api.folder / "destinations.yaml"
    urls = f"  callback_url: '{HOOK}&token=${{HOOK_TOKEN}}#rc=3'\n  action_url: https://us:hook-secret@h.example/x\n"
    path.write_text(BEFORE.replace(AUTH, f"{AUTH}{urls}"))

    answers = (api.get(BILLING), api.get("/v1/destinations"))

    assert answers[0].json()["callback_url"] == (
        "https://app.example.com/hook?tenant=…&token=${HOOK_TOKEN}#rc=3"
    )
    assert answers[0].json()["action_url"] == "https://…@h.example/x"
    assert not [each.text for each in answers if "hook-secret" in each.text]


def test_a_url_that_was_read_can_be_sent_back(api: ApiClient) -> None:
    path = api.folder / "destinations.yaml"
    path.write_text(BEFORE.replace(AUTH, f"{AUTH}  callback_url: '{HOOK}'\n"))

    answer = api.put(BILLING, {**api.get(BILLING).json(), "ring_timeout": "20s"})

    assert answer.status_code == 200, answer.text
    assert text(api) == BEFORE.replace(AUTH, f"{AUTH}  callback_url: '{HOOK}'\n  ring_timeout: 20s\n")
