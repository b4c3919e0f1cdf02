"""PJSUA2 calls PJSUA2 through the B2BUA, which answers the digest challenge in front of the callee.

Each phone says its own tone; what the other recorded must be that tone and nothing else.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.audio import Samples, dominant_frequency, longest_gap, share_of, sound
from tests.support.b2bua_process import B2bua
from tests.support.digest_gate import DigestGate
from tests.support.engines import Carrier, Limit
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

PASSWORD = "s3cret-of-bob"
LISTEN = 2.0
"""Seconds of sound that each side must have heard."""


def is_tone(heard: Samples, frequency: float) -> None:
    """Fails unless `heard` is one unbroken tone of `frequency` hertz."""
    talk = sound(heard)
    assert talk.size >= LISTEN * 0.9 * 8000, "too little sound"
    assert dominant_frequency(talk) == pytest.approx(frequency, abs=2)
    assert share_of(talk, frequency) > 0.9, "something else is heard too"
    assert longest_gap(heard) <= 0.3, "a stall"


@pytest.mark.parametrize(
    ("engine", "caller_codec", "callee_codec"),
    [
        ("native", "PCMU", "PCMU"),
        ("native", "PCMU", "PCMA"),
        ("native", "PCMA", "PCMU"),
        ("native", "G722", "G722"),
        ("rtpengine", "PCMU", "PCMA"),
    ],
    indirect=["engine"],
)
def test_both_hear_the_other(engine: Carrier, tmp_path: Path, caller_codec: str, callee_codec: str) -> None:
    passed_on = ["opus", "G722"] if engine.can(Limit.OTHER_CODECS) else []
    with (
        PjsuaPhone(tmp_path, "bob", 620, codecs=(callee_codec,)) as bob,
        DigestGate((LOOPBACK, bob.settings.port), "acme", PASSWORD) as gate,
        B2bua(
            tmp_path,
            {"bob": {"route": f"sip:bob@{gate.address}", "auth": {"username": "acme", "password": PASSWORD}}},
            media={**engine.media, "codecs": [*passed_on, "PCMU", "PCMA"]},
        ) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440, codecs=(caller_codec,)) as alice,
    ):
        alice.tell("call", uri=b2bua.uri("bob"))
        bob.wait_for("incoming")
        bob.tell("answer", status=180)
        alice.wait_for_state("EARLY")
        bob.tell("answer", status=200)
        assert alice.wait_for("media")["codec"] == caller_codec
        assert bob.wait_for("media")["codec"] == callee_codec
        alice.wait_for_state("CONFIRMED")
        bob.wait_for_state("CONFIRMED")
        wait_until(
            lambda: min(alice.heard_so_far(), bob.heard_so_far()) > LISTEN + 0.5, 15.0, "enough is recorded"
        )
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        is_tone(alice.quit(), 620)
        is_tone(bob.quit(), 440)
        record = b2bua.record()
        b2bua.check_end()

    assert (gate.challenged, gate.passed) == (1, 1)
    assert record["outcome"]["name"] == "normal_hangup"
    assert record["attempts"][0]["challenged"] is not None
    for role, codec in (("caller", caller_codec), ("agent", callee_codec)):
        media = record["media"][role]
        assert media["codec"] == codec
        assert media["packets_in"] >= LISTEN * 50
        assert media["packets_out"] >= LISTEN * 50


def test_a_digit_arrives_once_each_way_and_the_callee_may_hang_up(engine: Carrier, tmp_path: Path) -> None:
    with (
        PjsuaPhone(tmp_path, "bob", 620) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, media=engine.media) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440) as alice,
    ):
        alice.tell("call", uri=b2bua.uri("bob"))
        bob.wait_for("incoming")
        bob.tell("answer", status=200)
        alice.wait_for_state("CONFIRMED")
        bob.wait_for_state("CONFIRMED")
        alice.tell("dtmf", digits="5")
        bob.wait_for("dtmf", digit="5")
        bob.tell("dtmf", digits="#")
        alice.wait_for("dtmf", digit="#")
        heard = alice.heard_so_far()
        # An echo of a digit would come with the packets that end it, well within this second of sound.
        wait_until(lambda: alice.heard_so_far() > heard + 1.0, 15.0, "another second")
        bob.tell("hangup")
        alice.wait_for_state("DISCONNECTED")
        digits = [event["digit"] for phone in (alice, bob) for event in phone.events("dtmf")]
        record = b2bua.record()
        b2bua.check_end()

    assert digits == ["#", "5"]
    assert record["outcome"]["name"] == "normal_hangup"
    assert record["outcome"]["source"] == "agent"


def test_the_caller_hears_busy_as_busy(tmp_path: Path) -> None:
    with (
        PjsuaPhone(tmp_path, "bob", 620) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440) as alice,
    ):
        alice.tell("call", uri=b2bua.uri("bob"))
        bob.wait_for("incoming")
        bob.tell("answer", status=486)
        assert alice.wait_for_state("DISCONNECTED")["status"] == 486
        assert b2bua.record()["outcome"]["code"] == 3010
        b2bua.check_end()
