"""docs/handoff.md is true: its requests work as they stand there, and its configuration loads."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from b2bua.config import load_configuration
from tests.support.audio import tone, write_wav
from tests.support.handoff_stage import KEY, SUPPORT, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK
from tests.support.scripted import ScriptedCallee, ScriptedCaller

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/handoff.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def rings(invite: SipText) -> list[bytes]:
    return [response(invite, 180, "Ringing")]


def run(block: str, **variables: str) -> dict:
    """The JSON that a block of shell commands prints."""
    environment = {**os.environ, "B2BUA_API_KEY": KEY, **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "error" not in answer, answer
    return answer


def test_the_requests_work_as_they_stand_there(tmp_path: Path) -> None:
    write_wav(tmp_path / "hold.wav", tone(660, 0.5))
    listed, handed, followed, found, given_up, described, whole = blocks("sh")
    with ScriptedCallee(answers) as bot, ScriptedCallee(rings) as human, ScriptedCaller() as caller:
        billing = {
            "route": f"sip:queue-1@{human.address}",
            "hold_music": "hold.wav",
            "wait_for_silence": "0s",
        }
        policy = {"allow": ["sip:*@cc.example.com"]}
        with staged(tmp_path, f"sip:bot@{bot.address}", {"billing": billing}, policy=policy) as (b2bua, api):
            caller.call(b2bua.address, SUPPORT)
            call_id = api.the_call()
            where = {"API": f"http://{b2bua.api}", "CALL_ID": call_id}
            assert [call["call_id"] for call in run(listed, **where)["calls"]] == [call_id]
            handoff = run(handed, **where)
            assert (handoff["destination"], handoff["reason"]) == ("billing", "refund")
            assert run(handed, **where)["id"] == handoff["id"], "the same idempotency key"
            api.reaches(handoff, "ringing")
            assert human.requests("INVITE")[0].header("X-Ticket") == "4711"
            where["HANDOFF_ID"] = str(handoff["id"])
            assert run(followed, **where)["state"] == "ringing"
            assert [each["id"] for each in run(found, **where)["handoffs"]] == [handoff["id"]]
            assert run(given_up, **where)["id"] == handoff["id"]
            assert api.reaches(handoff, "cancelled")["outcome"]["code"] == 1000
            elsewhere = run(described, **where)
            assert elsewhere["state"] in ("requested", "dialing")
            assert len(run(whole, **where)["handoffs"]) == 2
            api.ask("DELETE", f"/v1/calls/{call_id}")
            assert b2bua.record()["outcome"]["source"] == "api"


def test_the_configuration_loads(tmp_path: Path) -> None:
    main, destinations = blocks("yaml")
    (tmp_path / "prompts").mkdir()
    write_wav(tmp_path / "prompts/hold.wav", tone(660, 0.5))
    (tmp_path / "b2bua.yaml").write_text(main)
    (tmp_path / "destinations.yaml").write_text(destinations)
    environment = {
        name: f"a-value-of-{name}" for name in ("GW_PASSWORD", "BILLING_PASSWORD", "B2BUA_API_KEY")
    }
    configuration = load_configuration(tmp_path / "b2bua.yaml", environment, [])
    assert not configuration.warnings, [str(each) for each in configuration.warnings]
    assert list(configuration.destinations) == ["front-desk", "billing", "operator", "back-to-sbc"]
