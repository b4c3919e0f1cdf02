"""PJSUA2 phones that insist on PRACK and on session timers of 90 s, with either side as the refresher.

What is agreed on the wire is looked at, an UPDATE of the phones refreshes at once, and one call waits 45 s for the
refreshes themselves. The rest of them is played in virtual time (`tests/scenarios/test_session_timer_stories.py`).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.pjsua2_pair import agree, connect, reoffer
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

INSISTS = {"prack": True, "session_timer": 90}


def messages(phone: PjsuaPhone, start: str) -> list[str]:
    """The messages in the phone's log whose first line begins so, in order, repetitions included."""
    return re.findall(rf"^{re.escape(start)}.*?^--end msg--", phone.errors, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("refresher", "of_caller", "of_agent"), [("us", "uas", "uac"), ("far_end", "uac", "uas")]
)
def test_phones_that_insist_on_prack_and_session_timers(
    tmp_path: Path, refresher: str, of_caller: str, of_agent: str
) -> None:
    sip = {
        "listen": [f"udp:{LOOPBACK}:0"],
        "session_timers": {"use": "required", "expires": "90s", "refresher": refresher},
        "100rel": "required",
    }
    with (
        PjsuaPhone(tmp_path, "bob", 620, **INSISTS) as bob,  # type: ignore[arg-type]
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, main={"sip": sip}) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440, **INSISTS) as alice,  # type: ignore[arg-type]
    ):
        alice.tell("call", uri=b2bua.uri("bob"))
        bob.wait_for("incoming")
        bob.tell("answer", status=183)
        alice.wait_for_state("EARLY")
        alice.wait_for("media")  # early, by the reliable 183
        wait_until(
            lambda: messages(bob, "PRACK ") and messages(alice, "PRACK "), 5.0, "both legs have a PRACK"
        )
        bob.tell("answer", status=200)
        alice.wait_for_state("CONFIRMED")
        bob.wait_for_state("CONFIRMED")
        agree(alice, bob, (True, True))
        answers = [text for text in messages(alice, "SIP/2.0 200") if "INVITE" in text]
        assert f"Session-Expires: 90;refresher={of_caller}" in answers[0]
        (answer, *_) = [text for text in messages(bob, "SIP/2.0 200") if "INVITE" in text]
        assert f"Session-Expires: 90;refresher={of_agent}" in answer
        for phone in (alice, bob):
            reoffer(phone, "update")
            agree(alice, bob, (True, True))
        until = [phone.heard_so_far() + 1.0 for phone in (alice, bob)]
        wait_until(
            lambda: alice.heard_so_far() > until[0] and bob.heard_so_far() > until[1],
            15.0,
            "both hear the other",
        )
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        assert dominant_frequency(sound(alice.quit())) == pytest.approx(620, abs=2)
        assert dominant_frequency(sound(bob.quit())) == pytest.approx(440, abs=2)
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["name"] == "normal_hangup"


@pytest.mark.timeout(150)
def test_half_of_90_s_later_each_leg_is_refreshed_by_whoever_is_to(tmp_path: Path) -> None:
    """The caller by us, the callee by itself; nothing of it crosses, and the call goes on."""
    timers = {"use": "required", "expires": "90s"}
    main = {
        "trunks": {
            "sbc": {
                "accept": {"addresses": [f"{LOOPBACK}/32"]},
                "session_timers": {**timers, "refresher": "us"},
            }
        }
    }
    with PjsuaPhone(tmp_path, "bob", 620, session_timer=90) as bob:
        to_bob = {"route": bob.uri, "session_timers": {**timers, "refresher": "far_end"}}
        with (
            B2bua(tmp_path, {"bob": to_bob}, main=main) as b2bua,
            PjsuaPhone(tmp_path, "alice", 440, session_timer=90) as alice,
        ):
            connect(alice, bob, b2bua.uri("bob"))

            def updates(phone: PjsuaPhone) -> list[str]:
                """The UPDATEs that it saw, its own or ours, when they have their answers."""
                answered = [text for text in messages(phone, "SIP/2.0 200") if "UPDATE" in text]
                return messages(phone, "UPDATE ") if answered else []

            wait_until(lambda: bool(updates(alice) and updates(bob)), 70.0, "both legs are refreshed")
            (ours,), (theirs,) = updates(alice), updates(bob)
            assert "Session-Expires: 90;refresher=uac" in ours
            assert "User-Agent: b2bua" in ours
            assert "Session-Expires: 90;refresher=uac" in theirs
            assert "User-Agent: b2bua" not in theirs
            alice.tell("hangup")
            bob.wait_for_state("DISCONNECTED")
            alice.quit()
            bob.quit()
            record = b2bua.record()
            b2bua.check_end()
    assert record["outcome"]["name"] == "normal_hangup"
    assert record["duration_ms"] > 40_000
