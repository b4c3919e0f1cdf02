"""PJSUA2 phones that insist on PRACK and on session timers of 90 s, with either side as the refresher.

The refreshes themselves come after 45 s, which no test waits for: they are played in virtual time
(`tests/scenarios/test_session_timer_stories.py`). What is agreed on the wire is looked at here, and an UPDATE of the
phones refreshes at once.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.pjsua2_pair import agree, reoffer
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
