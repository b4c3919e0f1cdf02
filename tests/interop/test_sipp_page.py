"""The two scenarios that docs/sipp.md hands to its readers, run as it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.b2bua_process import ROOT, B2bua
from tests.support.ports import LOOPBACK
from tests.support.sipp import Sipp, sipp_callee, sipp_caller

SCENARIOS = ROOT / "configs" / "sipp"


TRUNK = {"accept": {"addresses": [LOOPBACK], "auth": {"username": "acme", "password": "s3cret"}}}
LOGGING_IN: dict[str, Any] = {
    "sip": {"listen": [f"udp:{LOOPBACK}:0"], "digest_algorithms": ["MD5", "SHA-256"]},
    "trunks": {"local-sbc": TRUNK},
    "routes": [{"to": "*", "destination": "desk"}],
}


def caller_with(password: str, b2bua: B2bua, folder: Path, calls: int) -> Sipp:
    where = b2bua.host_port
    login = ["-au", "acme", "-ap", password, "-auth_uri", f"operator@{where}"]
    arguments = [*login, "-s", "operator", "-m", str(calls), "-d", "100", where]
    return Sipp("caller", SCENARIOS / "caller-with-password.xml", folder, arguments)


def test_a_caller_with_a_password_gets_through_by_md5(tmp_path: Path) -> None:
    with (
        sipp_callee(tmp_path) as desk,
        B2bua(tmp_path, {"desk": {"route": f"sip:desk@{desk.address}"}}, main=LOGGING_IN) as b2bua,
    ):
        with caller_with("s3cret", b2bua, tmp_path, calls=5) as caller:
            made = caller.finished(20)
        assert (made.successful, made.failed) == (5, 0), caller.complaints()
        assert [record["trunk"] for record in b2bua.records(5)] == ["local-sbc"] * 5


def test_a_caller_with_a_wrong_password_has_failed_and_does_not_wait_for_ever(tmp_path: Path) -> None:
    destinations = {"desk": {"route": f"sip:desk@{LOOPBACK}:9"}}
    with B2bua(tmp_path, destinations, main=LOGGING_IN) as b2bua:
        with caller_with("wrong", b2bua, tmp_path, calls=1) as caller:
            made = caller.finished(20)
        assert (made.successful, made.failed) == (0, 1)


def test_an_assistant_refers_its_caller(tmp_path: Path) -> None:
    keys = {"human": "sip:desk@127.0.0.1?X-Ticket=4711"}
    with (
        sipp_callee(tmp_path, name="desk") as desk,
        sipp_callee(
            tmp_path, SCENARIOS / "assistant-that-refers.xml", name="assistant", keys=keys
        ) as assistant,
        B2bua(
            tmp_path,
            {"desk": {"route": f"sip:desk@{desk.address}"}},
            main={"routes": [{"to": "support", "assistant": f"sip:bot@{assistant.address}"}]},
        ) as b2bua,
    ):
        with sipp_caller(tmp_path, b2bua.host_port, call_length_ms=4000) as caller:
            made = caller.finished(20)
        assert (made.successful, made.failed) == (1, 0), caller.complaints()
        record = b2bua.record()
        (handoff,) = record["handoffs"]
        assert (handoff["destination"], handoff["outcome"]["name"]) == ("desk", "normal_hangup")
        told = assistant.finish()
        assert (told.successful, told.failed) == (1, 0), assistant.complaints()
        assert desk.finish().successful == 1, "the human had the caller"
