"""SIGKILL in the middle of a recorded call: what was said until then can be listened to, each side on its own."""

from __future__ import annotations

import signal
import stat
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency
from tests.support.b2bua_process import B2bua
from tests.support.processes import wait_until
from tests.support.recordings import sides
from tests.support.rtp_phone import RtpCallee, RtpCaller
from tests.support.voices import ToneStream

CALLER, HUMAN = 300.0, 880.0
SECOND = 8000


def test_a_recording_can_be_read_after_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    with (
        ToneStream(HUMAN) as human,
        ToneStream(CALLER) as voice,
        RtpCallee(human, answers=True) as desk,
        RtpCaller(voice) as caller,
        B2bua(
            tmp_path,
            {"desk": {"route": f"sip:desk@{desk.address}", "record": True}},
            main={"records": {"cdr": str(tmp_path / "cdr.jsonl"), "recordings": str(folder)}},
        ) as b2bua,
    ):
        caller.talk(b2bua.address, "desk")
        wait_until(
            lambda: any(file.stat().st_size > 4 * 2 * SECOND for file in folder.glob("*.wav")) or None,
            20.0,
            "two seconds are recorded",
        )
        b2bua.send_signal(signal.SIGKILL)
        b2bua.wait(10.0)
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    left, right = sides(file)
    assert left.size > SECOND, "all but the last moments"
    assert dominant_frequency(left[SECOND // 2 : SECOND]) == pytest.approx(CALLER, abs=3)
    assert dominant_frequency(right[SECOND // 2 : SECOND]) == pytest.approx(HUMAN, abs=3)
