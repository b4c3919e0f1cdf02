"""Destinations edited under a running B2BUA, over its API and at the command line: the next call goes by them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.b2bua_process import B2bua
from tests.support.handoff_stage import SUPPORT, Api, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedCallee, ScriptedCaller

ROOT = Path(__file__).parents[2]


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def rings(invite: SipText) -> list[bytes]:
    return [response(invite, 180, "Ringing")]


def test_the_next_call_goes_by_the_edit(tmp_path: Path) -> None:
    with ScriptedCallee(answers) as bot, ScriptedCallee(rings) as human:
        nobody = {"route": f"sip:nobody@{LOOPBACK}:9"}
        with staged(tmp_path, f"sip:bot@{bot.address}", {"desk": nobody}) as (b2bua, api):
            settings = {"method": "invite", "encryption": "udp/rtp", "route": f"sip:sales@{human.address}"}
            api.ask("POST", "/v1/destinations", {"name": "sales", **settings, "wait_for_silence": "0s"})
            _hand_over_a_new_call(b2bua, api, destination="sales")

            reloads = _reloads(b2bua)
            edit = ["edit", "sales", f"route=sip:more@{human.address}"]
            command = [
                sys.executable,
                "-m",
                "b2bua",
                "destinations",
                *edit,
                "--config",
                str(tmp_path / "b2bua.yaml"),
            ]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=20)
            wait_until(lambda: _reloads(b2bua) > reloads or None, 10, "the edit is taken")
            api.ask("POST", "/v1/destinations/sales/default")
            _hand_over_a_new_call(b2bua, api)

            called = [invite.uri.partition("@")[0] for invite in human.requests("INVITE")]
            assert called == ["sip:sales", "sip:more"]


def _hand_over_a_new_call(b2bua: B2bua, api: Api, **request: object) -> None:
    with ScriptedCaller() as caller:
        caller.call(b2bua.address, SUPPORT)
        call_id = api.the_call()
        api.reaches(api.hand_off(call_id, **request), "ringing")
        api.ask("DELETE", f"/v1/calls/{call_id}")
        wait_until(lambda: not api.live_calls() or None, 10, "the call is over")


def _reloads(b2bua: B2bua) -> int:
    return b2bua.errors.count("configuration_reloaded")
