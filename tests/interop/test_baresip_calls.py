"""Calls over TLS, and with SRTP, to and from baresip: another stack than PJSUA2's, with another TLS and SRTP in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.baresip import Baresip
from tests.support.certificates import Authority
from tests.support.engines import Carrier
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

BARESIP_SAYS, PHONE_SAYS = 440, 620


@pytest.mark.parametrize(
    ("engine", "baresip_calls", "srtp"),
    [
        ("native", True, False),
        ("native", True, True),
        ("native", False, False),
        ("native", False, True),
        ("rtpengine", False, True),
    ],
    indirect=["engine"],
)
def test_baresip_and_a_phone_in_clear_hear_each_other(
    engine: Carrier, tmp_path: Path, baresip_calls: bool, srtp: bool
) -> None:
    """Whoever calls verifies whom it calls; the phone on the other side has neither TLS nor SRTP."""
    ca = Authority(tmp_path)
    ours = ca.issue("b2bua", [LOOPBACK])
    tls = {"certificate": ours.certificate, "private_key": ours.key, "ca": ca.file}
    trunk = {"accept": {"addresses": LOOPBACK}, "srtp": "required" if srtp else "disabled"}
    encryption = "tls/srtp" if srtp else "tls/rtp"
    theirs = ca.issue("baresip", [LOOPBACK])
    main = {
        "sip": {"listen": [f"udp:{LOOPBACK}:0", f"tls:{LOOPBACK}:0"], "tls": tls},
        "trunks": {"sbc": trunk if baresip_calls else {"accept": {"addresses": LOOPBACK}}},
    }
    with (
        PjsuaPhone(tmp_path, "phone", PHONE_SAYS) as phone,
        Baresip(tmp_path, theirs, ca.file, frequency=BARESIP_SAYS, srtp=srtp) as baresip,
    ):
        places = {
            "phone": {"route": phone.uri},
            "baresip": {"route": baresip.uri, "encryption": encryption},
        }
        with B2bua(tmp_path, places, main=main, media=engine.media) as b2bua:
            if baresip_calls:
                baresip.tell("dial", f"sip:phone@{b2bua.host_port_of('tls')}")
                phone.wait_for("incoming")
                phone.tell("answer", status=200)
            else:
                phone.tell("call", uri=b2bua.uri("baresip"))
            baresip.wait_for("CALL_ESTABLISHED")
            phone.wait_for_state("CONFIRMED")
            wait_until(
                lambda: min(phone.heard_so_far(), baresip.heard_so_far()) > 1.2, 15.0, "1.2 s are recorded"
            )
            if baresip_calls:
                phone.tell("hangup")
            else:
                baresip.tell("hangup")
            baresip.wait_for("CALL_CLOSED")
            phone.wait_for_state("DISCONNECTED")
            assert dominant_frequency(sound(phone.quit())) == pytest.approx(BARESIP_SAYS, abs=2)
            record = b2bua.record()
            b2bua.check_end()
        assert dominant_frequency(sound(baresip.heard())) == pytest.approx(PHONE_SAYS, abs=2)
    assert record["outcome"]["code"] == 4000
    spoken = {leg["role"]: leg["encryption"] for leg in record["legs"]}
    assert sorted(spoken.values()) == sorted([encryption, "udp/rtp"])


def test_two_phones_that_have_opus_alone_hear_each_other_through_us(tmp_path: Path) -> None:
    """What is passed through is understood by nobody between the two encoders."""
    ca = Authority(tmp_path)
    ours, theirs = ca.issue("b2bua", [LOOPBACK]), ca.issue("baresip", [LOOPBACK])
    tls = {"certificate": ours.certificate, "private_key": ours.key, "ca": ca.file}
    main = {
        "sip": {"listen": [f"udp:{LOOPBACK}:0", f"tls:{LOOPBACK}:0"], "tls": tls},
        "trunks": {"sbc": {"accept": {"addresses": LOOPBACK}, "srtp": "required"}},
    }
    with (
        Baresip(tmp_path, theirs, ca.file, name="alice", frequency=440, srtp=True, opus=True) as alice,
        Baresip(tmp_path, theirs, ca.file, name="bob", frequency=620, srtp=True, opus=True) as bob,
        B2bua(
            tmp_path,
            {"bob": {"route": bob.uri, "encryption": "tls/srtp"}},
            main=main,
            media={"codecs": ["opus", "PCMU", "PCMA"]},
        ) as b2bua,
    ):
        alice.tell("dial", f"sip:bob@{b2bua.host_port_of('tls')}")
        for phone in (alice, bob):
            phone.wait_for("CALL_ESTABLISHED")
        wait_until(lambda: min(alice.heard_so_far(), bob.heard_so_far()) > 1.5, 15.0, "1.5 s are recorded")
        alice.tell("hangup")
        for phone in (alice, bob):
            phone.wait_for("CALL_CLOSED")
        assert dominant_frequency(sound(alice.heard())) == pytest.approx(620, abs=2)
        assert dominant_frequency(sound(bob.heard())) == pytest.approx(440, abs=2)
        record = b2bua.record()
        b2bua.check_end()
    assert record["outcome"]["code"] == 4000
    for side in (record["media"]["caller"], record["media"]["agent"]):
        assert (side["codec"], side["mos"]) == ("opus", None)
        assert side["packets_in"] > 50
