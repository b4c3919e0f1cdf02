"""The peers against each other, without the B2BUA: what they prove of it later, they must be able to tell here."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from tests.support.audio import dominant_frequency, longest_gap, mu_law, sound, tone
from tests.support.digest_gate import DigestGate
from tests.support.peer_sip import SipText, response, sdp
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK, free_port_range
from tests.support.processes import PeerError, wait_until
from tests.support.pyvoip_peer import PyvoipPhone
from tests.support.registrar import Registrar
from tests.support.scripted import ScriptedCallee, ScriptedCaller
from tests.support.sipp import sipp_callee, sipp_caller

PASSWORD = "s3cret-of-the-peers"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sound that SIPp plays."""
    (tmp_path / "tone.pcmu").write_bytes(mu_law(tone(440, 2.0)))
    return tmp_path


def test_two_phones_hear_each_other_and_a_digit_once(folder: Path) -> None:
    with PjsuaPhone(folder, "alice", 440) as alice, PjsuaPhone(folder, "bob", 620) as bob:
        alice.tell("call", uri=bob.uri)
        bob.wait_for("incoming")
        bob.tell("answer", status=200)
        alice.wait_for_state("CONFIRMED")
        bob.wait_for_state("CONFIRMED")
        wait_until(lambda: alice.heard_so_far() > 1.5, 10.0, "alice has heard 1.5 s")
        alice.tell("dtmf", digits="5")
        bob.wait_for("dtmf", digit="5")
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        digits = bob.events("dtmf")
        at_alice, at_bob = sound(alice.quit()), sound(bob.quit())
    assert dominant_frequency(at_alice) == pytest.approx(620, abs=2)
    assert dominant_frequency(at_bob) == pytest.approx(440, abs=2)
    assert len(digits) == 1


@pytest.mark.parametrize(("status", "algorithm"), [(401, "MD5"), (407, "SHA-256")])
def test_the_gate_lets_the_right_password_through(folder: Path, status: int, algorithm: str) -> None:
    with (
        PjsuaPhone(folder, "bob", 620) as bob,
        DigestGate(
            (LOOPBACK, bob.settings.port), "acme", PASSWORD, status=status, algorithms=(algorithm,)
        ) as gate,
        PjsuaPhone(folder, "alice", 440, username="acme", password=PASSWORD) as alice,
    ):
        alice.tell("call", uri=f"sip:bob@{gate.address}")
        bob.wait_for("incoming")
        bob.tell("answer", status=200)
        alice.wait_for_state("CONFIRMED")
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        assert (gate.challenged, gate.passed) == (1, 1)


def test_the_gate_keeps_a_wrong_password_out(folder: Path) -> None:
    with (
        PjsuaPhone(folder, "bob", 620) as bob,
        DigestGate((LOOPBACK, bob.settings.port), "acme", PASSWORD) as gate,
        PjsuaPhone(folder, "alice", 440, username="acme", password="another") as alice,
    ):
        alice.tell("call", uri=f"sip:bob@{gate.address}")
        assert alice.wait_for_state("DISCONNECTED")["status"] == 407
        assert gate.passed == 0
        assert bob.events("incoming") == []


@pytest.mark.parametrize(
    ("caller", "callee"), [("caller.xml", "callee.xml"), ("caller_hears_bye.xml", "callee_hangs_up.xml")]
)
def test_sipp_calls_sipp_and_both_finish(folder: Path, caller: str, callee: str) -> None:
    with (
        sipp_callee(folder, callee, call_length_ms=300, media_port=free_port_range(80)[0]) as answering,
        sipp_caller(
            folder,
            answering.address,
            caller,
            calls=20,
            rate=20,
            call_length_ms=300,
            media_port=free_port_range(80)[0],
        ) as calling,
    ):
        made, taken = calling.finished(20), answering.finish()
    assert (made.successful, made.failed, made.repeated) == (20, 0, 0), calling.complaints()
    assert (taken.successful, taken.failed, taken.repeated) == (20, 0, 0), answering.complaints()


