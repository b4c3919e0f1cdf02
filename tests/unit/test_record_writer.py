"""Call records reach the disk: whole lines, after rotation too, and never at the expense of a call."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import threading
from pathlib import Path

import pytest
import structlog

from b2bua import record_writer
from b2bua.call import cause
from b2bua.call.clock import CallClock
from b2bua.call.record import AttemptRecord, CallRecord, LegRecord
from b2bua.record_writer import RecordWriter


def a_record(call_id: str = "c1") -> CallRecord:
    record = CallRecord(
        call_id=call_id,
        session_id="s1",
        node="n1",
        trunk="acme-sbc",
        caller="sip:+15551230000@192.0.2.1",
        called="support",
        started=10.0,
        clock=CallClock(10.0),
        answered=12.0,
        ended=15.5,
        outcome=cause.local("normal_hangup"),
    )
    record.attempts.append(
        AttemptRecord(
            "billing",
            "invite",
            "sip:q@192.0.2.9",
            "udp/rtp",
            10.0,
            ended=11.0,
            outcome=cause.from_response(486, "Busy Here"),
        )
    )
    record.legs.append(LegRecord("caller", "abc@x", "t1", "t2", "192.0.2.1:5060", "udp", 10.0))
    return record


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_nobody_else_on_the_machine_reads_who_called_whom(tmp_path: Path) -> None:
    """Its group may: a program that ships records is in it."""
    before = os.umask(0)
    try:
        writer = RecordWriter(tmp_path / "cdr.jsonl")
        writer.start()
        writer.close(5.0)
    finally:
        os.umask(before)
    assert (tmp_path / "cdr.jsonl").stat().st_mode & 0o777 == 0o640


def test_who_waits_for_a_record_hears_when_it_is_written_and_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "cdr.jsonl"
    settled: list[str] = []
    writer = RecordWriter(path)
    assert asyncio.run(writer.find({"c1"})) == {}, "there is no file yet"
    writer.on_settled = settled.extend
    writer.start()
    writer.write(a_record("c1"))
    writer.write(a_record("c2"))
    writer.close(5)
    assert settled == ["c1", "c2"]
    with path.open("a") as file:
        file.write('{"call_id":"c3","session')  # cut by a kill
    found = asyncio.run(writer.find({"c2", "c3", "c4"}))
    assert list(found) == ["c2"]
    assert found["c2"]["outcome"] == a_record().as_json()["outcome"]


def test_the_record_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "state" / "cdr.jsonl"
    writer = RecordWriter(path)
    writer.start()
    writer.write(a_record())
    writer.close(5)
    (line,) = lines(path)
    assert list(line) == [
        "call_id", "session_id", "node", "trunk", "caller", "called", "started", "answered", "ended", "duration_ms",
        "outcome", "attempts", "handoffs", "legs", "media", "recordings", "bridges",
    ]  # fmt: skip
    assert line["duration_ms"] == 3500
    assert line["outcome"] == {
        "name": "normal_hangup", "code": 4000, "status": "completed", "source": "caller",
        "sip_status": None, "sip_reason": None,
    }  # fmt: skip
    attempts = line["attempts"]
    assert isinstance(attempts, list)
    assert attempts[0]["outcome"]["code"] == 3010
    assert attempts[0]["ringing"] is None
    assert str(line["started"]).endswith("Z")


def test_a_renamed_file_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "cdr.jsonl"
    writer = RecordWriter(path)
    writer.start()
    writer.write(a_record("before"))
    while writer.written < 1:
        pass  # the thread is at work; the suite's timeout guards this
    path.rename(tmp_path / "cdr.jsonl.1")
    writer.write(a_record("after"))
    writer.close(5)
    assert [line["call_id"] for line in lines(tmp_path / "cdr.jsonl.1")] == ["before"]
    assert [line["call_id"] for line in lines(path)] == ["after"]


def test_odd_bytes_in_a_caller_do_not_cost_the_record(tmp_path: Path) -> None:
    record = a_record()
    record.caller = b"sip:\xff\xfe@x".decode("utf-8", "surrogateescape")
    writer = RecordWriter(tmp_path / "cdr.jsonl")
    writer.start()
    writer.write(record)
    writer.close(5)
    (line,) = lines(tmp_path / "cdr.jsonl")
    assert line["caller"] == record.caller


def test_records_beyond_the_queue_are_counted_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, "CAPACITY", 2)
    writer = RecordWriter(tmp_path / "cdr.jsonl")  # not started: a disk that never answers
    for _ in range(5):
        writer.write(a_record())
    assert writer.lost == 3


def test_a_folder_that_cannot_be_made_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        RecordWriter(tmp_path / "file" / "cdr.jsonl").start()


def test_a_full_disk_costs_records_and_nothing_else() -> None:
    writer = RecordWriter(Path("/dev/full"))
    writer.start()
    with structlog.testing.capture_logs() as told:
        writer.write(a_record())
        writer.close(5)
    assert (writer.written, writer.lost) == (0, 1)
    (line,) = told
    assert (line["event"], line["call_id"], line["path"]) == ("record_lost", "c1", "/dev/full")


def test_what_a_full_disk_took_half_of_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "cdr.jsonl"
    settled = threading.Semaphore(0)
    writer = RecordWriter(path)
    writer.on_settled = lambda call_ids: settled.release()
    writer.start()
    writer.write(a_record("c1"))
    assert settled.acquire(timeout=5)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, unlimited[1]))
    try:
        writer.write(a_record("c2"))
        assert settled.acquire(timeout=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    writer.write(a_record("c3"))
    writer.close(5)
    assert [line["call_id"] for line in lines(path)] == ["c1", "c3"]
    assert (writer.written, writer.lost) == (2, 1)


def test_records_go_down_a_pipe_too(tmp_path: Path) -> None:
    """As where the file is /dev/stdout of a container."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        writer = RecordWriter(path)
        writer.start()
        writer.write(a_record())
        writer.close(5)
        assert json.loads(os.read(reading, 65_536))["call_id"] == "c1"
        assert (writer.written, writer.lost) == (1, 0)
    finally:
        os.close(reading)
