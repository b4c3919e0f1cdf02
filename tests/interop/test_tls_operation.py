"""What operators do with certificates while calls go on, and what many connections leave behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.certificates import Authority, Pair
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.tls_client import TlsClient
from tests.support.tls_stack import client_context

OK = "SIP/2.0 200 OK"
DESK = {"desk": {"route": f"sip:desk@{LOOPBACK}:9"}}


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def main_with(pair: Pair, ca: Authority) -> dict[str, object]:
    tls = {"certificate": pair.certificate, "private_key": pair.key, "ca": ca.file}
    return {"sip": {"listen": [f"udp:{LOOPBACK}:0", f"tls:{LOOPBACK}:0"], "tls": tls}}


def logged(b2bua: B2bua, event: str) -> None:
    """Until it has logged that."""
    wait_until(lambda: event in b2bua.errors, 10.0, lambda: f"{event}: {b2bua.tail()}")


def copy(pair: Pair, to: Pair) -> None:
    shutil.copy(pair.certificate, to.certificate)
    shutil.copy(pair.key, to.key)


def test_certificates_are_replaced_under_a_running_connection(tmp_path: Path, ca: Authority) -> None:
    first, second, third = (ca.issue(name, [LOOPBACK]) for name in ("first", "second", "third"))
    used = ca.issue("used", [LOOPBACK])
    copy(first, used)
    context = client_context(ca)
    with B2bua(tmp_path, DESK, main=main_with(used, ca)) as b2bua:
        address = b2bua.host_port_of("tls")
        with TlsClient(address, context) as early:
            shown = [early.serial_number]
            shutil.copy(third.certificate, used.certificate)  # and not its key
            logged(b2bua, "configuration_error")
            assert "not the key of the certificate" in b2bua.errors
            with TlsClient(address, context) as client:
                assert client.serial_number == shown[0], "what worked goes on"
            copy(second, used)
            b2bua.send_signal(signal.SIGHUP)
            logged(b2bua, "configuration_reloaded")
            with TlsClient(address, context) as client:
                shown.append(client.serial_number)
                assert client.options() == OK
            assert early.options() == OK, "the connection from before"
        assert len(set(shown)) == 2
        b2bua.check_end()


def test_the_last_days_of_a_certificate_are_told(tmp_path: Path, ca: Authority) -> None:
    pair = ca.issue("short", [LOOPBACK, "b2bua.example.com"], days=20.5)
    with B2bua(tmp_path, DESK, main=main_with(pair, ca)) as b2bua:
        logged(b2bua, "certificate_dates")
        assert "in 20 days" in b2bua.errors
        b2bua.check_end()
    command = [sys.executable, "-m", "b2bua", "check", "--config", str(tmp_path / "b2bua.yaml")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert f"certificate {pair.certificate} is for b2bua.example.com, 127.0.0.1" in told
    assert "in 20 days" in told


def test_many_connections_leave_nothing_behind(tmp_path: Path, ca: Authority) -> None:
    """A short one; `benchmarks/tls_connections.py` opens ten thousand."""
    context = client_context(ca)
    with B2bua(tmp_path, DESK, main=main_with(ca.issue("b2bua", [LOOPBACK]), ca)) as b2bua:
        address = b2bua.host_port_of("tls")

        def connections(count: int) -> None:
            for _ in range(count):
                with TlsClient(address, context) as client:
                    assert client.options() == OK

        connections(100)
        before = b2bua.level()
        connections(300)
        wait_until(
            lambda: len(b2bua.level().descriptors) <= len(before.descriptors), 10.0, "sockets are closed"
        )
        grown = b2bua.level().memory - before.memory
        b2bua.check_end()
    assert grown / 300 < 8192, f"{grown / 300:.0f} octets for each connection"
