"""Calls over TLS with PJSUA2 on either side: both sides verify, and every certificate that is wrong is wrong in its own
way."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.certificates import Authority
from tests.support.engines import Carrier
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until

LISTEN = (f"udp:{LOOPBACK}:0", f"tls:{LOOPBACK}:0")
ROUTES = [{"trunk": "sbc", "to": "bob", "destination": "bob"}]


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def our_sip(ca: Authority) -> dict[str, object]:
    pair = ca.issue("b2bua", [LOOPBACK, "b2bua.example.com"])
    tls = {"certificate": pair.certificate, "private_key": pair.key, "ca": ca.file}
    return {"listen": list(LISTEN), "tls": tls}


@pytest.mark.parametrize(
    ("engine", "alice_tls", "bob_tls"),
    [
        ("native", False, True),
        ("native", True, False),
        ("native", True, True),
        ("rtpengine", True, True),
    ],
    indirect=["engine"],
)
def test_phones_hear_each_other(
    engine: Carrier, tmp_path: Path, ca: Authority, alice_tls: bool, bob_tls: bool
) -> None:
    """TLS is mutual on both sides, and alice shows certificate and password."""
    pair = ca.issue("phone", [LOOPBACK], common_name="alice-sbc")
    login = {"username": "alice", "password": "s3cret-of-alice"}
    by_udp, by_tls = (None, ""), (pair, ca.file)
    (alice_pair, alice_ca), (bob_pair, bob_ca) = (by_tls if tls else by_udp for tls in (alice_tls, bob_tls))
    accept = {"tls_subject": "alice-sbc", "auth": login} if alice_tls else {"addresses": LOOPBACK}
    main = {"sip": our_sip(ca), "trunks": {"sbc": {"accept": accept}}, "routes": ROUTES}
    with PjsuaPhone(tmp_path, "bob", 620, pair=bob_pair, ca=bob_ca) as bob:
        destination = {"route": f"sip:bob@{bob.address}", "encryption": "tls/rtp" if bob_tls else "udp/rtp"}
        with (
            B2bua(tmp_path, {"bob": destination}, main=main, media=engine.media) as b2bua,
            PjsuaPhone(
                tmp_path,
                "alice",
                440,
                pair=alice_pair,
                ca=alice_ca,
                username=login["username"],
                password=login["password"],
            ) as alice,
        ):
            transport = "tls" if alice_tls else "udp"
            alice.tell("call", uri=f"sip:bob@{b2bua.host_port_of(transport)};transport={transport}")
            bob.wait_for("incoming")
            bob.tell("answer", status=200)
            alice.wait_for_state("CONFIRMED")
            wait_until(
                lambda: min(alice.heard_so_far(), bob.heard_so_far()) > 1.5, 15.0, "1.5 s are recorded"
            )
            (bob if alice_tls else alice).tell("hangup")
            (alice if alice_tls else bob).wait_for_state("DISCONNECTED")
            assert dominant_frequency(sound(alice.quit())) == pytest.approx(620, abs=2)
            assert dominant_frequency(sound(bob.quit())) == pytest.approx(440, abs=2)
            record = b2bua.record()
            b2bua.check_end()
    assert record["outcome"]["code"] == 4000
    spoken = {leg["role"]: (leg["transport"], leg["encryption"]) for leg in record["legs"]}
    assert spoken == {
        "caller": ("tls", "tls/rtp") if alice_tls else ("udp", "udp/rtp"),
        "agent": ("tls", "tls/rtp") if bob_tls else ("udp", "udp/rtp"),
    }


def test_each_wrong_certificate_fails_with_its_own_cause(tmp_path: Path, ca: Authority) -> None:
    """And passes where the operator does not want to know."""
    stranger = Authority(tmp_path, "stranger CA")
    pairs = {
        "untrusted": stranger.issue("untrusted", [LOOPBACK]),
        "expired": ca.issue("expired", [LOOPBACK], days=-1),
        "misnamed": ca.issue("misnamed", ["elsewhere.example.com"]),
    }
    with ExitStack() as running:
        phones = {
            name: running.enter_context(PjsuaPhone(tmp_path, name, 500, pair=pair))
            for name, pair in pairs.items()
        }
        destinations = {
            f"{kind}-{name}": {"route": phone.uri, "encryption": "tls/rtp", **tls}
            for name, phone in phones.items()
            for kind, tls in (("strict", {}), ("lax", {"tls": {"verify": False}}))
        }
        trunks = {"sbc": {"accept": {"addresses": LOOPBACK}}}
        main = {"sip": our_sip(ca), "trunks": trunks}
        b2bua = running.enter_context(B2bua(tmp_path, destinations, main=main))
        assert b2bua.errors.count("TLS without verification: whoever answers there is believed") == 3
        caller = running.enter_context(PjsuaPhone(tmp_path, "alice", 440))
        causes = {}
        for number, name in enumerate(pairs, 1):
            caller.tell("call", uri=b2bua.uri(f"strict-{name}"))
            outcome = b2bua.records(2 * number - 1)[-1]["outcome"]
            causes[name] = (outcome["name"], outcome["code"], outcome["sip_status"])
            assert not phones[name].events("incoming"), "nothing is said before we know to whom"
            caller.tell("call", uri=b2bua.uri(f"lax-{name}"))
            phones[name].wait_for("incoming")
            phones[name].tell("answer", status=486)
            assert b2bua.records(2 * number)[-1]["outcome"]["code"] == 3010
        b2bua.check_end()
    assert causes == {
        "untrusted": ("tls_untrusted", 11020, None),
        "expired": ("tls_expired", 11021, None),
        "misnamed": ("tls_name_mismatch", 11022, None),
    }
