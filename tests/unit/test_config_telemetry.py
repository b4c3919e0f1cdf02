"""`telemetry:` sizes, collectors, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2bua.config import ConfigurationError
from tests.support.config_files import MAIN, ConfigFiles


@pytest.mark.parametrize(
    ("written", "octets"), [("{}", 16 * 1024**2), ("{trace: 64KB}", 65536), ("{trace: disabled}", 0)]
)
def test_how_much_is_kept(tmp_path: Path, written: str, octets: int) -> None:
    assert ConfigFiles(tmp_path, f"{MAIN}\ntelemetry: {written}\n").load().telemetry.trace == octets


def test_a_collector(tmp_path: Path) -> None:
    main = f'{MAIN}\ntelemetry: {{hep: {{address: "udp:[::1]:9060", password: s3cret}}}}\n'
    hep = ConfigFiles(tmp_path, main).load().telemetry.hep

    assert hep is not None
    assert (hep.address, hep.capture_id) == (("::1", 9060), 2001)
    assert "s3cret" not in repr(hep)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{trace: 16}", "telemetry.trace: not a size"),
        ("{trace: 16TB}", "telemetry.trace: not a size"),
        ('{hep: {address: "tcp:127.0.0.1:9060"}}', "telemetry.hep.address: not a collector"),
        ('{hep: {address: "udp:127.0.0.1:0"}}', "telemetry.hep.address: a collector without a port"),
        ('{hep: {address: "udp:homer:9060"}}', "telemetry.hep.address: a collector without an IP address"),
        ('{hep: {address: "udp:127.0.0.1:9060", capture_id: -1}}', "telemetry.hep.capture_id"),
        ("{hep: {}}", "telemetry.hep: the key 'address' is missing"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, written: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        ConfigFiles(tmp_path, f"{MAIN}\ntelemetry: {written}\n").load()
    (problem,) = raised.value.problems
    assert said in str(problem)
    assert problem.position.line == len(MAIN.splitlines()) + 2
