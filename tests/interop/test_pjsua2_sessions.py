"""Offers in every order between two PJSUA2 phones, over UDP and TCP: late, asked for, and all at once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.engines import Carrier
from tests.support.pjsua2_pair import agree, connect, reoffer
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

LISTEN = (f"udp:{LOOPBACK}:0", f"tcp:{LOOPBACK}:0")
TRANSPORTS = ["udp", "tcp"]
WAYS = [("native", "udp"), ("native", "tcp"), ("rtpengine", "udp")]
"""Whose audio, and how the phones are reached."""
STORM = 4.0
"""Seconds of offers from both sides."""


def uri(b2bua: B2bua, transport: str) -> str:
    """Bob, by way of the B2BUA."""
    return f"sip:bob@{b2bua.host_port_of(transport)};transport={transport}"


def both_hear(alice: PjsuaPhone, bob: PjsuaPhone, seconds: float) -> None:
    """Until both have heard so much more."""
    until = [phone.heard_so_far() + seconds for phone in (alice, bob)]
    wait_until(
        lambda: alice.heard_so_far() > until[0] and bob.heard_so_far() > until[1], 15.0, "both hear the other"
    )


@pytest.mark.parametrize(("engine", "transport"), WAYS, indirect=["engine"])
def test_a_caller_that_offers_nothing_hears_and_is_heard(
    engine: Carrier, tmp_path: Path, transport: str
) -> None:
    tcp = transport == "tcp"
    with (
        PjsuaPhone(tmp_path, "bob", 620, tcp=tcp) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, listen=LISTEN, media=engine.media) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440, tcp=tcp) as alice,
    ):
        connect(alice, bob, uri(b2bua, transport), command="call_without_offer")
        both_hear(alice, bob, 1.5)
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        assert dominant_frequency(sound(alice.quit())) == pytest.approx(620, abs=2)
        assert dominant_frequency(sound(bob.quit())) == pytest.approx(440, abs=2)
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["name"] == "normal_hangup"


@pytest.mark.parametrize(("engine", "transport"), WAYS, indirect=["engine"])
def test_either_side_asks_for_an_offer_in_the_middle_and_under_hold(
    engine: Carrier, tmp_path: Path, transport: str
) -> None:
    """A re-INVITE without an offer changes nothing, whoever sends it, whoever holds."""
    tcp = transport == "tcp"
    with (
        PjsuaPhone(tmp_path, "bob", 620, tcp=tcp) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, listen=LISTEN, media=engine.media) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440, tcp=tcp) as alice,
    ):
        connect(alice, bob, uri(b2bua, transport))
        for phone, other in ((alice, bob), (bob, alice)):
            reoffer(phone, "ask")
            agree(phone, other, (True, True))
            reoffer(phone, "hold")
            agree(phone, other, (True, False))
            reoffer(other, "ask")
            agree(phone, other, (True, False))
            reoffer(phone, "update")
            agree(phone, other, (True, False))
            reoffer(phone, "resume")
            agree(phone, other, (True, True))
        both_hear(alice, bob, 0.5)
        bob.tell("hangup")
        alice.wait_for_state("DISCONNECTED")
        record = b2bua.record()
        b2bua.check_end()
    assert (record["outcome"]["name"], record["outcome"]["source"]) == ("normal_hangup", "agent")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_storm_of_every_kind_of_offer_calms_down(tmp_path: Path, transport: str) -> None:
    """The phones differ in whose turn it is; in the end they agree, and the call is a call still."""
    dice = random.Random(transport)
    tcp = transport == "tcp"
    with (
        PjsuaPhone(tmp_path, "bob", 620, tcp=tcp) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, listen=LISTEN) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440, tcp=tcp) as alice,
    ):
        connect(alice, bob, uri(b2bua, transport))
        until = time.monotonic() + STORM
        while time.monotonic() < until:
            told = dice.choice((alice, bob))
            before = len(told.events("reoffer"))
            told.tell(dice.choice(("hold", "resume", "update", "ask")))
            # A phone that has obeyed may be told again; meanwhile its offer crosses whatever the other one says.
            wait_until(lambda: len(told.events("reoffer")) > before, 5.0, "the phone obeys")  # noqa: B023
        for phone in (alice, bob):
            reoffer(phone, "resume")
        agree(alice, bob, (True, True))
        both_hear(alice, bob, 0.5)
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["name"] == "normal_hangup"
