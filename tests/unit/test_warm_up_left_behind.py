"""Whether calls are left behind that cannot wait for a warm-up: found under the name that this process will have."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from b2bua.journal.entry import JournalEntry
from b2bua.store import Kind, Store, StoreUnavailable
from b2bua.warm_up.left_behind import calls_left_behind
from tests.support.config_files import MAIN, ConfigFiles
from tests.support.store_backends import BackendDouble, PatientWorker, as_backend, document
from tests.support.virtual_loop import run_virtual

FIXED = MAIN.replace("udp:127.0.0.1:0", "udp:127.0.0.1:5060")
FOUND = f"{socket.gethostname()} udp:127.0.0.1:5060"
ENTRY = JournalEntry("call-1", "an earlier run", {}, ()).as_text()


class Behind:
    """What an earlier process has left in a store."""

    def __init__(self, group: str, body: str = ENTRY) -> None:
        self.backend = BackendDouble()
        self.worker = PatientWorker()
        left = document("call-1", kind=Kind.JOURNAL, group=group, body=body)
        self.backend.documents[Kind.JOURNAL, "call-1"] = left

    def found(self, folder: Path, main: str) -> int:
        """How many calls are found by a process that is configured so."""
        configuration = ConfigFiles(folder, main).load()

        async def ask() -> int:
            store = Store(as_backend(self.backend), "double", worker=self.worker)  # type: ignore[arg-type]
            return await calls_left_behind(configuration, store)

        return run_virtual(ask())


def test_a_call_of_this_host_and_these_listeners_waits(tmp_path: Path) -> None:
    behind = Behind(FOUND)
    assert behind.found(tmp_path, FIXED) == 1
    assert behind.backend.closed
    assert behind.worker.closed
    assert not behind.backend.batches, "nothing is written"


def test_a_node_with_a_name_is_found_by_that_alone(tmp_path: Path) -> None:
    assert Behind("east").found(tmp_path, MAIN + "node: east\n") == 1


@pytest.mark.parametrize(
    "group", ["elsewhere udp:127.0.0.1:5060", f"{socket.gethostname()} udp:127.0.0.1:5061"]
)
def test_calls_of_others_are_none_of_ours(tmp_path: Path, group: str) -> None:
    assert Behind(group).found(tmp_path, FIXED) == 0


def test_what_nobody_can_read_waits_for_nobody(tmp_path: Path) -> None:
    assert Behind(FOUND, body="[]").found(tmp_path, FIXED) == 0


def test_a_port_that_is_another_each_time_has_no_calls(tmp_path: Path) -> None:
    behind = Behind(f"{socket.gethostname()} udp:127.0.0.1:0")
    assert behind.found(tmp_path, MAIN) == 0
    assert not behind.backend.checks, "the store is not asked"


def test_a_store_that_does_not_answer_may_have_some(tmp_path: Path) -> None:
    behind = Behind(FOUND)
    behind.worker.hangs = True
    with pytest.raises(StoreUnavailable):
        behind.found(tmp_path, FIXED)
    assert behind.worker.closed
