"""A call that we place, joined with a caller who talks to the assistant: PJSUA2 phones, judged by what they heard."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.interop.test_handoff_calls import ASSISTANT, CALLER, HUMAN, Cast, tones
from tests.support.digest_gate import DigestGate
from tests.support.engines import Carrier
from tests.support.handoff_stage import staged
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

PASSWORD = "s3cret-of-anna"


def test_a_placed_call_answers_its_challenge_and_is_joined_with_a_caller(
    engine: Carrier, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        human = stack.enter_context(PjsuaPhone(tmp_path, "human", HUMAN))
        bot = stack.enter_context(PjsuaPhone(tmp_path, "bot", ASSISTANT))
        gate = stack.enter_context(DigestGate((LOOPBACK, human.settings.port), "acme", PASSWORD))
        desk = {
            "desk": {
                "route": f"sip:human@{gate.address}",
                "auth": {"username": "acme", "password": PASSWORD},
            }
        }
        b2bua, api = stack.enter_context(staged(tmp_path, bot.uri, desk, media=engine.media))
        alice = stack.enter_context(PjsuaPhone(tmp_path, "alice", CALLER))
        cast = Cast(b2bua, api, alice, bot, human, gate)
        cast.connect()
        hers = api.the_call()
        placed = api.ask("POST", "/v1/calls", {"destination": "desk", "caller_id": "4711"})
        assert "4711" in str(human.wait_for("incoming")["caller"])
        human.tell("answer", status=200)
        human.wait_for_state("CONFIRMED")
        wait_until(
            lambda: api.ask("GET", f"/v1/calls/{placed['call_id']}")["answered"], 10.0, "it is answered"
        )
        joined = api.ask("POST", f"/v1/calls/{hers}/bridge", {"call_id": placed["call_id"]})
        assert [each["call_id"] for each in joined["bridges"]] == [placed["call_id"]]
        bot.wait_for_state("DISCONNECTED")
        cast.more(alice, human, seconds=1.5)
        human.tell("hangup")
        alice.wait_for_state("DISCONNECTED")
        records = {record["call_id"]: record for record in b2bua.records(2)}
        heard = {phone: phone.quit() for phone in (alice, human)}

    tones(heard[alice], ASSISTANT, HUMAN)
    tones(heard[human], CALLER)
    assert (gate.challenged, gate.passed) == (1, 1)
    assert records[hers]["outcome"]["code"] == records[placed["call_id"]]["outcome"]["code"] == 4000
    assert [each["call_id"] for each in records[placed["call_id"]]["bridges"]] == [hers]
    assert records[hers]["media"]["agent"]["packets_in"] > 40
