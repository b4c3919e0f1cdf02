"""A real receiver of webhooks, killed and started again while a caller talks: the call goes on, the rest arrives."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from b2bua.webhooks.signature import sign
from tests.support.handoff_stage import SUPPORT, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedCallee, ScriptedCaller
from tests.support.webhook_process import Receiver

TOKEN = "s3cret-of-the-webhooks"


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def refuses(invite: SipText) -> list[bytes]:
    return [response(invite, 486, "Busy Here")]


def test_the_receiver_dies_and_comes_back_while_the_caller_talks(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    with ScriptedCallee(answers) as bot, ScriptedCallee(answers) as human, ScriptedCaller() as caller:
        stage = staged(
            tmp_path,
            f"sip:bot@{bot.address}",
            {"desk": {"route": f"sip:human@{human.address}", "wait_for_silence": "0s"}},
            webhooks={"token": TOKEN, "allow": f"{LOOPBACK}/32"},
        )
        first = receiver.start()
        try:
            with stage as (b2bua, api):
                caller.call(b2bua.address, SUPPORT)
                call_id = api.the_call()
                urls = {"callback_url": receiver.url("/live"), "action_url": receiver.url("/done")}
                handoff = api.hand_off(call_id, destination="desk", **urls)
                api.reaches(handoff, "connected")
                receiver.heard("DialAnswer", "DialConnected")
                first.send_signal(signal.SIGKILL)
                first.wait(10.0)
                caller.hang_up()
                assert b2bua.record()["outcome"]["code"] == 4000, "the call ends as any other"
                second = receiver.start()
                try:
                    events = receiver.heard("DialAnswer", "DialConnected", "DialHangup", "DialAction")
                finally:
                    second.stop()
        finally:
            first.stop()
    assert [each["path"] for each in events] == ["/live", "/live", "/live", "/done"]
    final = events[-1]
    assert (final["parameters"]["DialStatus"], final["parameters"]["CallUUID"]) == ("completed", call_id)
    assert len({each["headers"]["Idempotency-Key"] for each in events}) == 4
    for each in events:
        nonce = each["headers"]["X-Plivo-Signature-V3-Nonce"]
        url = f"http://{LOOPBACK}:{receiver.port}{each['path']}"
        wanted = sign(url, list(each["parameters"].items()), nonce, [TOKEN])
        assert each["headers"]["X-Plivo-Signature-V3"] == wanted


def test_a_receiver_that_never_was_is_a_line_in_the_log_and_no_more(tmp_path: Path) -> None:
    port = free_port()
    with ScriptedCallee(answers) as bot, ScriptedCallee(refuses) as human, ScriptedCaller() as caller:
        stage = staged(
            tmp_path,
            f"sip:bot@{bot.address}",
            {
                "desk": {
                    "route": f"sip:human@{human.address}",
                    "wait_for_silence": "0s",
                    "action_url": f"http://{LOOPBACK}:{port}/done?secret=42424242#rc=0",
                }
            },
            webhooks={"allow_private": True},
        )
        with stage as (b2bua, api):
            caller.call(b2bua.address, SUPPORT)
            handoff = api.hand_off(api.the_call(), destination="desk")
            assert api.reaches(handoff, "failed")["outcome"]["code"] == 3010
            lost = wait_until(
                lambda: next((line for line in b2bua.errors.splitlines() if "webhook_lost" in line), None),
                15.0,
                "the loss is logged",
            )
            assert json.loads(lost)["receiver"] == f"{LOOPBACK}:{port}"
            assert "42424242" not in b2bua.errors
            assert api.live_calls(), "the caller talks to the assistant again"
            caller.hang_up()
            b2bua.record()
