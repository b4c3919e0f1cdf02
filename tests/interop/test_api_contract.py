"""A running B2BUA, with a call in it, answers over HTTP as its description says."""

from __future__ import annotations

from pathlib import Path

import httpx2
import schemathesis

from tests.support.api_contract import drive, operations
from tests.support.handoff_stage import KEY, SUPPORT, staged
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK
from tests.support.scripted import ScriptedCallee, ScriptedCaller

NOT_DRIVEN = ("/v1/events", "/v1/drain")
"""What never ends, and what ends the process."""


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def test_a_running_b2bua_answers_as_described(tmp_path: Path) -> None:
    with ScriptedCallee(answers) as bot, ScriptedCallee(answers) as human, ScriptedCaller() as caller:
        people = {name: {"route": f"sip:{name}@{human.address}"} for name in ("desk", "billing")}
        with staged(tmp_path, f"sip:bot@{bot.address}", people) as (b2bua, api):
            caller.call(b2bua.address, SUPPORT)
            call_id = api.the_call()
            handoff = api.hand_off(call_id, destination="billing")
            url = f"http://{b2bua.api}/openapi.json"
            schema = schemathesis.openapi.from_url(url)
            known = {"call_id": (call_id,), "handoff_id": (str(handoff["id"]),), "name": tuple(people)}

            # Last what ends the call.
            for operation in sorted(operations(httpx2.get(url).json()), key=lambda each: each[0] == "delete"):
                if operation[1] not in NOT_DRIVEN:
                    drive(schema, operation, key=KEY, known=known, examples=8)
