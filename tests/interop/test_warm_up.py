"""`run --warm-up`: calls that a process plays with itself before it listens, and that nobody else ever hears of."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from b2bua.call.call import Call
from b2bua.call.registry import CallRegistry
from b2bua.config import Configuration
from b2bua.store import Store, open_store
from b2bua.warm_up.load import Load
from b2bua.warm_up.rehearsal import Rehearsal, WarmUpFailed, warm_up
from b2bua.warm_up.stage import Stage
from sip_stack.aio.stack import SipStack
from tests.support.b2bua_process import ROOT, B2bua
from tests.support.config_files import MAIN, ConfigFiles
from tests.support.handoff_stage import KEY, Api
from tests.support.peer_sip import SipText, response, sdp
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ChildProcess, wait_until
from tests.support.scripted import ScriptedCallee, ScriptedCaller

DESK = {"desk": {"route": "sip:desk@127.0.0.1:5999"}}
AGES = 600.0
"""Seconds that a warm-up may take here: it ends before."""
API = {"api": {"listen": "127.0.0.1:0", "keys": [KEY]}}


def answers(invite: SipText) -> list[bytes]:
    return [response(invite, 200, "OK", [("Contact", f"<{invite.uri}>")], sdp(LOOPBACK, 4000))]


def events(b2bua: ChildProcess) -> list[dict]:
    """What it logged."""
    return [json.loads(line) for line in b2bua.errors.splitlines() if line.startswith("{")]


def folders() -> set[Path]:
    """Those that warm-ups are using."""
    return set(Path(tempfile.gettempdir()).glob("b2bua-warm-up-*"))


def ends_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up is over about then, however slow the machine is."""
    monkeypatch.setattr("b2bua.warm_up.rehearsal.BATCH", calls // 10)
    monkeypatch.setattr("b2bua.warm_up.rehearsal.CACHED", calls)
    monkeypatch.setattr("b2bua.warm_up.cost.GAIN", 1.0)


def configuration(folder: Path) -> Configuration:
    """With all that calls can be written down in."""
    return ConfigFiles(folder, MAIN + "api: {listen: 127.0.0.1:0}\n").load()


# -- the process ---------------------------------------------------------------------------------------------


def test_nothing_is_seen_of_it_when_the_process_is_ready(tmp_path: Path) -> None:
    cold_folder, warm_folder = tmp_path / "cold", tmp_path / "warm"
    cold_folder.mkdir()
    warm_folder.mkdir()
    with B2bua(cold_folder, DESK, main=API) as cold, B2bua(warm_folder, DESK, main=API, warm_up=2) as warm:
        wait_until(lambda: '"ready"' in warm.errors, 10.0, "the log is written")
        told = events(warm)
        assert [each["event"] for each in told] == ["warm_up", "warmed_up", "api_listening", "ready"]
        assert told[1]["calls"] > 0
        assert told[1]["ms_per_call_last"] > 0

        assert warm.records() == []
        assert Api(warm).ask("GET", "/v1/calls") == {"calls": []}
        assert series(Api(warm)) == series(Api(cold))
        wait_until(
            lambda: len(warm.descriptors()) == len(cold.descriptors()),
            10.0,
            lambda: f"as many descriptors: {cold.descriptors()} and {warm.descriptors()}",
        )
        assert warm.memory() - cold.memory() < 16 * 1024**2, "caches, and nothing for each call"
        cold.check_end()
        warm.check_end()
    with closing(sqlite3.connect(warm_folder / "state" / "b2bua.db")) as database:
        assert database.execute("SELECT count(*) FROM document").fetchone() == (0,)


def series(api: Api) -> dict[str, str]:
    """The metrics of calls, audio and SIP messages."""
    lines = [line for line in api.answer("GET", "/metrics").text.splitlines() if not line.startswith("#")]
    return {
        name: value
        for name, _, value in (line.rpartition(" ") for line in lines)
        if name.startswith(("b2bua_calls", "b2bua_sip", "b2bua_media", "b2bua_records", "b2bua_handoffs"))
    }


def test_a_signal_ends_it_at_once_and_nobody_was_let_in(tmp_path: Path) -> None:
    port = free_port()
    ConfigFiles(tmp_path, MAIN.replace("udp:127.0.0.1:0", f"udp:{LOOPBACK}:{port}"))
    before = folders()
    command = [
        sys.executable,
        "-m",
        "b2bua",
        "run",
        "--config",
        str(tmp_path / "b2bua.yaml"),
        "--warm-up",
        "600",
    ]
    with ChildProcess("b2bua", command, tmp_path, environment={"PYTHONPATH": str(ROOT)}) as b2bua:
        wait_until(lambda: bool(folders() - before), 20.0, "it has begun")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
            ours.bind((LOOPBACK, port))  # or it would be in use
        b2bua.send_signal(signal.SIGTERM)
        assert b2bua.wait(20.0) == 0
        assert [each["event"] for each in events(b2bua)] == ["warm_up", "stopped"]
        assert b2bua.output == ""
    assert not folders() - before
    assert not (tmp_path / "cdr.jsonl").exists()


def test_calls_of_a_killed_process_do_not_wait_for_it(tmp_path: Path) -> None:
    listen = [f"udp:{LOOPBACK}:{free_port()}"]
    with ScriptedCallee(answers) as human, ScriptedCaller() as caller:
        desk = {"desk": {"route": f"sip:desk@{human.address}"}}
        with B2bua(tmp_path, desk, main=API, listen=listen) as first:
            caller.call(first.address, "desk")
            caller.final()
            wait_until(lambda: in_journal(tmp_path), 20.0, "it is written down")
            first.send_signal(signal.SIGKILL)
            first.wait(5.0)
        with B2bua(tmp_path, desk, main=API, listen=listen, warm_up=600) as second:
            assert human.wait_for_request("BYE", 20.0)
            assert caller.wait_for_request("BYE", 20.0)
            # Why is told by `test_warm_up_left_behind`: under load the store may be too slow to say.
            assert events(second)[0]["event"] == "warm_up_skipped"


def in_journal(folder: Path) -> bool:
    """Whether a call stands in the journal."""
    with closing(sqlite3.connect(folder / "state" / "b2bua.db", timeout=10)) as database:
        (count,) = database.execute("SELECT count(*) FROM document WHERE kind = 'journal'").fetchone()
    return count == 1


# -- what it plays -------------------------------------------------------------------------------------------


def test_calls_are_challenged_handed_over_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[dict] = []
    close = Stage.close

    async def read_first(stage: Stage) -> None:
        await close(stage)
        records.extend(map(json.loads, stage._configuration.records.cdr.read_text().splitlines()))

    monkeypatch.setattr(Stage, "close", read_first)
    for hold in ("HOLD", "HANDED_HOLD"):  # The same: all kinds of calls end in turns.
        monkeypatch.setattr(f"b2bua.warm_up.load.{hold}", 1.0)
    ends_after(100, monkeypatch)
    asyncio.run(Rehearsal(configuration(tmp_path)).play(AGES))
    completed = [each for each in records if each["outcome"]["name"] == "normal_hangup"]
    assert {each["called"] for each in completed} == {"desk", "guarded", "assistant"}
    assert any(
        handoff["outcome"]["status"] == "completed" for each in completed for handoff in each["handoffs"]
    )


def test_nothing_of_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends_after(40, monkeypatch)
    configured = configuration(tmp_path)
    before = folders()

    async def played() -> int:
        rehearsal = Rehearsal(configured)
        await rehearsal.play(AGES)
        assert rehearsal.costs.calls >= 40
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()  # As a start does when it is over.
        return len(os.listdir("/proc/self/fd"))

    async def twice() -> tuple[int, int]:
        return await played(), await played()

    threads = threading.active_count()
    first, second = asyncio.run(twice())
    assert first == second
    assert threading.active_count() == threads
    assert not folders() - before
    gc.collect()
    left = [each for each in gc.get_objects() if isinstance(each, Call | CallRegistry | SipStack | Load)]
    assert left == []


# -- what goes wrong -----------------------------------------------------------------------------------------


def test_a_refused_call_is_the_end_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("b2bua.warm_up.load.USERS", ("nobody",))
    with pytest.raises(WarmUpFailed, match="404"):
        asyncio.run(Rehearsal(configuration(tmp_path)).play(20.0))


def test_what_goes_wrong_is_logged_and_keeps_nobody_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cannot_listen(stage: Stage) -> None:
        raise OSError("no such address")

    monkeypatch.setattr(Stage, "open", cannot_listen)
    before = folders()
    with capture_logs() as told:
        asyncio.run(warm_up(configuration(tmp_path), 20.0, Store(None, "disabled")))
    assert [each["event"] for each in told] == ["warm_up", "warm_up_failed"]
    assert told[1]["why"] == "OSError: no such address"
    assert not folders() - before


def test_a_store_that_does_not_answer_may_have_calls(tmp_path: Path) -> None:
    fixed = MAIN.replace("udp:127.0.0.1:0", f"udp:{LOOPBACK}:{free_port()}")
    folder = tmp_path / "taken"
    folder.mkdir()
    store = open_store(ConfigFiles(tmp_path, fixed + f"store: sqlite:{folder}\n").load().store)
    with capture_logs() as told:
        asyncio.run(warm_up(ConfigFiles(tmp_path, fixed).load(), 20.0, store))
    assert [each["event"] for each in told if each["event"].startswith("warm")] == ["warm_up_skipped"]
