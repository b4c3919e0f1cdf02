"""Asking for a handoff over HTTP: what arrives behind the API, what is refused at its edge, what never comes back."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from b2bua.handoff.handoff import HandoffRequest
from b2bua.http_api.schemas import HandoffBody
from tests.support.api_client import ApiClient, error_of

ROUTE = {"route": "sip:queue-1@cc.example.com", "encryption": "udp/rtp"}


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    return ApiClient(tmp_path)


def test_a_handoff_begins_and_can_be_followed(api: ApiClient) -> None:
    answer = api.hand_off(
        {
            "destination": "billing",
            "reason": "refund",
            "utterance": "One moment,\nplease.",
            "data": {"customer_id": "C-1", "vip": True, "amount": 12.5, "tries": 3, "note": None},
            "shared_id": "conversation-17",
            "ring_timeout": "20s",
            "hold_music": "ringback",
            "release_assistant": "on_start",
            "wait_for_silence": 2.5,
            "whisper": "whisper.wav",
            "accept_key": "1",
            "accept_timeout": "10s",
            "post_dial_digits": "12w3",
            "detect_voicemail": "beep",
        }
    )

    assert answer.status_code == 202
    handoff = answer.json()
    assert handoff["state"] == "dialing"
    assert handoff["outcome"] is None
    assert handoff["data"] == {"customer_id": "C-1", "vip": True, "amount": 12.5, "tries": 3, "note": None}
    assert answer.headers["location"] == f"/v1/handoffs/{handoff['id']}"
    assert api.get(answer.headers["location"]).json() == handoff
    assert api.get("/v1/handoffs?shared_id=conversation-17").json()["handoffs"] == [handoff]
    assert api.get("/v1/handoffs?shared_id=other").json()["handoffs"] == []
    assert api.get("/v1/calls/call-1").json()["handoffs"] == [handoff]
    (request,) = api.control.requests
    assert (request.destination, request.ring_timeout, request.wait_for_silence) == ("billing", 20.0, 2.5)
    assert (request.hold_music, request.release_assistant, request.asked_by) == (
        "ringback",
        "on_start",
        "api",
    )
    assert (request.whisper, request.accept_key, request.accept_timeout) == ("whisper.wav", "1", 10.0)
    assert (request.post_dial_digits, request.detect_voicemail) == ("12w3", "beep")


def test_what_is_left_out_keeps_the_destinations_settings(api: ApiClient) -> None:
    api.hand_off({"destination": "billing", "ring_timeout": None})

    (request,) = api.control.requests
    left_out = HandoffRequest(destination="billing")
    assert request == left_out


def test_without_a_target_it_goes_to_the_default_destination(api: ApiClient) -> None:
    assert api.hand_off({}).json()["destination"] == "desk"


def test_a_route_with_credentials(api: ApiClient) -> None:
    api.hand_off({**ROUTE, "auth": {"username": "acme", "password": "hunter22", "realm": "cc"}})

    (request,) = api.control.requests
    assert request.destination is None
    assert request.route == ("sip:queue-1@cc.example.com",)
    assert request.credentials is not None
    assert (request.credentials.username, request.credentials.password) == ("acme", "hunter22")


PASSWORD = "never-to-be-seen-7261"


@pytest.mark.parametrize(
    "body",
    [
        {**ROUTE, "auth": {"username": "acme", "password": PASSWORD}},
        {"auth": {"username": "acme", "password": PASSWORD}},
        {**ROUTE, "auth": {"username": "acme", "password": PASSWORD, "extra": PASSWORD}},
        {**ROUTE, "auth": {"username": "", "password": PASSWORD}},
        {**ROUTE, "auth": {"username": "acme", "password": [PASSWORD]}},
        {**ROUTE, "auth": {"username": "acme", "password": PASSWORD * 100}},
        {**ROUTE, "auth": {"username": "acme", "password": PASSWORD + "\ud800"}},
        {**ROUTE, "auth": PASSWORD},
        {**ROUTE, "auth": {"username": "acme", "password": PASSWORD}, "ring_timeout": PASSWORD},
        {"route": f"sip:acme:{PASSWORD}@cc.example.com", "encryption": "udp/rtp"},
        {"destination": "billing", "encryption": PASSWORD, "release_assistant": PASSWORD, "data": PASSWORD},
    ],
)
def test_a_password_never_comes_back(api: ApiClient, body: dict[str, object]) -> None:
    with capture_logs() as logged:
        seen = [
            api.hand_off(body),
            api.hand_off(body),
            api.hand_off(body, "nobody"),
            api.get("/v1/calls/call-1"),
        ]

    assert all(PASSWORD not in answer.text for answer in seen)
    assert PASSWORD not in str(logged)
    assert PASSWORD not in repr(api.control.requests)


def test_bad_json_with_a_password_in_it_is_not_quoted(api: ApiClient) -> None:
    content = f'{{"auth": {{"password": "{PASSWORD}" "}}'.encode()

    answer = api.request(
        "POST", "/v1/calls/call-1/handoff", content=content, headers={"Content-Type": "application/json"}
    )

    assert error_of(answer) == (400, "invalid_request", None)
    assert PASSWORD not in answer.text
    assert "at character 46" in answer.text


def test_the_same_idempotency_key_joins_and_another_is_refused(api: ApiClient) -> None:
    first = api.hand_off({"destination": "billing"}, Idempotency_Key="once")

    again = api.hand_off({"destination": "billing"}, Idempotency_Key="once")
    other = api.hand_off({"destination": "billing"}, Idempotency_Key="twice")
    none = api.hand_off({"destination": "billing"})

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert error_of(other) == error_of(none) == (409, "handoff_running", None)


@pytest.mark.parametrize("key", ["with space", "x" * 256, "gr\xfcn"])
def test_an_idempotency_key_is_a_short_word(api: ApiClient, key: str) -> None:
    answer = api.hand_off({}, Idempotency_Key=key)

    assert error_of(answer) == (400, "invalid_request", "Idempotency-Key")


def test_only_an_answered_live_call_can_be_handed_off(api: ApiClient) -> None:
    assert error_of(api.hand_off({}, "nobody")) == (404, "call_not_found", None)
    assert error_of(api.hand_off({}, "call-2")) == (409, "call_not_answered", None)
    assert error_of(api.hand_off({}, "call-3")) == (409, "call_ended", None)


def test_giving_up(api: ApiClient) -> None:
    where = api.hand_off({}).headers["location"]

    assert api.delete(where).json()["state"] == "cancelled"
    assert error_of(api.delete(where)) == (409, "handoff_final", None)
    assert error_of(api.delete("/v1/handoffs/nothing")) == (404, "handoff_not_found", None)
    assert error_of(api.get("/v1/handoffs/nothing")) == (404, "handoff_not_found", None)
    assert error_of(api.get("/v1/handoffs")) == (400, "invalid_request", "shared_id")


def test_headers_that_may_not_be_sent_are_dropped_visibly(api: ApiClient) -> None:
    headers = {"X-Ticket": "4711", "X-Twilio-Sid": "1", "From": "<sip:x@y>", "bad name": "1", "X-Empty": " "}

    handoff = api.hand_off({"sip_headers": headers}).json()

    assert handoff["headers_sent"] == {"X-Ticket": "4711"}
    assert [each["name"] for each in handoff["headers_dropped"]] == [
        "X-Twilio-Sid",
        "From",
        "bad name",
        "X-Empty",
    ]


INVALID: list[tuple[dict[str, object], str | None]] = [
    ({"destinaton": "billing"}, "destinaton"),
    ({"destination": ""}, "destination"),
    ({"destination": 5}, "destination"),
    ({"destination": "billing", **ROUTE}, "route"),
    ({"route": [], "encryption": "udp/rtp"}, "route"),
    ({**ROUTE, "route": ["sip:a@cc.example.com", "mailto:b@cc.example.com"]}, "route[1]"),
    ({**ROUTE, "route": "sip:a@cc.example.com\r\nX: y"}, "route[0]"),
    ({**ROUTE, "route": ["sip:a@cc.example.com"] * 33}, "route"),
    ({**ROUTE, "route": 5}, "route"),
    ({**ROUTE, "auth": {"username": "acme"}}, "auth.password"),
    ({**ROUTE, "auth": {"username": "ac\nme", "password": "hunter22"}}, "auth.username"),
    ({**ROUTE, "auth": {"username": "ac\ud800me", "password": "hunter22"}}, "auth"),
    ({"auth": {"username": "acme", "password": "hunter22"}}, "auth"),
    ({"encryption": "udp/rtp"}, "encryption"),
    ({**ROUTE, "encryption": "rot13"}, "encryption"),
    ({"reason": "two\r\nlines"}, "reason"),
    ({"reason": "x" * 1025}, "reason"),
    ({"utterance": "\ud800"}, "utterance"),
    ({"utterance": "x" * 4097}, "utterance"),
    ({"shared_id": "x\0"}, "shared_id"),
    ({"sip_headers": {"X-A": "1\r\nVia: x"}}, "sip_headers"),
    ({"sip_headers": {"X-A\r\nVia": "x"}}, "sip_headers"),
    ({"sip_headers": {"X-A": "\0"}}, "sip_headers.X-A"),
    ({"sip_headers": {"X-A": 1}}, "sip_headers.X-A"),
    ({"sip_headers": {f"X-{n}": "1" for n in range(65)}}, "sip_headers"),
    ({"data": {"list": [1]}}, "data.list"),
    ({"data": {"object": {}}}, "data.object"),
    ({"data": {"long": "x" * 4097}}, "data.long"),
    ({"data": {"big": 2**63}}, "data.big"),
    ({"data": {"": 1}}, "data."),
    ({"data": {f"k{n}": n for n in range(65)}}, "data"),
    ({"ring_timeout": "30"}, "ring_timeout"),
    ({"ring_timeout": 0}, "ring_timeout"),
    ({"ring_timeout": True}, "ring_timeout"),
    ({"ring_timeout": 86401}, "ring_timeout"),
    ({"ring_timeout": 10**400}, "ring_timeout"),
    ({"wait_for_silence": "11s"}, "wait_for_silence"),
    ({"release_assistant": "later"}, "release_assistant"),
    ({"hold_music": ""}, "hold_music"),
]


@pytest.mark.parametrize(("body", "field"), INVALID)
def test_a_request_that_is_wrong_is_told_where(
    api: ApiClient, body: dict[str, object], field: str | None
) -> None:
    assert error_of(api.hand_off(body)) == (400, "invalid_request", field)
    assert api.control.requests == []


@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_a_body_is_an_object(api: ApiClient, body: object) -> None:
    content = json.dumps(body).encode()

    answer = api.request(
        "POST", "/v1/calls/call-1/handoff", content=content, headers={"Content-Type": "application/json"}
    )

    assert error_of(answer) == (400, "invalid_request", None)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{}}", b"[" * 60_000, b"\xff\xfe{", b'{"data": {"n": NaN}}', b"1" * 5000]
)
def test_what_is_no_json_is_refused(api: ApiClient, content: bytes) -> None:
    answer = api.request(
        "POST", "/v1/calls/call-1/handoff", content=content, headers={"Content-Type": "application/json"}
    )

    assert error_of(answer)[:2] == (400, "invalid_request")


def test_webhooks_are_passed_on_and_their_urls_judged(api: ApiClient) -> None:
    urls = {"callback_url": "https://example.com/hook#rc=2", "action_url": "https://example.com/done?t=1"}
    assert api.hand_off(urls).status_code == 202
    (request,) = api.control.requests
    assert (request.callback_url, request.action_url) == tuple(urls.values())
    assert "example.com" not in repr(request)
    for text in ("ftp://x/", "https://example.com/#rc=9", "https://u:p@example.com/"):
        answer = api.hand_off({"action_url": text})
        assert error_of(answer) == (400, "invalid_request", "action_url")
        assert text not in answer.text


def test_several_faults_are_counted(api: ApiClient) -> None:
    answer = api.hand_off({"reason": 1, "utterance": 2, "data": 3})

    assert answer.json()["error"]["message"].endswith("(and 2 more wrong)")


def test_what_the_calls_refuse_is_passed_on(api: ApiClient) -> None:
    unknown = api.hand_off({"destination": "nowhere"})
    forbidden = api.hand_off({"route": ["sip:a@evil.example"], "encryption": "udp/rtp"})

    assert error_of(unknown) == (400, "unknown_destination", "destination")
    assert error_of(forbidden) == (400, "policy_refused", "route[0]")


@pytest.mark.parametrize(("written", "seconds"), [("500ms", 0.5), ("1m", 60.0), (30, 30.0), (2.5, 2.5)])
def test_durations_are_texts_or_seconds(api: ApiClient, written: object, seconds: float) -> None:
    api.hand_off({"ring_timeout": written})

    assert api.control.requests[0].ring_timeout == seconds


def test_not_waiting_for_silence_is_a_choice(api: ApiClient) -> None:
    api.hand_off({"wait_for_silence": 0})

    assert api.control.requests[0].wait_for_silence == 0.0


# -- whatever is sent ---------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
words = st.sampled_from(
    ["billing", "desk", "nowhere", "30s", "0", "on_answer", "udp/rtp", "sip:q@cc.example.com"]
)
texts = st.dictionaries(
    st.sampled_from(["X-A", "X-Twilio", "From", "é"]) | st.text(max_size=8), st.text(), max_size=3
)
credentials = st.fixed_dictionaries({"username": st.text(max_size=5), "password": st.text(max_size=5)})
value = words | texts | credentials | anything
fields = st.sampled_from([*HandoffBody.model_fields, "unknown"])
bodies = st.dictionaries(fields, value, max_size=6) | anything


@settings(max_examples=300)
@given(bodies, st.sampled_from(["call-1", "call-2", "call-3", "nobody"]))
def test_no_body_whatsoever_is_a_defect(body: object, call_id: str) -> None:
    api = _shared_api()
    api.control.live.clear()

    answer = api.hand_off(body, call_id)

    assert answer.status_code in {202, 400, 404, 409}


_apis: list[ApiClient] = []


def _shared_api() -> ApiClient:
    """One for all examples: the configuration is only read."""
    if not _apis:
        with TemporaryDirectory() as folder:
            _apis.append(ApiClient(Path(folder)))
    return _apis[0]
