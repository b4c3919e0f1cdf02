"""The embedded store under a running B2BUA: it survives a restart and SIGKILL, and a full disk costs no call."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path

from tests.support.b2bua_process import B2bua
from tests.support.handoff_stage import SUPPORT, Api, stage_settings, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedCallee, ScriptedCaller


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def busy(invite: SipText) -> list[bytes]:
    return [response(invite, 486, "Busy Here")]


def store_of(api: Api) -> dict:
    return dict(api.ask("GET", "/readyz")["store"])


def test_the_whole_story_survives_the_call_a_sigkill_and_a_restart(tmp_path: Path) -> None:
    with ScriptedCallee(answers) as bot, ScriptedCallee(busy) as human, ScriptedCaller() as caller:
        assistant, desk = f"sip:bot@{bot.address}", {"desk": {"route": f"sip:desk@{human.address}"}}
        with B2bua(tmp_path, desk, main=stage_settings(assistant)) as first:
            api = Api(first)
            caller.call(first.address, SUPPORT)
            call_id = api.the_call()
            handoff = api.hand_off(call_id, shared_id="c-17", data={"customer_id": "C-1"})
            api.reaches(handoff, "failed")
            api.ask("POST", f"/v1/calls/{call_id}/annotations", {"text": "angry", "author": "bot"})
            api.ask("DELETE", f"/v1/calls/{call_id}")
            wait_until(lambda: api.ask("GET", f"/v1/calls/{call_id}")["ended"], 10.0, "the call ends")
            api.ask(
                "POST", f"/v1/handoffs/{handoff['id']}/outcome", {"result": "called back", "agent": "ann"}
            )
            before = api.ask("GET", f"/v1/calls/{call_id}")
            wait_until(lambda: not store_of(api)["waiting"], 10.0, "all is written")
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)

        with staged(tmp_path, assistant, desk) as (_, again):
            whole = again.ask("GET", f"/v1/calls/{call_id}")
            assert whole == before
            assert [each["call_id"] for each in again.ask("GET", "/v1/calls")["calls"]] == [call_id]
            (kept,) = again.ask("GET", "/v1/handoffs?shared_id=c-17")["handoffs"]
            assert kept == again.handoff(handoff["id"]) == whole["handoffs"][0]
            assert kept["data"] == {"customer_id": "C-1"}
            assert kept["outcome"]["code"] == 3010
            assert kept["resolution"]["result"] == "called back"
            assert [note["text"] for note in whole["annotations"]] == ["angry"]
            moments = [moment["event"] for moment in whole["timeline"]]
            told = ["received", "handoff", "handoff failed", "annotated", "outcome called back"]
            assert [moment for moment in dict.fromkeys(moments) if moment in told] == told


def test_a_full_disk_costs_no_call_is_seen_and_passes(tmp_path: Path) -> None:
    more = {"store": "sqlite:small.db?max_size=128KB"}
    with ScriptedCallee(answers) as bot, ScriptedCallee(busy) as human, ScriptedCaller() as caller:
        assistant, desk = f"sip:bot@{bot.address}", {"desk": {"route": f"sip:desk@{human.address}"}}
        with staged(tmp_path, assistant, desk, more=more) as (b2bua, api):
            context = {"channel": "sms", "shared_id": "s", "data": {f"n{n}": "x" * 4000 for n in range(10)}}
            for _ in range(4):
                api.ask("POST", "/v1/handoffs", context)
            wait_until(lambda: not store_of(api)["available"], 10.0, "it is full")
            wait_until(lambda: "database or disk is full" in b2bua.errors, 10.0, "the log says why")

            caller.call(b2bua.address, SUPPORT)
            call_id = api.the_call()
            handoff = api.hand_off(call_id, shared_id="c-17")
            api.reaches(handoff, "failed")
            api.ask("DELETE", f"/v1/calls/{call_id}")
            assert b2bua.record()["outcome"]["code"] == 4000
            status = store_of(api)
            assert status["waiting"] >= 3
            assert not status["available"]

            # The operator makes room; nobody tells the B2BUA.
            with sqlite3.connect(tmp_path / "small.db", timeout=10) as database:
                database.execute("DELETE FROM document WHERE body LIKE '%xxxx%'")
            database.close()

            recovered = wait_until(lambda: (s := store_of(api))["available"] and s, 15.0, "it is used again")
            assert recovered["lost"] == 0
            wait_until(lambda: not store_of(api)["waiting"], 10.0, "what waited is written")
            wait_until(lambda: "store_recovered" in b2bua.errors, 10.0, "the log says that it is over")
        reader = sqlite3.connect(tmp_path / "small.db")
        keys = {key for (key,) in reader.execute("SELECT kind || ':' || key FROM document")}
        reader.close()
        assert {f"call:{call_id}", f"handoff:{handoff['id']}"} <= keys
        assert (tmp_path / "small.db").stat().st_size <= 128 * 1024
