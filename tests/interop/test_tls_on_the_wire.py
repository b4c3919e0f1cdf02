"""One B2BUA calls another over TLS with SRTP, a phone in clear at either end: the password, and what is on the wire."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.audio import dominant_frequency, sound
from tests.support.b2bua_process import B2bua
from tests.support.certificates import Authority
from tests.support.pjsua2_peer import PjsuaPhone
from tests.support.ports import LOOPBACK
from tests.support.processes import wait_until
from tests.support.tshark import Capture

LOGIN = {"username": "acme", "password": "s3cret-of-acme"}
LISTEN = [f"udp:{LOOPBACK}:0", f"tls:{LOOPBACK}:0"]
ALICE, BOB = 440, 620


def check_wire(wire: Capture, alice: PjsuaPhone, bob: PjsuaPhone, near: B2bua, far: B2bua) -> None:
    """Between the two nothing is in clear; what is in clear elsewhere shows that it would have been seen."""
    between = f"tcp.port=={far.host_port_of('tls').rpartition(':')[2]}"
    as_tls = (f"{between},tls",)
    assert wire.count(f'{between} && frame contains "SIP/2.0"') == 0
    assert wire.count(f"{between} && tls.app_data", decode=as_tls) > 6
    in_clear = " || ".join(f"udp.port=={port}" for port in (alice.settings.port, bob.settings.port))
    as_sip = tuple(f"udp.port=={phone.settings.port},sip" for phone in (alice, bob))
    assert wire.count(f"({in_clear}) && sip", decode=as_sip) > 6
    assert wire.count(f"({in_clear}) && _ws.malformed", decode=as_sip) == 0

    def audio(shown: str) -> set[str]:
        """The payloads (20 ms of PCMU) of RTP packets."""
        return {text[24 : 24 + 320] for (text,) in wire.fields(shown, "udp.payload") if len(text) >= 344}

    ours, theirs = media_ports(near), media_ports(far)
    said = audio(f"udp.srcport=={alice.settings.media_port} && {ports('dst', ours)}")
    heard = audio(f"{ports('src', theirs)} && udp.dstport=={bob.settings.media_port}")
    protected = audio(f"{ports('src', ours)} && {ports('dst', theirs)}")
    assert said & heard, "audio in clear on the outer legs, unchanged: what we look for can be found"
    assert len(protected) > 40, "every packet looks different"
    assert not said & protected


def media_ports(b2bua: B2bua) -> tuple[int, int]:
    """The first and last of its ports for audio."""
    first, _, last = json.loads((b2bua.cdr.parent / "b2bua.yaml").read_text())["media"]["ports"].partition(
        "-"
    )
    return int(first), int(last)


def ports(which: str, span: tuple[int, int]) -> str:
    """A display filter for UDP packets from (`src`) or to (`dst`) these ports."""
    return f"udp.{which}port>={span[0]} && udp.{which}port<={span[1]}"


def test_certificate_password_and_srtp_between_two_of_us(tmp_path: Path) -> None:
    """The second knows the first by certificate and password alone, and takes no audio in clear."""
    ca = Authority(tmp_path)
    folders = [tmp_path / "near", tmp_path / "far"]
    sips = []
    for folder in folders:
        folder.mkdir()
        pair = ca.issue(folder.name, [LOOPBACK], common_name=f"{folder.name}-b2bua")
        tls = {"certificate": pair.certificate, "private_key": pair.key, "ca": ca.file}
        sips.append({"listen": LISTEN, "tls": tls})
    near_trunk = {"accept": {"tls_subject": "near-b2bua", "auth": LOGIN}, "srtp": "required"}
    far_main = {"sip": sips[1], "trunks": {"sbc": near_trunk}}
    with (
        Capture(tmp_path) as wire,
        PjsuaPhone(tmp_path, "bob", BOB) as bob,
        B2bua(folders[1], {"bob": {"route": bob.uri}}, media_ports=40, main=far_main) as far,
    ):
        route = f"sip:bob@{far.host_port_of('tls')}"
        places = {
            "bob": {"route": route, "encryption": "tls/srtp", "auth": LOGIN},
            "wrong": {
                "route": route,
                "encryption": "tls/srtp",
                "auth": {**LOGIN, "password": "a-wrong-guess"},
            },
            "plain": {"route": route, "encryption": "tls/rtp", "auth": LOGIN},
        }
        with (
            B2bua(folders[0], places, media_ports=40, main={"sip": sips[0]}) as near,
            PjsuaPhone(tmp_path, "alice", ALICE) as alice,
        ):
            alice.tell("call", uri=near.uri("bob"))
            bob.wait_for("incoming")
            bob.tell("answer", status=200)
            alice.wait_for_state("CONFIRMED")
            wait_until(
                lambda: min(alice.heard_so_far(), bob.heard_so_far()) > 1.2, 15.0, "1.2 s are recorded"
            )
            alice.tell("hangup")
            bob.wait_for_state("DISCONNECTED")
            good = near.records(1)[-1]
            wire.stop()
            check_wire(wire, alice, bob, near, far)
            codes = []
            for number, name in enumerate(("wrong", "plain"), 2):
                alice.tell("call", uri=near.uri(name))
                codes.append(near.records(number)[-1]["outcome"]["code"])
            assert dominant_frequency(sound(alice.quit())) == pytest.approx(BOB, abs=2)
            near.check_end()
        assert dominant_frequency(sound(bob.quit())) == pytest.approx(ALICE, abs=2)
        far_record = far.records(1)[0]
        far.check_end()
    assert good["outcome"]["code"] == 4000
    assert good["attempts"][0]["challenged"] is not None
    assert {leg["role"]: leg["encryption"] for leg in good["legs"]} == {
        "caller": "udp/rtp",
        "agent": "tls/srtp",
    }
    assert {leg["role"]: leg["encryption"] for leg in far_record["legs"]} == {
        "caller": "tls/srtp",
        "agent": "udp/rtp",
    }
    assert codes == [4240, 11030], "a wrong password; audio in clear where it is not taken"
