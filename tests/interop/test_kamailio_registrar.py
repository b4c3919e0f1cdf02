"""The B2BUA registers at Kamailio, is called there, and is gone from there when it ends."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.certificates import Authority
from tests.support.kamailio import Kamailio, kamailio_port
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.sipp import sipp_callee, sipp_caller
from tests.support.tcp_relay import TcpRelay

PASSWORD = "s3cret-of-provider"
UNREACHABLE = "192.0.2.1"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_it_registers_is_called_by_location_and_takes_it_back(tmp_path: Path, transport: str) -> None:
    """Its locations want 90 s at least, we ask for 60: granted are 90, or 423 is obeyed. Nothing else knows us."""
    port = kamailio_port()
    outbound = {
        "uri": f"sip:{LOOPBACK}:{port};transport={transport}",
        "auth": {"username": "our-account", "password": PASSWORD},
        "register": {"expires": "1m"},
    }
    main = {
        "trunks": {"provider": {"outbound": outbound}},
        "routes": [{"trunk": "provider", "destination": "desk"}],
    }
    listen = (f"udp:{LOOPBACK}:0", f"tcp:{LOOPBACK}:0")
    with (
        Kamailio(tmp_path, port, template="registrar.cfg", password=PASSWORD) as kamailio,
        sipp_callee(tmp_path, "callee.xml", call_length_ms=200) as answering,
    ):
        destinations = {"desk": {"route": f"sip:desk@{answering.address}"}}
        with B2bua(tmp_path, destinations, listen=listen, main=main) as b2bua:
            wait_until(lambda: kamailio.lines("REGISTERED"), 5.0, "registered")
            called(tmp_path, kamailio)
            record = b2bua.record()
            assert (record["trunk"], record["called"]) == ("provider", "our-account")
            assert record["legs"][0]["transport"] == transport
            assert kamailio.lines("GONE") == []
            b2bua.check_end()
            assert PASSWORD not in b2bua.output + b2bua.errors
        assert gone_from(kamailio) == registered_at(kamailio)[:1]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_behind_a_nat_it_is_called_where_it_was_seen(tmp_path: Path, transport: str) -> None:
    """What it says of itself is an address that nobody reaches. Over TCP and TLS calls come by the connection that it
    registered over, and when that is cut, by the one that it makes at once."""
    port, ca = kamailio_port(), Authority(tmp_path)
    pair = ca.issue("provider", [LOOPBACK]) if transport == "tls" else None
    with (
        Kamailio(tmp_path, port, template="registrar.cfg", password=PASSWORD, nat=True, tls=pair) as kamailio,
        TcpRelay(port) as relay,
        sipp_callee(tmp_path, "callee.xml", call_length_ms=200) as answering,
    ):
        main = behind_nat(
            ca, f"{LOOPBACK}:{port if transport == 'udp' else relay.port};transport={transport}"
        )
        with B2bua(tmp_path, {"desk": {"route": f"sip:desk@{answering.address}"}}, main=main) as b2bua:
            wait_until(lambda: kamailio.lines("REGISTERED"), 5.0, "registered")
            called(tmp_path, kamailio)
            if transport != "udp":
                before = sources(kamailio)[-1]
                relay.cut()
                wait_until(
                    lambda: before not in sources(kamailio)[-1], 10.0, "registered over another connection"
                )
                called(tmp_path, kamailio)
            for record in b2bua.records(1 if transport == "udp" else 2):
                assert (record["trunk"], record["called"]) == ("provider", "our-account")
                assert record["legs"][0]["transport"] == transport
            assert 'b2bua_sip_connections_total{event="accepted"} 0.0' in metrics(b2bua)
            b2bua.check_end()
        wait_until(lambda: gone_from(kamailio), 5.0, "it is gone")


def behind_nat(ca: Authority, provider: str) -> dict[str, object]:
    """A B2BUA that registers at `provider` and does not know how it is seen."""
    ours = ca.issue("b2bua", ["b2bua.example.com"])
    outbound = {
        "uri": f"sip:{provider}",
        "auth": {"username": "our-account", "password": PASSWORD},
        "register": {"expires": "2m"},
    }
    return {
        "sip": {
            "listen": [f"{each}:{LOOPBACK}:0" for each in ("udp", "tcp", "tls")],
            "advertise": UNREACHABLE,
            "tls": {"certificate": ours.certificate, "private_key": ours.key, "ca": ca.file},
        },
        "api": {"listen": f"{LOOPBACK}:0"},
        "trunks": {"provider": {"outbound": outbound}},
        "routes": [{"trunk": "provider", "destination": "desk"}],
    }


def called(folder: Path, kamailio: Kamailio) -> None:
    """Somebody calls our account there, and talks."""
    with sipp_caller(
        folder, kamailio.address, "caller.xml", service="our-account", calls=1, call_length_ms=200
    ) as calling:
        made = calling.finished(20)
        assert (made.successful, made.failed) == (1, 0), calling.complaints()


def registered_at(kamailio: Kamailio) -> list[str]:
    """The Contacts that it was told, in order."""
    return [line.removeprefix("REGISTERED ").split(";expires")[0] for line in kamailio.lines("REGISTERED")]


def gone_from(kamailio: Kamailio) -> list[str]:
    """The Contacts that were taken back, in order."""
    return [line.removeprefix("GONE ").split(";expires")[0] for line in kamailio.lines("GONE")]


def sources(kamailio: Kamailio) -> list[str]:
    """Where the REGISTERs came from: transport, address, port."""
    return [line.rpartition(" from ")[2] for line in kamailio.lines("REGISTERED")]


def metrics(b2bua: B2bua) -> str:
    with urllib.request.urlopen(f"http://{b2bua.api}/metrics", timeout=5) as answer:
        return answer.read().decode()
