"""`b2bua demo`: ten calls between processes over real sockets, as `make demo` plays them.

The demonstration judges itself; here its records and recordings are looked at once more, with other eyes and ears.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.audio import RATE, Samples, dominant_frequency, longest_gap, read_wav, sound

OUTCOMES = {
    "good": ("normal_hangup", 4000),
    "wrong-password": ("sip_auth_failed", 4240),
    "silent": ("sip_auth_timeout", 4250),
    "busy": ("busy", 3010),
    "no-answer": ("no-answer", 6010),
    "asked-by-refer": ("normal_hangup", 4000),
    "asked-over-http": ("normal_hangup", 4000),
    "old-password": ("normal_hangup", 4000),
    "by-refer": ("normal_hangup", 4000),
    "by-bye": ("normal_hangup", 4000),
}
HANDOFFS = {
    "asked-by-refer": ("invite", 4000, None),
    "asked-over-http": ("invite", 4000, None),
    "old-password": ("invite", 4240, None),
    "by-refer": ("refer", 4000, "notify"),
    "by-bye": ("bye", 4000, True),
}
CALLERS_HEAR = {
    "good": [880],
    "asked-by-refer": [440, 880],
    "asked-over-http": [440, 660, 880],
    "old-password": [440],
    "by-refer": [440],
    "by-bye": [440],
}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one demonstration that went well."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "b2bua", "demo", "--output", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=70,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 calls ended as they should" in done.stdout
    assert done.stderr == ""
    check_what_the_application_saw(done.stdout)
    return folder


def check_what_the_application_saw(printed: str) -> None:
    """It ends with the context that a screen pop fetched, and with the callbacks."""
    end = printed[printed.index("what the screen of the human showed: GET /v1/handoffs/") :]
    context, _ = json.JSONDecoder().raw_decode(end[end.index("{") :])
    assert (context["destination"], context["reason"]) == ("sales", "wants a quote")
    assert context["data"] == {"customer": "C-1017", "seats": "40"}
    assert context["id"] in end.splitlines()[0]
    told = [line.split()[1:3] for line in end.splitlines() if " /live " in line or " /done " in line]
    assert told == [
        *(
            ["/live", "DialAnswer"],
            ["/live", "DialConnected"],
            ["/live", "DialHangup"],
            ["/done", "DialAction"],
        )
    ]


def test_every_call_ends_as_it_should(output: Path) -> None:
    records = [json.loads(line) for line in (output / "cdr.jsonl").read_text().splitlines()]
    assert {
        record["called"]: (record["outcome"]["name"], record["outcome"]["code"]) for record in records
    } == OUTCOMES
    handoffs = {record["called"]: record["handoffs"] for record in records if record["handoffs"]}
    assert {
        called: [(each["method"], each["outcome"]["code"], each["confirmed"]) for each in found]
        for called, found in handoffs.items()
    } == {called: [expected] for called, expected in HANDOFFS.items()}


@pytest.mark.parametrize("called", CALLERS_HEAR)
def test_every_caller_hears_one_voice_after_the_other(output: Path, called: str) -> None:
    recording = sound(read_wav(output / f"{called}-caller.wav"))
    assert voices(recording) == CALLERS_HEAR[called]
    assert longest_gap(recording) <= 0.3


@pytest.mark.parametrize("called", ["good", "asked-by-refer", "asked-over-http"])
def test_every_human_hears_the_caller(output: Path, called: str) -> None:
    recording = sound(read_wav(output / f"{called}-agent.wav"))
    assert voices(recording) == [1000]
    assert longest_gap(recording) <= 0.3


def voices(recording: Samples) -> list[int]:
    """The frequencies of a recording in their order, each for 0.2 s at least; to 20 Hz."""
    size = RATE // 10
    tenths = [recording[start : start + size] for start in range(0, recording.size - size + 1, size)]
    found = [round(dominant_frequency(each) / 20) * 20 for each in tenths]
    lasting = [one for one, other in itertools.pairwise(found) if one == other]
    return [hertz for index, hertz in enumerate(lasting) if index == 0 or lasting[index - 1] != hertz]
