"""How calls fail: each way gives the caller its final response and the record its name, code and status.

The rows are those of docs/outcomes.md; the peers are scripts that misbehave on purpose. Times are checked
against the timer that should have ended the call: not before it, and not long after.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.digest_gate import challenge_headers, credentials, expected_response
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK, free_port
from tests.support.scripted import Script, ScriptedCallee, ScriptedCaller

PASSWORD = "s3cret-of-the-desk"
TIMERS = {"connect_timeout": "1s", "auth_timeout": "1s", "ring_timeout": "2s"}
LATE = 3.0
"""Seconds that a busy machine may take on top of a timer."""


@pytest.fixture
def caller() -> Iterator[ScriptedCaller]:
    """Whoever calls."""
    with ScriptedCaller() as caller:
        yield caller


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., B2bua]]:
    """Starts the B2BUA of a test, with one destination `desk` at the given address; it must end well."""
    started: list[B2bua] = []

    def start(host_port: str, *, password: str | None = PASSWORD) -> B2bua:
        destination: dict[str, object] = {"route": f"sip:desk@{host_port}"}
        if password is not None:
            destination["auth"] = {"username": "acme", "password": password}
        started.append(B2bua(tmp_path, {"desk": destination}, timers=TIMERS))
        return started[0]

    yield start
    for b2bua in started:
        b2bua.check_end()


@dataclass(frozen=True, slots=True)
class Expected:
    """A row of the table: what the record says, and the final response of the caller."""

    name: str
    code: int
    status: str
    response: int


AUTH_FAILED = Expected("sip_auth_failed", 4240, "failed", 502)
AUTH_TIMEOUT = Expected("sip_auth_timeout", 4250, "timeout", 504)
BUSY = Expected("busy", 3010, "busy", 486)
FORBIDDEN = Expected("forbidden", 3040, "failed", 403)
NETWORK_ERROR = Expected("network_error", 5000, "failed", 500)
RANG_OUT = Expected("no-answer", 6010, "no-answer", 480)

AT_ONCE = (0.0, 0.5)
"""Least and most seconds to the final response, most without `LATE`."""


def fails(
    b2bua: B2bua, caller: ScriptedCaller, expected: Expected, within: tuple[float, float] = AT_ONCE
) -> Mapping[str, object]:
    """Calls the desk and checks what the caller and the record say. Returns the record's outcome."""
    caller.call(b2bua.address, "desk")
    final, seconds = caller.final(deadline=within[1] + LATE)
    record = b2bua.record()
    outcome = record["outcome"]
    assert Expected(outcome["name"], outcome["code"], outcome["status"], final.status) == expected, outcome
    assert within[0] <= seconds <= within[1] + LATE
    assert record["attempts"][-1]["outcome"] == outcome, (
        "never answered: the call ends as its last attempt did"
    )
    assert record["answered"] is None
    assert caller.responses()[0][0].status == 100, "100 comes at once"
    return outcome


def challenge(
    invite: SipText, *, status: int = 407, algorithms: tuple[str, ...] = ("MD5",), extra: str = ""
) -> bytes:
    """A challenge with a nonce that was never used before."""
    headers = challenge_headers(status, "contact-centre", secrets.token_hex(8), algorithms, extra)
    return response(invite, status, "Authenticate", headers, tag=secrets.token_hex(4))


def then(after: Script, **challenged: object) -> Script:
    """A script that challenges the first INVITE, and sends `after` to the one with credentials."""
    return lambda invite: after(invite) if credentials(invite) else [challenge(invite, **challenged)]  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [401, 407])
def test_a_wrong_password_is_sent_once_though_the_nonce_is_always_new(
    start: Callable[..., B2bua], caller: ScriptedCaller, status: int
) -> None:
    with ScriptedCallee(lambda invite: [challenge(invite, status=status)]) as desk:
        outcome = fails(start(desk.address), caller, AUTH_FAILED)
        assert desk.credentialed_invites == 1, "more would lock the account"
        assert outcome["sip_status"] == status
        assert outcome["source"] == "agent"


def test_a_challenge_without_credentials_to_answer_it(
    start: Callable[..., B2bua], caller: ScriptedCaller
) -> None:
    with ScriptedCallee(lambda invite: [challenge(invite)]) as desk:
        fails(start(desk.address, password=None), caller, AUTH_FAILED)
        assert (desk.invites, desk.credentialed_invites) == (1, 0)


def test_403_after_credentials_is_an_authentication_failure(
    start: Callable[..., B2bua], caller: ScriptedCaller
) -> None:
    with ScriptedCallee(then(lambda invite: [response(invite, 403, "Forbidden")])) as desk:
        outcome = fails(start(desk.address), caller, AUTH_FAILED)
        assert (outcome["sip_status"], outcome["sip_reason"]) == (403, "Forbidden")
        assert desk.credentialed_invites == 1


