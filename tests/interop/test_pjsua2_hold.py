"""Hold and resume between two PJSUA2 phones: both know, both come back, and a storm of it does no harm."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.engines import Carrier
from tests.support.pjsua2_pair import agree, connect, reoffer
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.processes import wait_until


def test_hold_and_resume_each_way(engine: Carrier, tmp_path: Path) -> None:
    with (
        PjsuaPhone(tmp_path, "bob", 620) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, media=engine.media) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440) as alice,
    ):
        connect(alice, bob, b2bua.uri("bob"))
        for holder, held in ((alice, bob), (bob, alice)):
            reoffer(holder, "hold")
            agree(holder, held, (True, False))
            reoffer(holder, "update")  # a refresh while it holds changes nothing
            agree(holder, held, (True, False))
            reoffer(holder, "resume")
            agree(holder, held, (True, True))
        heard = alice.heard_so_far(), bob.heard_so_far()
        wait_until(
            lambda: alice.heard_so_far() > heard[0] + 1 and bob.heard_so_far() > heard[1] + 1,
            15.0,
            "both hear again",
        )
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["name"] == "normal_hangup"


@pytest.mark.parametrize(
    ("engine", "seed"), [("native", 0), ("native", 1), ("rtpengine", 2)], indirect=["engine"]
)
def test_a_storm_of_holds_from_both_sides(engine: Carrier, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    with (
        PjsuaPhone(tmp_path, "bob", 620) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, media=engine.media) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440) as alice,
    ):
        connect(alice, bob, b2bua.uri("bob"))
        until = time.monotonic() + 6.0
        while time.monotonic() < until:
            dice.choice((alice, bob)).tell(dice.choice(("hold", "resume", "update")))
            time.sleep(dice.uniform(0.0, 0.15))
        for phone in (alice, bob):
            reoffer(phone, "resume")
        agree(alice, bob, (True, True))
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["name"] == "normal_hangup"
