"""`b2bua demo`: five calls between processes over real sockets, as `make demo` plays them."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from pathlib import Path

OUTCOMES = {
    "good": ("normal_hangup", 4000),
    "wrong-password": ("sip_auth_failed", 4240),
    "silent": ("sip_auth_timeout", 4250),
    "busy": ("busy", 3010),
    "no-answer": ("no-answer", 6010),
}


def test_all_five_calls_end_as_they_should(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "b2bua", "demo", "--output", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 calls ended as they should" in done.stdout
    assert done.stderr == ""
    records = [json.loads(line) for line in (tmp_path / "cdr.jsonl").read_text().splitlines()]
    assert {
        record["called"]: (record["outcome"]["name"], record["outcome"]["code"]) for record in records
    } == OUTCOMES
    with wave.open(str(tmp_path / "good.wav")) as recording:
        assert recording.getframerate() == 8000
        assert recording.getnframes() >= 8000
