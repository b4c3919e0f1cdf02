"""The disk is full in the middle of a recorded call: the recording ends and says why, the call knows nothing of it."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency
from tests.support.handoff_stage import SUPPORT, staged
from tests.support.processes import wait_until
from tests.support.recordings import sides
from tests.support.rtp_phone import RtpCallee, RtpCaller
from tests.support.small_disk import small_disk
from tests.support.voices import ToneStream

CALLER, ASSISTANT = 300.0, 440.0
DISK = 64
"""Kilobytes: two seconds of a recording."""
SECOND = 8000


def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path / "disk", DISK))
        said, heard = (stack.enter_context(ToneStream(each)) for each in (ASSISTANT, CALLER))
        bot = stack.enter_context(RtpCallee(said, answers=True))
        caller = stack.enter_context(RtpCaller(heard))
        b2bua, api = stack.enter_context(
            staged(
                tmp_path,
                f"sip:bot@{bot.address}",
                {"desk": {"route": f"sip:desk@{bot.address}"}},
                route={"record": True},
                more={"records": {"cdr": str(tmp_path / "cdr.jsonl"), "recordings": str(disk / "calls")}},
            )
        )
        caller.talk(b2bua.address, SUPPORT)
        call_id = api.the_call()

        def state() -> str:
            (recording,) = api.ask("GET", f"/v1/calls/{call_id}")["recordings"]
            return str(recording["state"])

        wait_until(lambda: state() == "failed", 20.0, "the disk is full")
        before = len(caller.audio.heard), len(bot.audio.heard)
        wait_until(
            lambda: len(caller.audio.heard) > before[0] + 50 and len(bot.audio.heard) > before[1] + 50,
            10.0,
            "they talk on",
        )
        caller.hang_up()
        record = b2bua.record()
        (recording,) = record["recordings"]
        left, right = sides(Path(recording["path"]))
    assert record["outcome"]["code"] == 4000
    assert recording["state"] == "failed"
    assert os.strerror(errno.ENOSPC) in recording["error"]
    assert left.size > SECOND, "what was written can be listened to"
    assert dominant_frequency(left[SECOND // 2 : SECOND]) == pytest.approx(CALLER, abs=3)
    assert dominant_frequency(right[SECOND // 2 : SECOND]) == pytest.approx(ASSISTANT, abs=3)
