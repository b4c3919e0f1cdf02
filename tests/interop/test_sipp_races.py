"""Messages that cross, get lost or come without what they should have: SIPp against the real process.

The scenarios are in `sipp/`, each playable by hand. Both SIPps must see their call through to its end, and the record
must say how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.sipp import SippCounters, sipp_callee, sipp_caller

CALLS = 5
PASSWORD = "s3cret-of-the-desk"
KEYS = {"username": "acme", "password": PASSWORD, "status": "502"}


@dataclass(frozen=True, slots=True)
class Played:
    """What both sides counted, and what the B2BUA wrote down."""

    caller: SippCounters
    callee: SippCounters
    records: list[dict]


def play(folder: Path, caller: str, callee: str, *, call_length_ms: int = 100, **settings: object) -> Played:
    """A few overlapping calls of these two scenarios; every one of them must succeed on both sides."""
    with (
        sipp_callee(folder, callee, keys=KEYS, call_length_ms=call_length_ms) as answering,
        B2bua(folder, {"desk": {"route": f"sip:desk@{answering.address}", **settings}}) as b2bua,
        sipp_caller(
            folder,
            b2bua.host_port,
            caller,
            service="desk",
            calls=CALLS,
            rate=20,
            call_length_ms=call_length_ms,
            keys=KEYS,
        ) as calling,
    ):
        made, taken = calling.finished(30.0), answering.finish()
        records = b2bua.records(CALLS)
        b2bua.check_end()
    assert (made.successful, made.failed) == (CALLS, 0), calling.complaints()
    assert (taken.successful, taken.failed) == (CALLS, 0), answering.complaints()
    assert len(records) == CALLS
    return Played(made, taken, records)


def outcomes(played: Played) -> set[tuple[str, int, str]]:
    """Name, code and source of how the calls ended."""
    return {
        (record["outcome"]["name"], record["outcome"]["code"], record["outcome"]["source"])
        for record in played.records
    }


NORMAL = ("normal_hangup", 4000, "caller")


def test_the_callee_s_200_is_lost(tmp_path: Path) -> None:
    played = play(tmp_path, "caller.xml", "callee_loses_200.xml")
    assert outcomes(played) == {NORMAL}


def test_the_caller_s_ack_is_late(tmp_path: Path) -> None:
    """Our 200 comes again and again until the ACK is there; the agent has its own long before."""
    played = play(tmp_path, "caller_delays_ack.xml", "callee.xml")
    assert outcomes(played) == {NORMAL}
    assert played.caller.received_again >= CALLS, "the 200 was repeated"
    assert played.callee.repeated == 0


def test_the_caller_s_ack_is_lost(tmp_path: Path) -> None:
    played = play(tmp_path, "caller_loses_ack.xml", "callee.xml")
    assert outcomes(played) == {NORMAL}
    assert played.caller.received_again >= CALLS, "the 200 was repeated"


def test_the_caller_cancels_while_it_rings(tmp_path: Path) -> None:
    played = play(tmp_path, "caller_cancels.xml", "callee_200_crosses_cancel.xml")
    assert outcomes(played) == {("cancel", 1000, "caller")}
    for record in played.records:
        assert record["answered"] is None
        assert [leg["ended_by"] for leg in record["legs"]] == ["caller", "b2bua"]


def test_the_caller_s_cancel_crosses_our_200(tmp_path: Path) -> None:
    played = play(tmp_path, "caller_cancel_crosses_200.xml", "callee.xml")
    assert outcomes(played) == {NORMAL}
    assert all(record["answered"] for record in played.records)


def test_our_bye_crosses_the_callee_s(tmp_path: Path) -> None:
    played = play(tmp_path, "caller.xml", "callee_bye_crosses.xml")
    assert outcomes(played) == {NORMAL}


def test_our_bye_crosses_the_caller_s(tmp_path: Path) -> None:
    played = play(tmp_path, "caller_bye_crosses.xml", "callee_hangs_up.xml")
    assert outcomes(played) == {("normal_hangup", 4000, "agent")}


def test_our_reinvite_and_our_bye_are_challenged(tmp_path: Path) -> None:
    """The caller holds, so we re-INVITE the agent: 401, then with credentials; the BYE alike."""
    auth = {"username": "acme", "password": PASSWORD}
    played = play(tmp_path, "caller_holds.xml", "callee_challenges_inside.xml", call_length_ms=500, auth=auth)
    assert outcomes(played) == {NORMAL}


def test_a_407_without_a_challenge_is_a_failed_authentication(tmp_path: Path) -> None:
    auth = {"username": "acme", "password": PASSWORD}
    played = play(tmp_path, "caller_refused.xml", "callee_407_without_challenge.xml", auth=auth)
    assert outcomes(played) == {("sip_auth_failed", 4240, "agent")}
    assert {record["outcome"]["sip_status"] for record in played.records} == {407}


def test_two_forks_answer(tmp_path: Path) -> None:
    """The call is with the first; the second gets ACK and BYE at once."""
    played = play(tmp_path, "caller.xml", "callee_forks.xml", call_length_ms=500)
    assert outcomes(played) == {NORMAL}
    for record in played.records:
        assert "first" in next(leg for leg in record["legs"] if leg["role"] == "agent")["remote_tag"]


@pytest.mark.parametrize("caller", ["caller.xml", "caller_delays_ack.xml"])
def test_a_183_without_to_tag_makes_no_dialog_and_no_harm(tmp_path: Path, caller: str) -> None:
    played = play(tmp_path, caller, "callee_183_without_tag.xml")
    assert outcomes(played) == {NORMAL}
