"""SIPp calls SIPp through the B2BUA, with sound both ways: 20 calls a second for 30 seconds, all of them clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.audio import mu_law, tone
from tests.support.b2bua_process import B2bua, Level
from tests.support.ports import free_port_range
from tests.support.processes import wait_until
from tests.support.sipp import Sipp, sipp_callee, sipp_caller

PASSWORD = "s3cret-of-support"
RATE = 20
SECONDS = 30
CALLS = RATE * SECONDS
CALL_LENGTH_MS = 2000

MEMORY_SLACK = 6 * 2**20
"""Octets that the second round of calls may add: 10 KiB for each, less than a call that is never let go."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sound that SIPp plays."""
    (tmp_path / "tone.pcmu").write_bytes(mu_law(tone(440, 2.0)))
    return tmp_path


def media_port(calls: int) -> int:
    """The first of enough free ports for so many calls of a SIPp process, which uses none twice."""
    return free_port_range(2 * calls + 100)[0]


def check_clean(caller: Sipp, callee: Sipp, calls: int) -> None:
    """Both sides finished every call, and hardly anything was said twice."""
    made = caller.finished(SECONDS + 30)
    taken = callee.finish()
    assert (made.successful, made.failed) == (calls, 0), caller.complaints()
    assert (taken.successful, taken.failed) == (calls, 0), callee.complaints()
    repeated, messages = made.repeated + taken.repeated, made.messages + taken.messages
    assert repeated <= messages / 1000, f"{repeated} of {messages} messages were repeated"


def check_sound(records: list[dict], codec: str = "PCMU") -> None:
    """Every call had sound from both sides, and what came in on one went out on the other."""
    least = CALL_LENGTH_MS / 20 * 0.8
    for record in records:
        caller, agent = record["media"]["caller"], record["media"]["agent"]
        assert record["outcome"]["code"] == 4000
        assert caller["codec"] == agent["codec"] == codec
        assert min(caller["packets_in"], agent["packets_in"]) >= least, record["media"]
        assert min(caller["packets_out"], agent["packets_out"]) >= least, record["media"]


def settled(b2bua: B2bua, start: Level) -> Level:
    """The level once every socket and file of the calls is closed, as many as at `start`."""

    def look() -> Level | None:
        now = b2bua.level()
        return now if now.descriptors == start.descriptors else None

    return wait_until(look, 15.0, lambda: f"{start.descriptors}, but {b2bua.level().descriptors}")


def a_round(b2bua: B2bua, folder: Path, *, name: str, callee: Sipp) -> Level:
    """One round of calls to the destination `name`, checked. Returns the level afterwards."""
    start = b2bua.level()
    before = len(b2bua.records())
    with sipp_caller(
        folder,
        b2bua.host_port,
        name=f"caller-{name}",
        service=name,
        calls=CALLS,
        rate=RATE,
        call_length_ms=CALL_LENGTH_MS,
        media_port=media_port(CALLS),
    ) as caller:
        check_clean(caller, callee, CALLS)
    check_sound(b2bua.records(before + CALLS)[before:])
    return settled(b2bua, start)


@pytest.mark.timeout(180)
def test_twenty_calls_a_second_for_thirty_seconds_without_and_with_a_challenge(folder: Path) -> None:
    with (
        sipp_callee(folder, "callee.xml", name="callee-open", media_port=media_port(CALLS)) as open_desk,
        sipp_callee(
            folder,
            "callee_challenges.xml",
            name="callee-guarded",
            keys={"username": "acme", "password": PASSWORD},
            media_port=media_port(CALLS),
        ) as guarded_desk,
        B2bua(
            folder,
            {
                "open": {"route": f"sip:desk@{open_desk.address}"},
                "guarded": {
                    "route": f"sip:desk@{guarded_desk.address}",
                    "auth": {"username": "acme", "password": PASSWORD},
                },
            },
            media_ports=2000,
            # Its ring would go on filling for 1,500 calls, as it should.
            main={"telemetry": {"trace": "disabled"}},
        ) as b2bua,
    ):
        # The first round also fills what lives 32 s after a call (RFC 3261 timers) and what Python keeps for reuse.
        warm = a_round(b2bua, folder, name="open", callee=open_desk)
        after = a_round(b2bua, folder, name="guarded", callee=guarded_desk)
        challenged = [record["attempts"][0]["challenged"] is not None for record in b2bua.records()]
        b2bua.check_end()
    assert challenged == [False] * CALLS + [True] * CALLS
    assert after.memory - warm.memory <= MEMORY_SLACK, f"{warm.memory} -> {after.memory} octets"


def test_the_callee_hangs_up(folder: Path) -> None:
    with (
        sipp_callee(folder, "callee_hangs_up.xml", call_length_ms=500, media_port=media_port(20)) as desk,
        B2bua(folder, {"desk": {"route": f"sip:desk@{desk.address}"}}) as b2bua,
        sipp_caller(
            folder,
            b2bua.host_port,
            "caller_hears_bye.xml",
            service="desk",
            calls=20,
            rate=RATE,
            media_port=media_port(20),
        ) as caller,
    ):
        check_clean(caller, desk, 20)
        sources = {record["outcome"]["source"] for record in b2bua.records(20)}
        b2bua.check_end()
    assert sources == {"agent"}
