"""docs/client.md is true: its examples run against a B2BUA with a call, and its table has every reason."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from b2bua.client import FAILURE_REASONS
from tests.support.handoff_stage import KEY, SUPPORT, Api, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK
from tests.support.scripted import ScriptedCallee, ScriptedCaller

PAGE = (Path(__file__).parents[2] / "docs/client.md").read_text(encoding="utf-8")
EXAMPLE, EVENTS, TOOL = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def is_busy(invite: SipText) -> list[bytes]:
    return [response(invite, 486, "Busy Here")]


@contextmanager
def a_call(folder: Path, human: ScriptedCallee) -> Iterator[tuple[Api, dict[str, Any]]]:
    """A live call, and what the examples know of it."""
    with ScriptedCallee(answers) as bot, ScriptedCaller() as caller:
        billing = {"route": f"sip:queue-1@{human.address}", "wait_for_silence": "0s"}
        with staged(folder, f"sip:bot@{bot.address}", {"billing": billing}) as (b2bua, api):
            caller.call(b2bua.address, SUPPORT)
            call_id = api.the_call()
            yield api, {"URL": f"http://{b2bua.api}", "KEY": KEY, "CALL_ID": call_id}
            if api.live_calls():
                api.ask("DELETE", f"/v1/calls/{call_id}")


def test_the_example_hands_the_call_over_and_says_how_it_went(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedCallee(is_busy) as human, a_call(tmp_path, human) as (api, names):
        exec(compile(EXAMPLE, "docs/client.md", "exec"), names)

        assert capsys.readouterr().out == "back with the assistant: busy 3010\n"
        assert human.requests("INVITE")[0].header("X-Ticket") == "4711"
        (handoff,) = api.ask("GET", "/v1/handoffs?shared_id=conversation-17")["handoffs"]
        assert (handoff["reason"], handoff["data"]) == ("refund", {"customer_id": "C-1"})


def test_what_happened_is_followed_to_the_end_of_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ScriptedCallee(is_busy) as human, a_call(tmp_path, human) as (api, names):
        call_id = names["CALL_ID"]
        api.reaches(api.hand_off(call_id, destination="billing"), "failed")
        exec(compile(EVENTS, "docs/client.md", "exec"), names)
        api.ask("DELETE", f"/v1/calls/{call_id}")
        names["follow"](call_id, last_id="of an earlier run: all that is kept")

    assert capsys.readouterr().out.splitlines() == [
        "billing: requested",
        "billing: dialing",
        "billing: failed",
        "the call has ended: normal_hangup",
    ]


def test_the_tool_tells_the_model(tmp_path: Path) -> None:
    with ScriptedCallee(is_busy) as human, a_call(tmp_path, human) as (api, names):
        exec(compile(TOOL, "docs/client.md", "exec"), names)
        asked = {"destination": "billing", "reason": "refund"}
        result = asyncio.run(names["answer_tool_call"]("connect_to_live_agent", asked))

        (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
        assert result == {**json.loads(shown), "conference_id": result["conference_id"]}
        assert api.handoff(result["conference_id"])["state"] == "failed"


def test_every_reason_is_explained() -> None:
    table = PAGE[PAGE.index("| `reason` |") :]

    assert {word for word in FAILURE_REASONS if f"`{word}`" not in table} == set()
