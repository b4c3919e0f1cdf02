"""A flood of garbage and scanners from other addresses, while SIPp calls from a trunk: no call of the trunk fails.

The short form of `benchmarks/flood.py`.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.audio import mu_law, tone
from tests.support.b2bua_process import B2bua
from tests.support.flooder import Flood
from tests.support.sipp import sipp_callee, sipp_caller

RATE, SECONDS = 20, 20
CALLS = RATE * SECONDS
PACKETS_PER_SECOND = 5_000
HEARD_PER_SECOND = 100
"""`limits.unknown_requests_in_all`: what the B2BUA may read, and hence answer, of strangers."""


def test_a_flood_from_strangers_fails_no_call_of_a_trunk(tmp_path: Path) -> None:
    (tmp_path / "tone.pcmu").write_bytes(mu_law(tone(440, 2.0)))
    with (
        sipp_callee(tmp_path) as callee,
        B2bua(tmp_path, {"support": {"route": f"sip:desk@{callee.address}"}}, media_ports=2000) as b2bua,
        Flood(tmp_path, b2bua.port, rate=PACKETS_PER_SECOND, seconds=SECONDS + 4) as flood,
        sipp_caller(tmp_path, b2bua.host_port, calls=CALLS, rate=RATE, call_length_ms=1000) as caller,
    ):
        made = caller.finished(SECONDS + 30)
        flooded = flood.finished()
        taken = callee.finish()
        assert (made.successful, made.failed) == (CALLS, 0), caller.complaints()
        assert (taken.successful, taken.failed) == (CALLS, 0), callee.complaints()
        assert {record["outcome"]["code"] for record in b2bua.records(CALLS)} == {4000}
        assert flooded.sent > PACKETS_PER_SECOND * SECONDS / 5, "it was a flood"
        assert flooded.answers <= HEARD_PER_SECOND * (SECONDS + 6), "the flood is not answered in kind"
        b2bua.check_end()
    assert "refused_lately" in b2bua.errors
    assert b2bua.errors.count("\n") < 8 * CALLS + 500, "lines about strangers are bounded"