def test_403_without_credentials_is_forbidden(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    with ScriptedCallee(lambda invite: [response(invite, 403, "Forbidden")]) as desk:
        fails(start(desk.address), caller, FORBIDDEN)


def test_endless_stale_is_given_up_after_three(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    with ScriptedCallee(lambda invite: [challenge(invite, extra=", stale=true")]) as desk:
        fails(start(desk.address), caller, AUTH_FAILED)
        assert 2 <= desk.credentialed_invites <= 3


def test_one_stale_nonce_is_forgiven(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    seen = itertools.count()

    def script(invite: SipText) -> list[bytes]:
        if next(seen) < 2:
            return [challenge(invite, extra=", stale=true" if credentials(invite) else "")]
        given = credentials(invite)
        good = given["response"] == expected_response(given, "INVITE", "acme", PASSWORD)
        return [response(invite, 486 if good else 403, "Judged")]

    with ScriptedCallee(script) as desk:
        fails(start(desk.address), caller, BUSY)
        assert desk.credentialed_invites == 2


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_without_its_header(
    start: Callable[..., B2bua], caller: ScriptedCaller, status: int
) -> None:
    with ScriptedCallee(lambda invite: [response(invite, status, "Who are you")]) as desk:
        fails(start(desk.address), caller, AUTH_FAILED)
        assert (desk.invites, desk.credentialed_invites) == (1, 0)


def test_only_algorithms_that_nobody_knows(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    with ScriptedCallee(lambda invite: [challenge(invite, algorithms=("SHA-1", "MD2-sess"))]) as desk:
        fails(start(desk.address), caller, AUTH_FAILED)
        assert (desk.invites, desk.credentialed_invites) == (1, 0)


def test_silence_after_credentials(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    with ScriptedCallee(then(lambda invite: [])) as desk:
        fails(start(desk.address), caller, AUTH_TIMEOUT, within=(1.0, 1.0))
        assert desk.credentialed_invites == 1, "repetitions of one INVITE, not new ones"


def test_100_after_credentials_is_an_answer_so_the_ring_timeout_counts(
    start: Callable[..., B2bua], caller: ScriptedCaller
) -> None:
    with ScriptedCallee(then(lambda invite: [response(invite, 100, "Trying")])) as desk:
        fails(start(desk.address), caller, RANG_OUT, within=(2.0, 2.0))
        desk.wait_for_request("CANCEL")


def test_silence_from_the_start(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    with ScriptedCallee(lambda invite: []) as desk:
        fails(start(desk.address), caller, NETWORK_ERROR, within=(1.0, 1.0))
        assert len(desk.requests("INVITE", repetitions=True)) > 1, (
            "sent again after 500 ms: a datagram may be lost"
        )
        assert desk.requests("CANCEL") == [], "RFC 3261 section 9.1: not before a provisional response"


def test_a_host_name_that_nobody_knows(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    fails(start("no-such-host.invalid"), caller, NETWORK_ERROR, within=(0.0, 1.0))


def test_a_port_that_refuses(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    fails(start(f"{LOOPBACK}:{free_port()}"), caller, NETWORK_ERROR, within=(0.0, 1.0))


def test_busy(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    with ScriptedCallee(then(lambda invite: [response(invite, 486, "Busy Here")])) as desk:
        fails(start(desk.address), caller, BUSY)


def test_nobody_answers(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    with ScriptedCallee(lambda invite: [response(invite, 180, "Ringing")]) as desk:
        b2bua = start(desk.address)
        fails(b2bua, caller, RANG_OUT, within=(2.0, 2.0))
        assert caller.wait_for_response(180)
        assert b2bua.record()["attempts"][0]["ringing"] is not None
        desk.wait_for_request("CANCEL")
        desk.wait_for_request("ACK")


def test_the_caller_leaves_while_it_rings(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    with ScriptedCallee(lambda invite: [response(invite, 180, "Ringing")]) as desk:
        b2bua = start(desk.address)
        caller.call(b2bua.address, "desk")
        caller.wait_for_response(180)
        caller.cancel()
        assert caller.final()[0].status == 487
        desk.wait_for_request("CANCEL")
        outcome = b2bua.record()["outcome"]
        assert (outcome["name"], outcome["code"], outcome["status"]) == ("cancel", 1000, "cancel")


def test_a_good_call_for_comparison(start: Callable[..., B2bua], caller: ScriptedCaller) -> None:
    def answer(invite: SipText) -> list[bytes]:
        given = credentials(invite)
        assert given["response"] == expected_response(given, "INVITE", "acme", PASSWORD)
        contact = [("Contact", f"<sip:desk@{desk.address}>")]
        return [response(invite, 200, "OK", contact, sdp(LOOPBACK, 4000))]

    with ScriptedCallee(then(answer, algorithms=("SHA-256", "MD5"))) as desk:
        b2bua = start(desk.address)
        caller.call(b2bua.address, "desk")
        assert caller.final()[0].status == 200
        desk.wait_for_request("ACK")
        caller.hang_up()
        desk.wait_for_request("BYE")
        record = b2bua.record()
        assert (record["outcome"]["name"], record["outcome"]["code"]) == ("normal_hangup", 4000)
        assert record["attempts"][0]["challenged"] is not None
        assert [leg["ended_by"] is not None for leg in record["legs"]] == [True, True]
