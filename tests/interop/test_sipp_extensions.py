"""SIPp with extensions on both sides of one call: 422, reliable provisionals, UPDATE before the answer, a refresh.

Each side has its own: the caller's 183 and PRACK are another dialog's than the callee's two, and the session intervals
differ.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.b2bua_process import B2bua
from tests.support.sipp import sipp_callee, sipp_caller

CALLS = 5


def test_prack_update_and_session_timers_on_both_sides(tmp_path: Path) -> None:
    own = {"100rel": "required", "session_timers": {"expires": "90s"}}
    with (
        sipp_callee(tmp_path, "callee_acknowledged.xml") as answering,
        B2bua(tmp_path, {"desk": {"route": f"sip:desk@{answering.address}", **own}}) as b2bua,
        sipp_caller(
            tmp_path, b2bua.host_port, "caller_acknowledges.xml", service="desk", calls=CALLS, rate=20
        ) as calling,
    ):
        made, taken = calling.finished(30.0), answering.finish()
        records = b2bua.records(CALLS)
        b2bua.check_end()
    assert (made.successful, made.failed) == (CALLS, 0), calling.complaints()
    assert (taken.successful, taken.failed) == (CALLS, 0), answering.complaints()
    assert {record["outcome"]["name"] for record in records} == {"normal_hangup"}
