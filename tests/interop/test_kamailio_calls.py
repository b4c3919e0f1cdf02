"""Calls through Kamailio as a record-routing SBC, in front of the B2BUA and in front of the callee alike.

Whatever is said inside a call must come by way of Kamailio: it has put itself into both route sets, it refuses what
comes without one, and it logs what comes with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.kamailio import Kamailio, kamailio_port
from tests.support.pjsua2_pair import agree, connect, reoffer
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.sipp import sipp_callee, sipp_caller

LISTEN = (f"udp:{LOOPBACK}:0", f"tcp:{LOOPBACK}:0")
CALLS = 5
TRANSPORTS = ["udp", "tcp"]


@contextmanager
def behind_kamailio(folder: Path, agent: str, transport: str) -> Iterator[tuple[B2bua, Kamailio]]:
    """A B2BUA that hears from Kamailio, and reaches `agent` through it, over `transport`. Both must end well."""
    port = kamailio_port()
    route = f"sip:agent@{LOOPBACK}:{port};transport={transport}"
    with B2bua(folder, {"desk": {"route": route}}, listen=LISTEN) as b2bua:
        us = f"sip:{b2bua.host_port_of(transport)};transport={transport}"
        with Kamailio(folder, port, b2bua=us, agent=agent) as kamailio:
            yield b2bua, kamailio
            b2bua.check_end()
            assert kamailio.strays() == []


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("caller", "callee", "source"),
    [("caller.xml", "callee.xml", "caller"), ("caller_hears_bye.xml", "callee_hangs_up.xml", "agent")],
)
def test_calls_complete_and_either_side_may_hang_up(
    tmp_path: Path, transport: str, caller: str, callee: str, source: str
) -> None:
    """`transport` is between Kamailio and us; SIPp has UDP, for over TCP its Contact would be wrong."""
    with (
        sipp_callee(tmp_path, callee, call_length_ms=200) as answering,
        behind_kamailio(tmp_path, f"sip:agent@{answering.address}", transport) as (b2bua, kamailio),
        sipp_caller(
            tmp_path, kamailio.address, caller, service="desk", calls=CALLS, rate=20, call_length_ms=200
        ) as calling,
    ):
        made, taken = calling.finished(30), answering.finish()
        records = b2bua.records(CALLS)
        # One each on either side of us.
        assert kamailio.passed("ACK") == kamailio.passed("BYE") == 2 * CALLS
    assert (made.successful, made.failed) == (CALLS, 0), calling.complaints()
    assert (taken.successful, taken.failed) == (CALLS, 0), answering.complaints()
    for record in records:
        assert (record["outcome"]["code"], record["outcome"]["source"]) == (4000, source)
        assert [leg["transport"] for leg in record["legs"]] == [transport, transport]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("source", ["caller", "agent"])
def test_hold_and_resume_cross_kamailio_twice(tmp_path: Path, transport: str, source: str) -> None:
    tcp = transport == "tcp"
    with (
        PjsuaPhone(tmp_path, "bob", 620, tcp=tcp) as bob,
        PjsuaPhone(tmp_path, "alice", 440, tcp=tcp) as alice,
        behind_kamailio(tmp_path, bob.uri, transport) as (b2bua, kamailio),
    ):
        connect(alice, bob, f"sip:desk@{kamailio.address};transport={transport}")
        for holder, held in ((alice, bob), (bob, alice)):
            reoffer(holder, "hold")
            agree(holder, held, (True, False))
            reoffer(holder, "resume")
            agree(holder, held, (True, True))
        wait_until(
            lambda: kamailio.passed("INVITE") >= 8, 5.0, "four re-INVITEs, each told to the other side"
        )
        first, second = (alice, bob) if source == "caller" else (bob, alice)
        first.tell("hangup")
        second.wait_for_state("DISCONNECTED")
        record = b2bua.record()
        wait_until(lambda: kamailio.passed("BYE", transport) == 2, 5.0, "both BYEs crossed Kamailio")
    assert (record["outcome"]["code"], record["outcome"]["source"]) == (4000, source)
    assert [leg["transport"] for leg in record["legs"]] == [transport, transport]
