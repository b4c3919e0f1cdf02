"""Calls by Linphone over TLS with SRTP, and what Wireshark makes of the trace of one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.certificates import Authority
from tests.support.handoff_stage import KEY, Api
from tests.support.linphone import Linphone
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

LINPHONE_SAYS, PHONE_SAYS = 440, 620


def heard_by_both(phone: PjsuaPhone, linphone: Linphone, more: float) -> None:
    """Until each has recorded so many seconds more."""
    goals = phone.heard_so_far() + more, linphone.heard_so_far() + more
    wait_until(
        lambda: phone.heard_so_far() > goals[0] and linphone.heard_so_far() > goals[1],
        15.0,
        f"{more} s are recorded",
    )


def test_linphone_and_a_phone_in_clear_hear_each_other_before_and_after_a_hold(tmp_path: Path) -> None:
    """Its offer has four suites of SRTP, opus, speex and G729 beside G.711, and digits at three clock rates."""
    ca = Authority(tmp_path)
    ours = ca.issue("b2bua", ["localhost"])
    main = {
        "sip": {
            "listen": [f"udp:{LOOPBACK}:0", f"tls:{LOOPBACK}:0"],
            "tls": {"certificate": ours.certificate, "private_key": ours.key},
        },
        "trunks": {"sbc": {"accept": {"addresses": LOOPBACK}, "srtp": "required"}},
        "api": {"listen": f"{LOOPBACK}:0", "keys": [KEY]},
    }
    with (
        PjsuaPhone(tmp_path, "phone", PHONE_SAYS) as phone,
        Linphone(tmp_path, ca.file, frequency=LINPHONE_SAYS) as linphone,
        B2bua(tmp_path, {"phone": {"route": phone.uri}}, main=main) as b2bua,
    ):
        port = b2bua.host_port_of("tls").rpartition(":")[2]
        linphone.write_line(f"call sip:phone@localhost:{port};transport=tls")
        phone.wait_for("incoming")
        phone.tell("answer", status=200)
        linphone.says("Media streams established")
        heard_by_both(phone, linphone, 1.2)
        linphone.write_line("7")
        phone.wait_for("dtmf", digit="7")
        linphone.write_line("pause")
        linphone.says("is now paused")
        linphone.write_line("resume")
        linphone.says("Media streams established", 2)
        heard_by_both(phone, linphone, 1.2)
        linphone.write_line("terminate")
        phone.wait_for_state("DISCONNECTED")
        record = b2bua.record()
        trace = Api(b2bua).answer("GET", f"/v1/calls/{record['call_id']}/trace?format=pcap").content
        assert dominant_frequency(sound(phone.quit())) == pytest.approx(LINPHONE_SAYS, abs=2)
        b2bua.check_end()
    assert dominant_frequency(sound(linphone.heard())) == pytest.approx(PHONE_SAYS, abs=2)
    assert record["outcome"]["code"] == 4000
    spoken = {leg["role"]: leg["encryption"] for leg in record["legs"]}
    assert sorted(spoken.values()) == ["tls/srtp", "udp/rtp"]
    shown = descriptions(tmp_path, trace, int(port))
    assert sum("crypto" in one for one in shown) == 6, (
        "three offers, three answers, each with its keys masked"
    )


def descriptions(folder: Path, trace: bytes, port: int) -> list[str]:
    """What tshark finds in the descriptions of the TLS leg, one line for each."""
    (folder / "call.pcap").write_bytes(trace)
    read = ["tshark", "-r", str(folder / "call.pcap"), "-d", f"tcp.port=={port},sip"]
    show = ["-Y", "sdp && !_ws.malformed", "-T", "fields", "-e", "sdp.media_attr"]
    told = subprocess.run([*read, *show], capture_output=True, text=True, check=True, timeout=60)
    return told.stdout.splitlines()
