"""pyVoIP as caller. It registers first (a stand-in does that) and acknowledges an answer in a way of its own: the ACK
has a To tag that nobody gave it, and the branch of the INVITE. A caller like that must not lose its call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.digest_gate import DigestGate
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.pyvoip_peer import PyvoipPhone
from tests.support.registrar import Registrar

PASSWORD = "s3cret-of-bob"


@pytest.mark.parametrize("who", ["pyvoip", "bob"])
def test_pyvoip_completes_a_call_that_either_side_ends(tmp_path: Path, who: str) -> None:
    with (
        PjsuaPhone(tmp_path, "bob", 620) as bob,
        DigestGate((LOOPBACK, bob.settings.port), "acme", PASSWORD) as gate,
        B2bua(
            tmp_path,
            {"bob": {"route": f"sip:bob@{gate.address}", "auth": {"username": "acme", "password": PASSWORD}}},
        ) as b2bua,
        Registrar(b2bua.address) as registrar,
        PyvoipPhone(tmp_path, registrar.port, 440) as pyvoip,
    ):
        pyvoip.tell("call", number="bob")
        bob.wait_for("incoming")
        bob.tell("answer", status=180)
        bob.tell("answer", status=200)
        pyvoip.wait_for("state", state="ANSWERED")
        bob.wait_for_state("CONFIRMED")
        wait_until(lambda: bob.heard_so_far() > 2.0, 15.0, "bob has heard 2 s")
        (pyvoip if who == "pyvoip" else bob).tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        pyvoip.wait_for("state", state="ENDED")
        at_pyvoip, at_bob = sound(pyvoip.quit()), sound(bob.quit())
        record = b2bua.record()
        acks = [entry.at for entry in registrar.received if entry.message.method == "ACK"]
        b2bua.check_end()

    assert dominant_frequency(at_pyvoip) == pytest.approx(620, abs=2)
    assert dominant_frequency(at_bob) == pytest.approx(440, abs=2)
    assert record["outcome"]["name"] == "normal_hangup"
    assert record["outcome"]["source"] == ("caller" if who == "pyvoip" else "agent")
    # pyVoIP takes a second to notice an answer, and then acknowledges each repetition of it.
    assert acks[-1] - acks[0] < 0.3, "its ACK was understood: the answer was not repeated after it"
