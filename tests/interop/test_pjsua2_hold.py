"""Hold and resume between two PJSUA2 phones: both know, both come back, and a storm of it does no harm."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.processes import wait_until


def direction(phone: PjsuaPhone) -> tuple[bool, bool]:
    """(sends, hears) as the phone has it now."""
    last = phone.events("direction")[-1]
    return last["sends"], last["hears"]


def agree(alice: PjsuaPhone, bob: PjsuaPhone, expected: tuple[bool, bool]) -> None:
    """Until Alice's audio flows as expected, and Bob's the other way round."""
    wait_until(
        lambda: direction(alice) == expected and direction(bob) == expected[::-1],
        40.0,
        f"alice {expected}, bob {expected[::-1]}",
    )


def reoffer(phone: PjsuaPhone, verb: str) -> None:
    """Hold, resume or refresh, as soon as the phone's own last offer is over."""

    def sent() -> bool:
        before = len(phone.events("reoffer"))
        phone.tell(verb)
        wait_until(lambda: len(phone.events("reoffer")) > before, 5.0, "the phone obeys")
        return bool(phone.events("reoffer")[-1]["sent"])

    wait_until(sent, 40.0, "the phone may make an offer")


def talk(alice: PjsuaPhone, bob: PjsuaPhone, b2bua: B2bua) -> None:
    """Bring a call up."""
    alice.tell("call", uri=b2bua.uri("bob"))
    bob.wait_for("incoming")
    bob.tell("answer", status=200)
    alice.wait_for_state("CONFIRMED")
    bob.wait_for_state("CONFIRMED")
    agree(alice, bob, (True, True))


def test_hold_and_resume_each_way(tmp_path: Path) -> None:
    with (
        PjsuaPhone(tmp_path, "bob", 620) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440) as alice,
    ):
        talk(alice, bob, b2bua)
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


@pytest.mark.parametrize("seed", range(2))
def test_a_storm_of_holds_from_both_sides(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    with (
        PjsuaPhone(tmp_path, "bob", 620) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440) as alice,
    ):
        talk(alice, bob, b2bua)
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
