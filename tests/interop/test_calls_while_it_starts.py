"""A trunk does not stop calling while the process starts, as after a restart."""

from __future__ import annotations

from pathlib import Path

from tests.support.b2bua_process import B2bua
from tests.support.ports import LOOPBACK, free_port
from tests.support.sipp import sipp_callee, sipp_caller


def test_no_call_that_came_while_the_api_was_opened_waits_for_ever(tmp_path: Path) -> None:
    port = free_port()
    main = {"api": {"listen": f"{LOOPBACK}:0"}, "routes": [{"to": "*", "destination": "desk"}]}
    with (
        sipp_callee(tmp_path) as desk,
        sipp_caller(tmp_path, f"{LOOPBACK}:{port}", calls=150, rate=60) as caller,
        B2bua(
            tmp_path,
            {"desk": {"route": f"sip:desk@{desk.address}"}},
            main=main,
            listen=[f"udp:{LOOPBACK}:{port}"],
        ),
    ):
        made = caller.finished(60)
        assert (made.successful, made.failed) == (150, 0), caller.complaints()
