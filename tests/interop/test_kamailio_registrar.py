"""The B2BUA registers at Kamailio, is called there, and is gone from there when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.b2bua_process import B2bua
from tests.support.kamailio import Kamailio, kamailio_port
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.sipp import sipp_callee, sipp_caller

PASSWORD = "s3cret-of-provider"


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
            with sipp_caller(
                tmp_path, kamailio.address, "caller.xml", service="our-account", calls=1, call_length_ms=200
            ) as calling:
                made = calling.finished(20)
                assert (made.successful, made.failed) == (1, 0), calling.complaints()
            record = b2bua.record()
            assert (record["trunk"], record["called"]) == ("provider", "our-account")
            assert record["legs"][0]["transport"] == transport
            assert kamailio.lines("GONE") == []
            b2bua.check_end()
            assert PASSWORD not in b2bua.output + b2bua.errors
        (gone,) = kamailio.lines("GONE")
        assert (
            gone.removeprefix("GONE").split(";expires")[0]
            == (kamailio.lines("REGISTERED")[0].removeprefix("REGISTERED").split(";expires")[0])
        )
