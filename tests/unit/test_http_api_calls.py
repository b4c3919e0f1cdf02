"""`/v1/calls`, `/v1/destinations`, reload and health, over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from b2bua.config import Position, Problem, ReloadResult
from b2bua.config.configuration import Configuration
from tests.support.api_client import ApiClient, error_of


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def test_calls_are_listed_in_short_up_to_a_limit(api: ApiClient) -> None:
    calls = api.get("/v1/calls?limit=2").json()["calls"]

    assert [call["call_id"] for call in calls] == ["call-1", "call-2"]
    assert "legs" not in calls[0]
    assert api.get("/v1/calls").status_code == 200
    assert api.control.asked_limit == 100


@pytest.mark.parametrize("limit", ["0", "-1", "501", "many", "1e3", ""])
def test_a_limit_out_of_bounds_is_refused(api: ApiClient, limit: str) -> None:
    assert error_of(api.get(f"/v1/calls?limit={limit}")) == (400, "invalid_request", "limit")


def test_one_call_in_full(api: ApiClient) -> None:
    call = api.get("/v1/calls/call-1").json()

    assert call["called"] == "support"
    assert call["legs"][0]["role"] == "caller"
    assert call["timeline"]


def test_text_from_sip_that_is_no_unicode_is_shown_and_breaks_nothing(api: ApiClient) -> None:
    assert api.get("/v1/calls/call-1").json()["caller"] == "sip:j?rgen@192.0.2.1"


def test_a_call_is_hung_up(api: ApiClient) -> None:
    assert api.delete("/v1/calls/call-1").status_code == 204
    assert api.control.hung_up == ["call-1"]


def test_what_is_unknown_or_over_is_said(api: ApiClient) -> None:
    assert error_of(api.get("/v1/calls/nobody")) == (404, "call_not_found", None)
    assert error_of(api.delete("/v1/calls/nobody")) == (404, "call_not_found", None)
    assert error_of(api.delete("/v1/calls/call-3")) == (409, "call_ended", None)
    assert error_of(api.get("/v1/calls/" + "x" * 129)) == (400, "invalid_request", "call_id")


def test_destinations_are_shown_without_routes_and_secrets(api: ApiClient) -> None:
    answer = api.get("/v1/destinations")

    purpose = "Billing disputes and refunds"
    assert answer.json()["destinations"] == [
        shown("desk", default=True),
        shown("billing", description=purpose),
        shown("back", method="bye", encryption=None),
    ]


def shown(
    name: str,
    *,
    description: str = "",
    default: bool = False,
    method: str = "invite",
    encryption: str | None = "udp/rtp",
) -> dict[str, object]:
    return {
        "name": name,
        "description": description,
        "default": default,
        "method": method,
        "encryption": encryption,
        "reachability": None,
    }


def test_a_reload_says_what_is_in_force(api: ApiClient) -> None:
    api.control.reload_result = ReloadResult(api.control.configuration, restart_needed=("api.listen",))

    assert api.post("/v1/reload").json() == {
        "destinations": 3,
        "restart_needed": ["api.listen"],
        "warnings": [],
    }


def test_a_bad_configuration_is_reported_with_every_problem(api: ApiClient) -> None:
    problem = Problem(Position("b2bua.yaml", 3, 5), "routes[0].to", "not text")
    api.control.reload_result = ReloadResult(None, (problem,))

    answer = api.post("/v1/reload")

    assert error_of(answer) == (409, "configuration_error", None)
    assert answer.json()["problems"] == ["b2bua.yaml:3:5: routes[0].to: not text"]


def test_health_needs_no_key_and_readiness_ends_with_the_drain(api: ApiClient) -> None:
    assert api.request("GET", "/healthz", key=None).json() == {"status": "ok"}
    ready = api.request("GET", "/readyz", key=None).json()
    assert (ready["status"], ready["store"]["available"], ready["rtpengine"]["up"]) == ("ok", True, 1)

    api.control.draining = True

    assert api.request("GET", "/healthz", key=None).status_code == 200
    assert error_of(api.request("GET", "/readyz", key=None)) == (503, "draining", None)


def test_a_drain_may_be_asked_for_and_asked_again(api: ApiClient) -> None:
    for _ in range(2):
        answer = api.post("/v1/drain")
        assert (answer.status_code, answer.json()) == (202, {"calls": 3, "seconds": 30.0})
        assert answer.headers["location"] == "/readyz"
    assert api.control.draining


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/calls/", "/docs", "/v1/calls/call-1/traces", "/v1/Calls"])
def test_what_is_not_there_is_not_found(api: ApiClient, path: str) -> None:
    assert error_of(api.get(path)) == (404, "not_found", None)


def test_a_wrong_method_is_told_the_right_one(api: ApiClient) -> None:
    answer = api.request("PATCH", "/v1/destinations")

    assert error_of(answer) == (405, "wrong_http_method", None)
    assert answer.headers["allow"] == "GET"


def test_a_defect_costs_one_request_and_tells_its_client_nothing(api: ApiClient) -> None:
    api.control.defect = RuntimeError("inner workings")

    with capture_logs() as logged:
        answer = api.get("/v1/calls")

    assert error_of(answer) == (500, "internal_error", None)
    assert "inner workings" not in answer.text
    (line,) = logged
    assert (line["event"], line["path"]) == ("api_error", "/v1/calls")
    assert line["exception"].endswith("RuntimeError: inner workings\n")
    assert api.get("/v1/destinations").status_code == 200


def test_destinations_are_those_of_the_configuration_in_force(api: ApiClient, tmp_path: Path) -> None:
    edited = (tmp_path / "destinations.yaml").read_text().replace("billing:", "refunds:")
    (tmp_path / "destinations.yaml").write_text(edited)
    api.control.configuration = _reloaded(api)

    names = [each["name"] for each in api.get("/v1/destinations").json()["destinations"]]

    assert names == ["desk", "refunds", "back"]


def _reloaded(api: ApiClient) -> Configuration:
    from b2bua.config import ConfigurationWatcher

    configuration = ConfigurationWatcher(api.control.configuration).reload().configuration
    assert configuration is not None
    return configuration


def test_trunks_show_their_registrations_and_destinations_whether_they_are_there(api: ApiClient) -> None:
    trunks = api.get("/v1/trunks").json()["trunks"]
    assert [trunk["name"] for trunk in trunks] == list(api.control.configuration.trunks)
    assert trunks[0]["reachability"] == "up"
    assert trunks[0]["registrations"][0]["state"] == "failed"
    assert {each["reachability"] for each in api.get("/v1/destinations").json()["destinations"]} == {None}