def test_a_call_that_goes_wrong_is_a_failed_call(folder: Path) -> None:
    def busy(invite: SipText) -> list[bytes]:
        return [response(invite, 486, "Busy Here")]

    with ScriptedCallee(busy) as callee, sipp_caller(folder, callee.address, calls=3) as calling:
        made = calling.finished(20)
    assert (made.successful, made.failed) == (0, 3)
    assert "486" in calling.complaints()


def test_sipp_sends_its_tone_to_the_port_it_is_told(folder: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((LOOPBACK, 0))
        ear.settimeout(5.0)
        body = sdp(*ear.getsockname())
        with ScriptedCallee(
            lambda invite: [
                response(invite, 200, "OK", [("Contact", f"<sip:{LOOPBACK}:{callee.port}>")], body)
            ]
        ) as callee:
            media_port = free_port_range(20)[0]
            with sipp_caller(folder, callee.address, call_length_ms=400, media_port=media_port) as calling:
                packets = [ear.recv(2048) for _ in range(10)]
                assert calling.finished(20).successful == 1
    played = mu_law(tone(440, 2.0))
    assert {packet[1] & 0x7F for packet in packets} == {0}, "PCMU"
    assert all(packet[12:] in played for packet in packets)


def test_sipp_challenges_and_knows_the_right_password(folder: Path) -> None:
    keys = {"username": "acme", "password": PASSWORD}
    with (
        sipp_callee(folder, "callee_challenges.xml", keys=keys, media_port=free_port_range(20)[0]) as callee,
        PjsuaPhone(folder, "alice", 440, username="acme", password=PASSWORD) as right,
        PjsuaPhone(folder, "mallory", 440, username="acme", password="another") as wrong,
    ):
        right.tell("call", uri=f"sip:support@{callee.address}")
        right.wait_for_state("CONFIRMED")
        right.tell("hangup")
        right.wait_for_state("DISCONNECTED")
        wrong.tell("call", uri=f"sip:support@{callee.address}")
        assert wrong.wait_for_state("DISCONNECTED")["status"] == 403
        taken = callee.finish()
    assert (taken.successful, taken.failed) == (1, 1)


def test_pyvoip_calls_through_its_registrar(folder: Path) -> None:
    # PJSUA2 refuses pyVoIP's ACK (wrong To tag) and repeats its answer: its call is never CONFIRMED. Audio flows.
    with (
        PjsuaPhone(folder, "bob", 620) as bob,
        Registrar((LOOPBACK, bob.settings.port)) as registrar,
        PyvoipPhone(folder, registrar.port, 440) as pyvoip,
    ):
        pyvoip.tell("call", number="bob")
        bob.wait_for("incoming")
        bob.tell("answer", status=180)
        bob.tell("answer", status=200)
        pyvoip.wait_for("state", state="ANSWERED")
        wait_until(lambda: bob.heard_so_far() > 1.5, 10.0, "bob has heard 1.5 s")
        pyvoip.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        at_pyvoip, at_bob = sound(pyvoip.quit()), sound(bob.quit())
    assert dominant_frequency(at_pyvoip) == pytest.approx(620, abs=2)
    assert dominant_frequency(at_bob) == pytest.approx(440, abs=2)
    assert len(registrar.requests("REGISTER")) == 2, "one to register, one to leave"


def test_a_scripted_caller_and_callee_complete_a_call() -> None:
    def answer(invite: SipText) -> list[bytes]:
        contact = [("Contact", f"<sip:{callee.address}>")]
        return [response(invite, 180, "Ringing"), response(invite, 200, "OK", contact, sdp(LOOPBACK, 4000))]

    with ScriptedCallee(answer) as callee, ScriptedCaller() as caller:
        caller.call((LOOPBACK, callee.port), "support")
        assert caller.final()[0].status == 200
        callee.wait_for_request("ACK")
        caller.hang_up()
        callee.wait_for_request("BYE")
        assert [message.status for message, _ in caller.responses()] == [180, 200]


def test_a_peer_that_is_not_installed_is_a_failure_that_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(PeerError, match="scripts/install_peers"):
        sipp_caller(folder, "127.0.0.1:9")


def test_a_gap_in_a_recording_is_found() -> None:
    talk, pause = tone(440, 0.5), tone(0, 0.1)
    assert longest_gap(np.concatenate([pause, talk, pause, talk, pause])) == pytest.approx(0.1)
