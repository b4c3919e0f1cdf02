"""Every way a call ends has the name, code and statuses that were promised."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from b2bua.call.cause import CAUSES, CallerEnd, Cause, Outcome, from_response, local
from sip_stack.errors import LocalError

ROOT = Path(__file__).resolve().parents[2]

BYE, NOTHING = CallerEnd.BYE, CallerEnd.NOTHING

# The published table, written out: (outcome, name, code, status, to the caller, Q.850).
RESPONSES = [
    (480, "no-answer", 3000, "no-answer", 480, 19),
    (408, "no-answer", 3070, "no-answer", 480, 18),
    (486, "busy", 3010, "busy", 486, 17),
    (600, "busy", 3100, "busy", 600, 17),
    (603, "rejected", 3110, "failed", 603, 21),
    (403, "forbidden", 3040, "failed", 403, 21),
    (404, "unallocated", 3050, "failed", 404, 1),
    (484, "unallocated", 3050, "failed", 404, 1),
    (485, "unallocated", 3050, "failed", 404, 1),
    (604, "unallocated", 3120, "failed", 604, 1),
    (410, "out_of_service", 2010, "failed", 410, 22),
    (482, "loop_detected", 2060, "failed", 482, 25),
    (483, "loop_detected", 2060, "failed", 482, 25),
    (415, "media_not_acceptable", 11030, "failed", 488, 88),
    (488, "media_not_acceptable", 11030, "failed", 488, 88),
    (606, "media_not_acceptable", 11030, "failed", 488, 88),
    (503, "carrier_congestion", 3090, "failed", 500, 42),
    (500, "carrier_error", 3080, "failed", 500, 41),
    (502, "carrier_error", 3080, "failed", 500, 41),
    (504, "carrier_error", 3080, "failed", 500, 41),
    (599, "carrier_error", 3080, "failed", 500, 41),
    (400, "routing_error", 5020, "failed", 500, 127),
    (402, "routing_error", 5020, "failed", 500, 127),
    (420, "routing_error", 5020, "failed", 500, 127),
    (487, "routing_error", 5020, "failed", 500, 127),
    (491, "routing_error", 5020, "failed", 500, 127),
    (300, "routing_error", 5020, "failed", 500, 127),
    (302, "routing_error", 5020, "failed", 500, 127),
    (607, "rejected", 3110, "failed", 603, 21),
    (608, "rejected", 3110, "failed", 603, 21),
    (699, "rejected", 3110, "failed", 603, 21),
    # A challenge nobody judged is one nobody could answer.
    (401, "sip_auth_failed", 4240, "failed", 502, 21),
    (407, "sip_auth_failed", 4240, "failed", 502, 21),
]

EVENTS = [
    ("normal_hangup", "normal_hangup", 4000, "completed", NOTHING, 16, "caller"),
    ("auth_rejected", "sip_auth_failed", 4240, "failed", 502, 21, "agent"),
    ("auth_timeout", "sip_auth_timeout", 4250, "timeout", 504, 102, "agent"),
    ("ring_timeout", "no-answer", 6010, "no-answer", 480, 19, "b2bua"),
    ("network_error", "network_error", 5000, "failed", 500, 38, "network"),
    ("cancel", "cancel", 1000, "cancel", 487, None, "caller"),
    ("media_timeout", "media_timeout", 6020, "completed", BYE, 102, "b2bua"),
    ("time_limit", "scheduled_hangup", 6000, "completed", BYE, 16, "b2bua"),
    ("lost_race", "lost_race", 9000, "failed", NOTHING, None, "b2bua"),
    ("machine_detected", "machine_detected", 9100, "failed", 480, 19, "agent"),
    ("confirm_failed", "confirm_failed", 9110, "failed", 480, 19, "agent"),
    ("media_not_acceptable", "media_not_acceptable", 11030, "failed", 488, 88, "agent"),
    # Ours.
    ("internal_error", "internal_error", 5010, "failed", 500, 41, "b2bua"),
    ("srtp_required", "srtp_required", 11010, "failed", 488, 88, "agent"),
    ("tls_untrusted", "tls_untrusted", 11020, "failed", 500, 38, "network"),
    ("tls_expired", "tls_expired", 11021, "failed", 500, 38, "network"),
    ("tls_name_mismatch", "tls_name_mismatch", 11022, "failed", 500, 38, "network"),
    ("offer_required", "offer_required", 11031, "failed", 488, 88, "caller"),
    ("refer_refused", "refer_refused", 11040, "failed", NOTHING, 29, "caller"),
    ("refer_timeout", "refer_timeout", 11041, "timeout", NOTHING, 102, "b2bua"),
    ("method_not_allowed", "method_not_allowed", 11050, "failed", NOTHING, 29, "b2bua"),
    ("prefix_barred", "prefix_barred", 2050, "failed", 403, 21, "b2bua"),
    ("destination_full", "destination_limit", 11052, "failed", 480, 34, "b2bua"),
    ("destination_spent", "destination_hourly_limit", 11053, "failed", 480, 34, "b2bua"),
    ("policy_refused", "policy_refused", 11051, "failed", 403, 21, "b2bua"),
    ("session_expired", "session_expired", 11060, "completed", BYE, 102, "b2bua"),
    ("not_acknowledged", "not_acknowledged", 11061, "failed", BYE, 102, "caller"),
    ("not_pracked", "provisional_not_acknowledged", 11062, "failed", 504, 102, "caller"),
    ("media_engine_lost", "media_engine_lost", 11070, "failed", 500, 41, "b2bua"),
    ("ports_exhausted", "media_ports_exhausted", 11071, "failed", 503, 47, "b2bua"),
    ("process_lost", "process_lost", 11072, "completed", BYE, 41, "b2bua"),
    ("process_lost_unanswered", "process_lost", 11073, "failed", 503, 41, "b2bua"),
    ("unknown_trunk", "unknown_trunk", 11100, "failed", 403, 21, "b2bua"),
    ("no_route", "no_route", 11101, "failed", 404, 3, "b2bua"),
    ("overload", "overload", 11102, "failed", 503, 42, "b2bua"),
    ("draining", "draining", 11103, "failed", 503, 41, "b2bua"),
    ("shutdown", "shutdown", 11104, "failed", 503, 41, "b2bua"),
    ("bad_request", "bad_request", 11105, "failed", 400, 127, "caller"),
    ("bad_extension", "bad_extension", 11106, "failed", 420, 127, "caller"),
    ("extension_required", "extension_required", 11107, "failed", 421, 127, "caller"),
]


@pytest.mark.parametrize(("sip_status", "name", "code", "status", "caller_status", "q850"), RESPONSES)
def test_a_final_response_ends_an_attempt(
    sip_status: int, name: str, code: int, status: str, caller_status: int, q850: int
) -> None:
    outcome = from_response(sip_status, "Whatever They Say")

    assert (outcome.name, outcome.code, outcome.status) == (name, code, status)
    assert outcome.caller_status == caller_status
    assert outcome.cause.q850 == q850
    assert (outcome.source, outcome.sip_status, outcome.sip_reason) == (
        "agent",
        sip_status,
        "Whatever They Say",
    )


@pytest.mark.parametrize(("event", "name", "code", "status", "caller", "q850", "source"), EVENTS)
def test_an_event_of_ours_ends_a_call(
    event: str, name: str, code: int, status: str, caller: int | CallerEnd, q850: int | None, source: str
) -> None:
    outcome = local(event)

    assert (outcome.event, outcome.name, outcome.code, outcome.status) == (event, name, code, status)
    assert outcome.cause.caller == caller
    assert outcome.caller_status == (caller if isinstance(caller, int) else None)
    assert outcome.cause.q850 == q850
    assert outcome.source == source
    assert (outcome.sip_status, outcome.sip_reason) == (None, None)


def test_every_row_is_expected_above() -> None:
    expected = {row[2] for row in RESPONSES} | {row[2] for row in EVENTS}

    assert {row.code for row in CAUSES.values()} == expected
    assert len(CAUSES) == len(expected), "two rows share a code"


class TestAuthentication:
    """4240 whatever the status, when the digest client has given up."""

    @pytest.mark.parametrize("sip_status", [401, 403, 407])
    @pytest.mark.parametrize("auth", ["rejected", "no_credentials", "no_challenge", "too_many_attempts"])
    def test_rejected_credentials(self, sip_status: int, auth: str) -> None:
        outcome = from_response(sip_status, "Forbidden", auth=auth)

        assert (outcome.name, outcome.code, outcome.caller_status) == ("sip_auth_failed", 4240, 502)
        assert outcome.sip_status == sip_status
        assert outcome.detail == auth

    def test_the_far_end_s_words_are_kept_beside_the_reason(self) -> None:
        outcome = from_response(407, auth="rejected", detail='399 pbx "account locked"')

        assert outcome.detail == 'rejected; 399 pbx "account locked"'

    def test_403_without_credentials_is_a_plain_refusal(self) -> None:
        assert from_response(403, "Forbidden", auth=None).code == 3040


class TestRecord:
    """What stands in the call record."""

    def test_keys_are_a_contract(self) -> None:
        outcome = from_response(403, "Forbidden", auth="rejected")

        assert outcome.as_record() == {
            "name": "sip_auth_failed",
            "code": 4240,
            "status": "failed",
            "source": "agent",
            "sip_status": 403,
            "sip_reason": "Forbidden",
        }

    def test_the_source_may_be_known_better(self) -> None:
        assert local("normal_hangup", source="agent").source == "agent"
        assert from_response(486, source="assistant").source == "assistant"

    def test_the_status_is_plain_text(self) -> None:
        assert type(local("ring_timeout").as_record()["status"]) is str


class TestReasonHeaders:
    """RFC 3326."""

    def test_q850_and_the_raw_status(self) -> None:
        assert from_response(486, "Busy Here").reason_headers() == [
            ("Reason", 'Q.850;cause=17;text="busy"'),
            ("Reason", "SIP;cause=486"),
        ]

    def test_nothing_was_received(self) -> None:
        assert local("auth_timeout").reason_headers() == [
            ("Reason", 'Q.850;cause=102;text="sip_auth_timeout"')
        ]

    def test_what_a_far_end_said_takes_the_place_of_ours(self) -> None:
        told = replace(local("normal_hangup"), reasons=(("Q.850", 31), ("SIP", 200)))
        assert told.reason_headers() == [
            ("Reason", 'Q.850;cause=31;text="normal_hangup"'),
            ("Reason", "SIP;cause=200"),
        ]

    def test_who_lost_a_race_is_told_that_another_answered(self) -> None:
        assert local("lost_race").reason_headers() == [
            ("Reason", 'SIP;cause=200;text="Call completed elsewhere"')
        ]

    def test_nothing_to_say(self) -> None:
        assert local("cancel").reason_headers() == []

    @pytest.mark.parametrize("event", sorted(CAUSES))
    def test_never_a_cause_that_stacks_drop(self, event: str) -> None:
        headers = Outcome(CAUSES[event], "agent", 699, 'a "quoted"\r\nphrase').reason_headers()

        for _, value in headers:
            protocol, cause = re.fullmatch(
                r'(Q\.850|SIP);cause=(\d+)(?:;text="[A-Za-z_ -]+")?', value
            ).groups()  # type: ignore[union-attr]
            assert 1 <= int(cause) <= (127 if protocol == "Q.850" else 699)


class TestPromises:
    """What holds for every row."""

    @pytest.mark.parametrize("row", CAUSES.values(), ids=lambda row: row.event)
    def test_503_is_only_our_own_and_challenges_stay_here(self, row: Cause) -> None:
        assert row.caller not in (401, 407)
        if row.caller == 503:
            ours = ("overload", "draining", "shutdown", "ports_exhausted", "process_lost_unanswered")
            assert row.event in ours

    @pytest.mark.parametrize("sip_status", range(300, 700))
    def test_every_final_response_has_a_row_and_the_caller_a_final_response(self, sip_status: int) -> None:
        caller_status = from_response(sip_status).caller_status

        assert caller_status is not None
        assert 400 <= caller_status <= 699
        assert caller_status not in (401, 407, 503)

    @pytest.mark.parametrize("sip_status", [100, 180, 200, 202, 299, 700, 0])
    def test_what_is_no_failure_has_no_outcome(self, sip_status: int) -> None:
        with pytest.raises(LocalError):
            from_response(sip_status)

    def test_a_misspelt_event_is_noticed(self) -> None:
        with pytest.raises(LocalError, match="ring_timout"):
            local("ring_timout")

    def test_another_address_is_tried_after_silence_congestion_and_wrong_certificates_only(self) -> None:
        again = {event for event in CAUSES if local(event).try_next_target}

        tls = {"tls_untrusted", "tls_expired", "tls_name_mismatch"}
        assert again == {"network_error", "carrier_congestion", *tls}


def generator() -> ModuleType:
    """scripts/generate_docs.py as a module."""
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "scripts" / "generate_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestDocumentation:
    """docs/outcomes.md comes from the table."""

    def test_the_committed_pages_are_current(self) -> None:
        assert generator().stale_pages() == [], "run scripts/generate_docs.py"

    def test_every_code_is_on_the_page(self) -> None:
        page = (ROOT / "docs" / "outcomes.md").read_text(encoding="utf-8")

        for row in CAUSES.values():
            assert f"| {row.code} | `{row.name}` |" in page

    def test_a_page_that_lags_behind_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        module = generator()
        monkeypatch.setattr(module, "ROOT", tmp_path)

        assert "docs/outcomes.md" in module.stale_pages()
