"""What an operator sees of a call between SIPp and SIPp: the trace, read back by tshark, and the metrics."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.b2bua_process import ROOT, B2bua
from tests.support.sipp import sipp_callee, sipp_caller

KEY = "a-key-of-some-length"
LAYERS = ("ip", "udp", "tcp")


@pytest.fixture(scope="module")
def collector() -> Iterator[socket.socket]:
    """A receiver of HEP packets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        yield receiver


@pytest.fixture(scope="module")
def b2bua(tmp_path_factory: pytest.TempPathFactory, collector: socket.socket) -> Iterator[B2bua]:
    """A B2BUA that one call went through, from UDP to TCP."""
    folder = tmp_path_factory.mktemp("b2bua")
    with sipp_callee(folder, tcp=True) as callee:
        desk = {"route": f"sip:desk@{callee.address};transport=tcp"}
        hep = {"address": f"udp:127.0.0.1:{collector.getsockname()[1]}"}
        main = {"api": {"listen": "127.0.0.1:0", "keys": [KEY]}, "telemetry": {"hep": hep}}
        listen = ("udp:127.0.0.1:0", "tcp:127.0.0.1:0")
        with B2bua(folder, {"support": desk}, main=main, listen=listen) as b2bua:
            with sipp_caller(folder, b2bua.host_port) as caller:
                assert caller.finished(20).successful == 1
            b2bua.records(1)
            yield b2bua


def command(b2bua: B2bua, folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run `b2bua trace` beside it."""
    config = b2bua.cdr.parent / "b2bua.yaml"
    where = ["--config", str(config), "--set", f"api.listen={b2bua.api}"]
    whole = [sys.executable, "-m", "b2bua", "trace", *arguments, *where]
    return subprocess.run(whole, cwd=folder, capture_output=True, timeout=30, env={"PYTHONPATH": str(ROOT)})


def test_tshark_reads_the_capture_of_a_call(b2bua: B2bua, tmp_path: Path) -> None:
    (record,) = b2bua.records(1)
    done = command(b2bua, tmp_path, record["call_id"], "--format", "pcap", "--output", "call.pcap")
    assert done.returncode == 0, done.stderr
    fields = ["sip.Method", "sip.Status-Code", "sip.Call-ID", "ip.proto"]
    shown = [argument for name in fields for argument in ("-e", name)]
    sip = [
        argument
        for leg in record["legs"]
        for argument in ("-d", f"{leg['transport']}.port=={leg['remote_address'].rpartition(':')[2]},sip")
    ]
    read = ["tshark", "-r", str(tmp_path / "call.pcap"), *sip]
    told = subprocess.run(
        [*read, "-Y", "sip", "-T", "fields", *shown], capture_output=True, text=True, check=True, timeout=60
    )
    messages = [tuple(line.split("\t")) for line in told.stdout.splitlines()]
    caller, agent = (leg["sip_call_id"] for leg in record["legs"])

    assert [message[:2] for message in messages if message[2] == caller and message[0]] == [
        ("INVITE", ""),
        ("ACK", ""),
        ("BYE", ""),
    ]
    assert ("", "200", caller, "17") in messages
    assert ("INVITE", "", agent, "6") in messages
    assert ("", "180", agent, "6") in messages
    checked = [argument for layer in LAYERS for argument in ("-o", f"{layer}.check_checksum:TRUE")]
    bad = subprocess.run(
        [
            *read,
            *checked,
            "-Y",
            " || ".join(["_ws.malformed", *(f"{layer}.checksum.status == 0" for layer in LAYERS)]),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert bad.stdout == ""


def test_the_command_shows_the_text_and_says_what_it_has_not(b2bua: B2bua, tmp_path: Path) -> None:
    (record,) = b2bua.records(1)
    shown = command(b2bua, tmp_path, record["call_id"])
    unknown = command(b2bua, tmp_path, "no-such-call")

    assert b"caller 127.0.0.1:" in shown.stdout
    assert shown.stdout.count(b"INVITE sip:") == 2
    assert (unknown.returncode, unknown.stdout) == (1, b"")
    assert b"no such call" in unknown.stderr


def test_a_scrape_tells_of_the_call(b2bua: B2bua) -> None:
    request = urllib.request.Request(
        f"http://{b2bua.api}/metrics", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    samples = {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    assert samples["b2bua_calls_total", frozenset({"sbc", "completed", "normal_hangup", "4000"})] == 1
    assert samples["b2bua_attempts_total", frozenset({"support", "answered", "200"})] == 1
    assert samples["b2bua_sip_connections_total", frozenset({"connected"})] == 1
    assert samples["b2bua_calls_active", frozenset({"sbc"})] == 0
    assert samples["b2bua_store_up", frozenset()] == 1
    assert samples["b2bua_event_loop_lag_seconds_count", frozenset()] > 0
    assert samples["process_resident_memory_bytes", frozenset()] > 0


def test_a_collector_gets_every_message_under_the_id_of_the_call(
    b2bua: B2bua, collector: socket.socket
) -> None:
    (record,) = b2bua.records(1)
    packets: list[bytes] = []
    while sum(packet.count(b"CSeq: 2 BYE") for packet in packets) < 4:
        packets.append(collector.recv(65536))

    assert all(packet.startswith(b"HEP3") and record["call_id"].encode() in packet for packet in packets)
    assert sum(b"INVITE sip:" in packet for packet in packets) == 2
