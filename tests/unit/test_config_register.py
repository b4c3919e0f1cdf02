"""`register` in a trunk's `outbound`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import MAIN, ConfigFiles

AUTH = "auth: {username: us, password: secret-of-ours}, "


def outbound(register: str, auth: str = AUTH, uri: str = "sip:gw.example.com") -> str:
    line = f"  gateway: {{outbound: {{uri: '{uri}', {auth}register: {register}}}}}\n"
    return MAIN.replace("trunks:\n", "trunks:\n" + line).replace(
        "routes:\n", "routes:\n  - {trunk: gateway, destination: desk}\n"
    )


def test_true_registers_the_account_at_the_uri(tmp_path: Path) -> None:
    loaded = ConfigFiles(tmp_path, outbound("true")).load()
    trunk = loaded.trunks["gateway"]
    assert trunk.registers
    assert trunk.outbound is not None
    assert (trunk.outbound.register_user, trunk.outbound.registrars) == ("us", ("sip:gw.example.com",))
    assert trunk.outbound.registration is not None
    assert trunk.outbound.registration.expires == 600
    assert loaded.warnings == ()


def test_false_does_not(tmp_path: Path) -> None:
    assert not ConfigFiles(tmp_path, outbound("false", auth="")).load().trunks["gateway"].registers


def test_a_mapping_says_how(tmp_path: Path) -> None:
    register = "{registrar: ['sip:a.example.com', 'sip:b.example.com:5070'], user: alice, expires: 1h}"
    found = ConfigFiles(tmp_path, outbound(register)).load().trunks["gateway"].outbound
    assert found is not None
    assert (found.register_user, found.registrars) == (
        "alice",
        ("sip:a.example.com", "sip:b.example.com:5070"),
    )


@pytest.mark.parametrize(
    ("main", "problem"),
    [
        (outbound("true", auth=""), "register does not say whom we register"),
        (
            outbound("{expires: 10s}"),
            "outbound.register.expires: out of range; found '10s'; allowed: 1m to 24h",
        ),
        (outbound("{expiry: 1m}"), "outbound.register.expiry: unknown key"),
        (outbound("{registrar: []}"), "outbound.register.registrar"),
        (outbound("{registrar: 'sip:u@a.example'}"), "outbound.register.registrar: a URI with a user"),
        (outbound("{registrar: 'sip:a.example;transport=tcp'}"), "registrar: needs a listener for tcp"),
        (outbound("yes please"), "outbound.register"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, main: str, problem: str) -> None:
    (text,) = ConfigFiles(tmp_path, main).texts()
    assert problem in text
