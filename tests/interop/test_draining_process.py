"""A real process that is told to end while a call is up: by the API, by a signal, by a second one."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.b2bua_process import B2bua
from tests.support.processes import wait_until
from tests.support.sipp import sipp_callee, sipp_caller

AGES = 600
"""Seconds that a drain may take here: whoever waits for that has not ended by itself."""


@contextmanager
def in_a_call(folder: Path) -> Iterator[B2bua]:
    """A B2BUA with one call up."""
    main = {"api": {"listen": "127.0.0.1:0"}}
    with (
        sipp_callee(folder) as callee,
        B2bua(folder, {"support": {"route": f"sip:desk@{callee.address}"}}, main=main, drain=AGES) as b2bua,
        sipp_caller(folder, b2bua.host_port, call_length_ms=AGES * 1000),
    ):
        wait_until(lambda: "answered" in b2bua.errors, 20.0, lambda: f"an answer: {b2bua.tail()}")
        yield b2bua


def ask(b2bua: B2bua, method: str, path: str) -> tuple[int, dict]:
    """The HTTP status, and the body."""
    assert b2bua.api is not None
    connection = http.client.HTTPConnection(b2bua.api, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


def ping(b2bua: B2bua) -> int:
    """The status of an OPTIONS."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(b2bua.address)
        host, port = sock.getsockname()
        sock.send(
            f"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{port};rport\r\nTo: <sip:x>\r\n"
            f"From: <sip:y>;tag=1\r\nCall-ID: {port}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n\r\n".encode()
        )
        return int(sock.recv(65536).split(b" ", 2)[1])


def test_a_drain_by_the_api_waits_for_the_call_and_exits(tmp_path: Path) -> None:
    with in_a_call(tmp_path) as b2bua:
        assert (ask(b2bua, "GET", "/readyz")[0], ping(b2bua)) == (200, 200)

        assert ask(b2bua, "POST", "/v1/drain") == (202, {"calls": 1, "seconds": AGES})

        status, body = ask(b2bua, "GET", "/readyz")
        assert (status, body["error"]["code"]) == (503, "draining")
        assert (ask(b2bua, "GET", "/healthz")[0], ping(b2bua)) == (200, 503)
        (call,) = ask(b2bua, "GET", "/v1/calls")[1]["calls"]
        assert ask(b2bua, "DELETE", f"/v1/calls/{call['call_id']}")[0] == 204
        assert b2bua.wait(30.0) == 0
        (record,) = b2bua.records(1)
        assert record["outcome"]["code"] == 4000


def test_a_second_signal_ends_the_call_at_once(tmp_path: Path) -> None:
    with in_a_call(tmp_path) as b2bua:
        b2bua.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in b2bua.errors, 20.0, "it drains")
        assert ask(b2bua, "GET", "/readyz")[0] == 503

        b2bua.send_signal(signal.SIGTERM)

        assert b2bua.wait(30.0) == 0
        (record,) = b2bua.records(1)
        assert record["outcome"]["code"] == 11104
