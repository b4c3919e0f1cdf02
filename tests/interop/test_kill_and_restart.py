"""`kill -9` while calls are up: the next process ends them toward both sides and writes their records, once."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.b2bua_process import B2bua
from tests.support.handoff_stage import SUPPORT, Api, stage_settings
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import wait_until
from tests.support.scripted import ScriptedCallee, ScriptedCaller


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def somewhere() -> list[str]:
    """A port that nobody gets by chance while nobody listens there."""
    return [f"udp:{LOOPBACK}:{free_port()}"]


def number(request: SipText) -> int:
    return int(request.header("CSeq").split()[0])


def journal(folder: Path) -> list[str]:
    """What stands in the journal."""
    with closing(sqlite3.connect(folder / "state" / "b2bua.db", timeout=10)) as database:
        return [body for (body,) in database.execute("SELECT body FROM document WHERE kind = 'journal'")]


def rows(folder: Path) -> list[tuple[object, ...]]:
    """The same as it is kept."""
    with closing(sqlite3.connect(folder / "state" / "b2bua.db", timeout=10)) as database:
        return list(database.execute("SELECT * FROM document WHERE kind = 'journal'"))


def legs_in_journal(folder: Path, there: str, gone: str) -> bool:
    """Whether the dialog of one leg stands in the journal, and that of the other does not."""
    (legs,) = [json.loads(body)[3] for body in journal(folder)] or [[]]
    dialogs = [leg[-1][0] for leg in legs]
    return there in dialogs and gone not in dialogs


def test_calls_that_were_up_are_ended_toward_both_sides_and_recorded_once(tmp_path: Path) -> None:
    with ScriptedCallee(answers) as bot, ScriptedCallee(answers) as human, ScriptedCaller() as caller:
        settings = stage_settings(f"sip:bot@{bot.address}")
        desk = {"desk": {"route": f"sip:desk@{human.address}", "hold_music": "silence"}}
        with B2bua(tmp_path, desk, main=settings, listen=somewhere()) as first:
            api = Api(first)
            caller.call(first.address, SUPPORT)
            call_id = api.the_call()
            handoff = api.hand_off(call_id)
            api.reaches(handoff, "connected")
            wait_until(lambda: len(bot.requests("BYE")) == 1, 10.0, "the assistant is let go")
            caller.reoffer(
                caller.sdp()
            )  # what went on since the journal was written must not confuse the BYE
            last = max(number(request) for request in human.requests("INVITE"))
            human_leg = human.requests("INVITE")[0].header("Call-ID")
            bot_leg = bot.requests("INVITE")[0].header("Call-ID")
            wait_until(lambda: legs_in_journal(tmp_path, human_leg, bot_leg), 10.0, "only the human is there")
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
            assert first.records() == []

        with B2bua(tmp_path, desk, main=settings, listen=first.listening) as second:
            (record,) = second.records(1)
            bye = human.wait_for_request("BYE", 10.0)
            to_caller = caller.wait_for_request("BYE", 10.0)
            assert len(bot.requests("BYE")) == 1, "who was let go before hears nothing"
            assert number(bye) > last
            assert 'text="process_lost"' in bye.header("Reason")
            assert to_caller.header("Call-ID") == caller.final()[0].header("Call-ID")

            assert (record["call_id"], record["outcome"]["name"]) == (call_id, "process_lost")
            assert record["outcome"]["code"] == 11072
            assert record["answered"] < record["ended"]
            (kept,) = record["handoffs"]
            assert (kept["id"], kept["outcome"]["name"]) == (handoff["id"], "process_lost")
            assert [leg["ended_by"] for leg in record["legs"]] == ["b2bua"] * 3

            again = Api(second)
            told = again.ask("GET", f"/v1/calls/{call_id}")
            assert (told["outcome"]["code"], told["handoffs"][0]["state"]) == (11072, "completed")
            assert again.handoff(handoff["id"])["state"] == "completed"
            wait_until(lambda: not again.ask("GET", "/readyz")["store"]["waiting"], 10.0, "it is struck out")

        with B2bua(tmp_path, desk, main=settings, listen=second.listening) as third:
            Api(third).ask("GET", "/readyz")
            caller.call(third.address, SUPPORT)
            Api(third).ask("DELETE", f"/v1/calls/{Api(third).the_call()}")
            assert [each["outcome"]["code"] for each in third.records(2)] == [11072, 4000], "once"


def test_a_store_that_was_asked_for_keeps_calls_without_an_api_too(tmp_path: Path) -> None:
    with ScriptedCallee(answers) as desk, ScriptedCaller() as caller:
        settings = {"store": "sqlite:state/b2bua.db"}
        places = {"desk": {"route": f"sip:desk@{desk.address}"}}
        with B2bua(tmp_path, places, main=settings, listen=somewhere()) as first:
            caller.call(first.address, "desk")
            caller.final()
            wait_until(lambda: journal(tmp_path) or None, 10.0, "it stands in the journal")
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
        with B2bua(tmp_path, places, main=settings, listen=first.listening) as second:
            (record,) = second.records(1)
            assert record["outcome"]["name"] == "process_lost"
            desk.wait_for_request("BYE", 10.0)


def rings(invite: SipText) -> list[bytes]:
    return [response(invite, 180, "Ringing", [("Contact", f"<{invite.uri}>")])]


def test_a_call_that_nobody_had_answered_is_ended_toward_both_sides_and_recorded(tmp_path: Path) -> None:
    with ScriptedCallee(rings) as bot, ScriptedCaller() as caller:
        settings = stage_settings(f"sip:bot@{bot.address}")
        desk = {"desk": {"route": f"sip:desk@{bot.address}"}}
        with B2bua(tmp_path, desk, main=settings, listen=somewhere()) as first:
            caller.call(first.address, SUPPORT)
            wait_until(lambda: rows(tmp_path) or None, 10.0, "it has rung for a second")
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
            assert first.records() == []
        with B2bua(tmp_path, desk, main=settings, listen=first.listening) as second:
            cancel = bot.wait_for_request("CANCEL", 10.0)
            (invite,) = bot.requests("INVITE")
            assert cancel.header("Via").split(";rport")[0] == invite.header("Via").split(";rport")[0]
            refusal, _ = caller.final()
            assert refusal.status == 503
            (record,) = second.records(1)
            assert (record["outcome"]["code"], record["answered"]) == (11073, None)
            wait_until(lambda: not rows(tmp_path), 10.0, "it is struck out")


def test_a_call_is_recorded_once_wherever_between_record_and_journal_its_process_is_killed(
    tmp_path: Path,
) -> None:
    """The next process finds an entry whose record is written: it was killed before it struck the entry out."""
    with ScriptedCallee(answers) as bot, ScriptedCaller() as caller:
        settings = stage_settings(f"sip:bot@{bot.address}")
        desk = {"desk": {"route": f"sip:desk@{bot.address}"}}
        with B2bua(tmp_path, desk, main=settings, listen=somewhere()) as first:
            caller.call(first.address, SUPPORT)
            Api(first).the_call()
            (entry,) = wait_until(lambda: rows(tmp_path) or None, 10.0, "it is written down")
            caller.hang_up()
            bot.wait_for_request("BYE")
            first.records(1)
            wait_until(lambda: not rows(tmp_path), 10.0, "it is struck out")
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
        with closing(sqlite3.connect(tmp_path / "state" / "b2bua.db", timeout=10)) as database, database:
            marks = ", ".join("?" * len(entry))
            database.execute(f"INSERT INTO document VALUES ({marks})", entry)
        with B2bua(tmp_path, desk, main=settings, listen=first.listening) as second:
            wait_until(lambda: not rows(tmp_path), 10.0, "it is struck out again")
            assert len(second.records(1)) == 1
            assert len(bot.requests("BYE")) == 1
            second.check_end()
        assert len(second.records(1)) == 1
