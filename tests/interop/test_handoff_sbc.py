"""Handoff by REFER and BYE toward an SBC that behaves in every way that SBCs do, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.digest_gate import challenge_headers, credentials, expected_response
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedCallee
from tests.support.scripted_sbc import ScriptedSbc
from tests.support.sipp import sipp_callee, sipp_caller

PASSWORD = "s3cret-of-the-sbc"
OPERATOR = {
    "method": "refer",
    "route": "sip:operator@sbc.example.com",
    "headers": {"X-Reason": "$reason"},
    "refer_timeout": "2s",
}
WHERE = {
    "operator": OPERATOR,
    "operator-assumed": {**OPERATOR, "on_refer_timeout": "assume_done"},
    "back": {"method": "bye", "headers": {"X-Reason": "$reason"}},
}
OnRefer = Callable[[ScriptedSbc, SipText], None]


def answers(invite: SipText) -> list[bytes]:
    """An assistant that takes every call, and is silent."""
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def accepts(*statuses: int, status: int = 202, early: bool = False, bye: bool = False) -> OnRefer:
    """Accept, tell these statuses (before the acceptance when `early`), and then perhaps BYE."""

    def on_refer(sbc: ScriptedSbc, refer: SipText) -> None:
        if not early:
            sbc.answer(refer, status)
        for each in statuses:
            sbc.notify(each)
        if early:
            sbc.answer(refer, status)
        if bye:
            sbc.say("BYE")

    return on_refer


def refuses(status: int) -> OnRefer:
    return lambda sbc, refer: sbc.answer(refer, status)


@dataclass(frozen=True, slots=True)
class Stage:
    """One B2BUA for all of these tests, and its assistant."""

    bot: ScriptedCallee
    b2bua: B2bua
    api: Api


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """It must end well."""
    folder = tmp_path_factory.mktemp("sbc")
    trunk = {"outbound": {"uri": "sip:gw.example.com", "auth": {"username": "us", "password": PASSWORD}}}
    with (
        ScriptedCallee(answers) as bot,
        staged(folder, f"sip:bot@{bot.address}", WHERE, trunk=trunk) as (b2bua, api),
    ):
        yield Stage(bot, b2bua, api)


def hand_over(
    stage: Stage,
    on_refer: OnRefer,
    destination: str = "operator",
    late: Callable[[ScriptedSbc], None] | None = None,
) -> tuple[dict, ScriptedSbc]:
    """One call that is handed over, to its end. Returns the handoff and the SBC with all that it saw."""
    api, bot = stage.api, stage.bot
    byes, records = len(bot.requests("BYE")), len(stage.b2bua.records())
    with ScriptedSbc(on_refer) as sbc:
        sbc.call(stage.b2bua.address, SUPPORT)
        call_id = api.the_call()
        handoff = api.hand_off(call_id, destination=destination, reason="a human, please")
        handoff = api.reaches(handoff, "completed", "failed")
        if handoff["state"] == "failed":
            assert api.live_calls(), "a failed handoff never ends the call"
            assert len(bot.requests("BYE")) == byes
            sbc.say("BYE")
        record = stage.b2bua.records(records + 1)[-1]
        wait_until(lambda: len(bot.requests("BYE")) > byes, 5.0, "the assistant is let go")
        wait_until(
            lambda: bool(sbc.answers_to("BYE") or sbc.requests("BYE")), 5.0, "one said BYE to the other"
        )
        if late is not None:
            late(sbc)
        wait_until(lambda: len(sbc.answers_to("NOTIFY")) == sbc.notified, 5.0, "every NOTIFY is answered")
    assert sbc.answers_to("NOTIFY") == [200] * sbc.notified
    assert record["call_id"] == call_id
    assert record["handoffs"][0]["outcome"] == handoff["outcome"]
    assert record["handoffs"][0]["confirmed"] == handoff["confirmed"]
    assert record["outcome"]["code"] == 4000
    return handoff, sbc


@pytest.mark.parametrize(
    ("on_refer", "confirmed"),
    [
        pytest.param(accepts(100, 200, bye=True), "notify", id="202 and NOTIFY 200"),
        pytest.param(accepts(200), "notify", id="NOTIFY 200 and no BYE"),
        pytest.param(accepts(200, status=200, bye=True), "notify", id="200 instead of 202"),
        pytest.param(accepts(100, 200, early=True), "notify", id="NOTIFY before the 202"),
        pytest.param(accepts(bye=True), "bye", id="BYE instead of a NOTIFY"),
        pytest.param(accepts(100, bye=True), "bye", id="only ever 100, then BYE"),
    ],
)
def test_the_sbc_takes_the_caller(stage: Stage, on_refer: OnRefer, confirmed: str) -> None:
    handoff, sbc = hand_over(stage, on_refer)
    assert (handoff["method"], handoff["confirmed"], handoff["outcome"]["code"]) == ("refer", confirmed, 4000)
    (refer,) = sbc.requests("REFER")
    headers = f"X-Reason=a%20human%2C%20please&X-Handoff-ID={handoff['id']}"
    assert refer.header("Refer-To") == f"<sip:operator@sbc.example.com?{headers}>"
    assert refer.header("Referred-By")


@pytest.mark.parametrize(
    ("on_refer", "name", "code", "status"),
    [
        pytest.param(refuses(405), "refer_refused", 11040, 405, id="405"),
        pytest.param(refuses(603), "refer_refused", 11040, 603, id="603"),
        pytest.param(accepts(100, 486), "busy", 3010, 486, id="NOTIFY 486"),
        pytest.param(accepts(603), "rejected", 3110, 603, id="NOTIFY 603"),
    ],
)
def test_the_sbc_does_not_and_the_caller_stays(
    stage: Stage, on_refer: OnRefer, name: str, code: int, status: int
) -> None:
    handoff, _ = hand_over(stage, on_refer)
    outcome = handoff["outcome"]
    assert (outcome["name"], outcome["code"], outcome["sip_status"]) == (name, code, status)
    assert handoff["confirmed"] is None


@pytest.mark.parametrize(("policy", "state"), [("operator", "failed"), ("operator-assumed", "completed")])
def test_the_sbc_accepts_and_says_nothing_more(stage: Stage, policy: str, state: str) -> None:
    handoff, _ = hand_over(stage, accepts(100), policy)
    assert handoff["state"] == state
    assert handoff["confirmed"] == ("assumed" if state == "completed" else None)
    assert handoff["outcome"]["code"] == (4000 if state == "completed" else 11041)


def test_the_sbc_asks_who_we_are_and_counts_the_refer_anew(stage: Stage) -> None:
    judged = []

    def on_refer(sbc: ScriptedSbc, refer: SipText) -> None:
        given = credentials(refer)
        if not given:
            sbc.answer(refer, 407, challenge_headers(407, "sbc", "nonce-1", ("SHA-256", "MD5")))
            return
        judged.append(given["response"] == expected_response(given, "REFER", "us", PASSWORD))
        sbc.answer(refer, 202)
        sbc.notify(200, event=f"refer;id={refer.header('CSeq').split()[0]}")

    handoff, _ = hand_over(stage, on_refer)
    assert judged == [True]
    assert handoff["confirmed"] == "notify"


def test_the_sbc_asks_for_ever(stage: Stage) -> None:
    def on_refer(sbc: ScriptedSbc, refer: SipText) -> None:
        sbc.answer(refer, 407, challenge_headers(407, "sbc", refer.branch, ("MD5",)))

    handoff, _ = hand_over(stage, on_refer)
    assert (handoff["outcome"]["name"], handoff["outcome"]["sip_status"]) == ("refer_refused", 407)


def test_a_notify_after_the_bye_is_answered(stage: Stage) -> None:
    handoff, sbc = hand_over(stage, accepts(bye=True), late=lambda sbc: sbc.notify(200))
    assert handoff["confirmed"] == "bye"
    assert sbc.notified == 1


def test_by_bye_the_sbc_reads_where_the_caller_belongs(stage: Stage) -> None:
    handoff, sbc = hand_over(stage, refuses(603), "back")
    assert sbc.requests("REFER") == []
    assert sbc.wait_for_request("BYE").header("X-Reason") == "a human, please"
    assert (handoff["method"], handoff["confirmed"], handoff["outcome"]["sip_status"]) == ("bye", True, 200)


CALLS = 20


def test_a_sipp_sbc_takes_every_caller(tmp_path: Path) -> None:
    with (
        sipp_callee(tmp_path, name="assistant") as bot,
        staged(tmp_path, f"sip:bot@{bot.address}", WHERE) as (b2bua, api),
        sipp_caller(
            tmp_path, b2bua.host_port, "caller_is_referred.xml", service=SUPPORT, calls=CALLS, rate=CALLS
        ) as sbc,
    ):
        wait_until(lambda: len(api.live_calls()) == CALLS, 15.0, "all calls are answered")
        handoffs = [api.hand_off(call["call_id"], destination="operator") for call in api.live_calls()]
        done = [api.reaches(handoff, "completed", "failed") for handoff in handoffs]
        counted = sbc.finished(30.0)
        taken = bot.finish()
        records = b2bua.records(CALLS)
    assert [handoff["confirmed"] for handoff in done] == ["notify"] * CALLS, json.dumps(done[0])
    assert (counted.successful, counted.failed) == (CALLS, 0), sbc.complaints()
    assert (taken.successful, taken.failed) == (CALLS, 0), bot.complaints()
    assert [record["handoffs"][0]["outcome"]["code"] for record in records] == [4000] * CALLS
