"""Calls with SRTP, PJSUA2 on either side: whoever must have it gets it, whatever the other side has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.certificates import Authority
from tests.support.engines import Carrier, Limit
from tests.support.pjsua2_pair import connect, reoffer
from tests.support.pjsua2_peer import PjsuaPhone, Srtp
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

SUITES = ("AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
"""What PJSIP has beside what the other calls use."""


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def our_sip(ca: Authority) -> dict[str, object]:
    pair = ca.issue("b2bua", [LOOPBACK])
    tls = {"certificate": pair.certificate, "private_key": pair.key, "ca": ca.file}
    return {"listen": [f"udp:{LOOPBACK}:0", f"tls:{LOOPBACK}:0"], "tls": tls}


def both_hear(alice: PjsuaPhone, bob: PjsuaPhone) -> None:
    before = alice.heard_so_far(), bob.heard_so_far()
    wait_until(
        lambda: alice.heard_so_far() > before[0] + 0.6 and bob.heard_so_far() > before[1] + 0.6,
        15.0,
        "both hear more",
    )


def assert_tones(alice: PjsuaPhone, bob: PjsuaPhone) -> None:
    assert dominant_frequency(sound(alice.quit())) == pytest.approx(620, abs=2)
    assert dominant_frequency(sound(bob.quit())) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("engine", "alice_srtp", "bob_srtp", "encryption"),
    [
        ("native", "disabled", "mandatory", "tls/srtp"),
        ("native", "mandatory", "disabled", "udp/rtp"),
        ("native", "mandatory", "mandatory", "tls/srtp"),
        ("native", "optional", "optional", "tls/srtp-preferred"),
        ("native", "disabled", "disabled", "tls/srtp-preferred"),
        ("rtpengine", "disabled", "mandatory", "tls/srtp"),
        ("rtpengine", "mandatory", "mandatory", "tls/srtp"),
        ("rtpengine", "disabled", "disabled", "tls/srtp-preferred"),
    ],
    indirect=["engine"],
)
def test_a_tone_crosses_each_way(
    engine: Carrier, tmp_path: Path, ca: Authority, alice_srtp: Srtp, bob_srtp: Srtp, encryption: str
) -> None:
    """Over TLS where there are keys; with digest, a hold and its end, and keys from one phone to the other."""
    pair = ca.issue("phone", [LOOPBACK])
    alice_tls, bob_tls = alice_srtp != "disabled", encryption != "udp/rtp"
    main = {"sip": our_sip(ca)}
    login = {"username": "us", "password": "secret"}
    with PjsuaPhone(
        tmp_path,
        "bob",
        620,
        pair=pair if bob_tls else None,
        ca=ca.file if bob_tls else "",
        srtp=bob_srtp,
        username=login["username"],
        password=login["password"],
    ) as bob:
        destination = {"route": f"sip:bob@{bob.address}", "encryption": encryption, "auth": login}
        with (
            B2bua(tmp_path, {"bob": destination}, main=main, media=engine.media, log_level="debug") as b2bua,
            PjsuaPhone(tmp_path, "alice", 440, pair=pair if alice_tls else None, srtp=alice_srtp) as alice,
        ):
            transport = "tls" if alice_tls else "udp"
            connect(alice, bob, f"sip:bob@{b2bua.host_port_of(transport)};transport={transport}")
            both_hear(alice, bob)
            if alice_srtp == "mandatory":
                reoffer(alice, "hold")
                reoffer(alice, "resume")
                both_hear(alice, bob)
            if alice_srtp != bob_srtp:
                digits = "0123456789*#ABCD"
                alice.tell("dtmf", digits=digits)
                for digit in digits:
                    bob.wait_for("dtmf", digit=digit)
            alice.tell("hangup")
            bob.wait_for_state("DISCONNECTED")
            assert_tones(alice, bob)
            record = b2bua.record()
            told = b2bua.errors + b2bua.output + b2bua.cdr.read_text()
            b2bua.check_end()
    # The phones log every message, so both ends of each key are known.
    keys = set(re.findall(r"inline:([A-Za-z0-9+/]{30,})", alice.errors + bob.errors))
    assert bool(keys) is (encryption != "udp/rtp" or alice_tls)
    assert not [key for key in keys if key in told]
    assert record["outcome"]["code"] == 4000
    assert {leg["role"]: leg["encryption"] for leg in record["legs"]} == {
        "caller": spelled(alice_tls, alice_srtp),
        "agent": spelled(bob_tls, bob_srtp),
    }
    for side in (record["media"]["caller"], record["media"]["agent"]):
        assert side["packets_in"] > 0
        assert (side["lost"] is not None) is engine.can(Limit.COUNT_LOSS)


def spelled(tls: bool, srtp: Srtp) -> str:
    return f"{'tls' if tls else 'udp'}/{'rtp' if srtp == 'disabled' else 'srtp'}"


@pytest.mark.parametrize("suite", SUITES)
def test_each_suite_in_clear_signalling_where_that_is_permitted(tmp_path: Path, suite: str) -> None:
    media = {"srtp": {"keys_in_clear": True}}
    trunks = {"sbc": {"accept": {"addresses": LOOPBACK}, "srtp": "required"}}
    with (
        PjsuaPhone(tmp_path, "bob", 620) as bob,
        B2bua(tmp_path, {"bob": {"route": bob.uri}}, media=media, main={"trunks": trunks}) as b2bua,
        PjsuaPhone(tmp_path, "alice", 440, srtp="mandatory", suites=(suite,)) as alice,
    ):
        connect(alice, bob, b2bua.uri("bob"))
        both_hear(alice, bob)
        alice.tell("hangup")
        bob.wait_for_state("DISCONNECTED")
        assert_tones(alice, bob)
        record = b2bua.record()
        b2bua.check_end()
    assert [leg["encryption"] for leg in record["legs"]] == ["udp/srtp", "udp/rtp"]


def test_who_must_have_srtp_and_is_answered_without_fails_by_its_name(tmp_path: Path, ca: Authority) -> None:
    pair = ca.issue("phone", [LOOPBACK])
    with PjsuaPhone(tmp_path, "bob", 620, pair=pair, ca=ca.file) as bob:
        destination = {"route": f"sip:bob@{bob.address}", "encryption": "tls/srtp"}
        trunks = {"sbc": {"accept": {"addresses": LOOPBACK}, "srtp": "required"}}
        main = {"sip": our_sip(ca), "trunks": trunks}
        with B2bua(tmp_path, {"bob": destination}, main=main) as b2bua:
            with PjsuaPhone(tmp_path, "plain", 440, pair=pair) as plain:
                plain.tell("call", uri=f"sip:bob@{b2bua.host_port_of('tls')};transport=tls")
                assert plain.wait_for_state("DISCONNECTED")["status"] == 488
            with PjsuaPhone(tmp_path, "clear", 440, srtp="mandatory") as clear:
                clear.tell("call", uri=b2bua.uri("bob"))
                assert clear.wait_for_state("DISCONNECTED")["status"] == 488
            with PjsuaPhone(tmp_path, "alice", 440, pair=pair, srtp="mandatory") as alice:
                alice.tell("call", uri=f"sip:bob@{b2bua.host_port_of('tls')};transport=tls")
                assert alice.wait_for_state("DISCONNECTED")["status"] == 488
            outcomes = [record["outcome"] for record in b2bua.records(3)]
            b2bua.check_end()
    # The third got to bob, who has no SRTP and refused the offer himself.
    assert [outcome["code"] for outcome in outcomes] == [11010, 11010, 11030]
