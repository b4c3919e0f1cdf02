"""Calls over TCP through the B2BUA: SIPp and PJSUA2 on either side, and from one transport to the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.sipp import sipp_callee, sipp_caller

LISTEN = (f"udp:{LOOPBACK}:0", f"tcp:{LOOPBACK}:0")
CALLS = 40


@pytest.mark.parametrize(("caller_side", "callee_side"), [("tcp", "tcp"), ("udp", "tcp"), ("tcp", "udp")])
@pytest.mark.parametrize(
    ("caller", "callee"), [("caller.xml", "callee.xml"), ("caller_hears_bye.xml", "callee_hangs_up.xml")]
)
def test_sipp_calls_sipp(
    tmp_path: Path, caller_side: str, callee_side: str, caller: str, callee: str
) -> None:
    """Their Contacts say nothing of TCP and name ports where nobody may listen: the connections carry it all."""
    length = 300
    with sipp_callee(tmp_path, callee, call_length_ms=length, tcp=callee_side == "tcp") as answering:
        route = f"sip:agent@{answering.address};transport={callee_side}"
        with B2bua(tmp_path, {"support": {"route": route}}, listen=LISTEN) as b2bua:
            assert [entry.partition(":")[0] for entry in b2bua.listening] == ["udp", "tcp"]
            with sipp_caller(
                tmp_path,
                b2bua.host_port_of(caller_side),
                caller,
                calls=CALLS,
                rate=20,
                call_length_ms=length,
                tcp=caller_side == "tcp",
            ) as calling:
                made, taken = calling.finished(30), answering.finish()
            records = b2bua.records(CALLS)
            b2bua.check_end()
    assert (made.successful, made.failed, made.repeated) == (CALLS, 0, 0), calling.complaints()
    assert (taken.successful, taken.failed, taken.repeated) == (CALLS, 0, 0), answering.complaints()
    for record in records:
        assert record["outcome"]["code"] == 4000
        legs = {leg["role"]: leg["transport"] for leg in record["legs"]}
        assert legs == {"caller": caller_side, "agent": callee_side}


@pytest.mark.parametrize(
    ("alice_tcp", "bob_tcp", "alice_hangs_up"),
    [(True, True, True), (True, True, False), (False, True, True), (True, False, True)],
)
def test_phones_hear_each_other(tmp_path: Path, alice_tcp: bool, bob_tcp: bool, alice_hangs_up: bool) -> None:
    with (
        PjsuaPhone(tmp_path, "bob", 620, tcp=bob_tcp) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, listen=LISTEN) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440, tcp=alice_tcp) as alice,
    ):
        transport = "tcp" if alice_tcp else "udp"
        alice.tell("call", uri=f"sip:bob@{b2bua.host_port_of(transport)};transport={transport}")
        bob.wait_for("incoming")
        bob.tell("answer", status=180)
        alice.wait_for_state("EARLY")
        bob.tell("answer", status=200)
        alice.wait_for_state("CONFIRMED")
        bob.wait_for_state("CONFIRMED")
        wait_until(lambda: min(alice.heard_so_far(), bob.heard_so_far()) > 1.5, 15.0, "1.5 s are recorded")
        first, second = (alice, bob) if alice_hangs_up else (bob, alice)
        first.tell("hangup")
        second.wait_for_state("DISCONNECTED")
        assert dominant_frequency(sound(alice.quit())) == pytest.approx(620, abs=2)
        assert dominant_frequency(sound(bob.quit())) == pytest.approx(440, abs=2)
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["code"] == 4000
    transports = {leg["role"]: leg["transport"] for leg in record["legs"]}
    assert transports == {"caller": transport, "agent": "tcp" if bob_tcp else "udp"}
