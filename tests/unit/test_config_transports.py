"""Listeners, routes and audio must fit together: a transport that is dialled is listened on, families have audio."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import DESTINATIONS, MAIN, ConfigFiles

BY_TCP = DESTINATIONS + (
    "by-tcp:\n  method: invite\n  encryption: udp/rtp\n"
    "  route: [sip:a@pbx.example.com, 'sip:b@[2001:db8::1]:5070;transport=TCP']\n"
)


def listening(*listeners: str, media: str = "") -> str:
    quoted = ", ".join(f'"{listener}"' for listener in listeners)
    return MAIN.replace("listen: [udp:127.0.0.1:0]", f"listen: [{quoted}]") + media


def test_a_route_over_tcp_needs_a_tcp_listener(tmp_path: Path) -> None:
    assert ConfigFiles(tmp_path, destinations=BY_TCP).texts() == [
        "destinations.yaml:9:34: by-tcp.route[1]: needs a listener for tcp; "
        "found 'sip:b@[2001:db8::1]:5070;transport=TCP'; allowed: tcp:… in sip.listen"
    ]


def test_with_one_it_loads(tmp_path: Path) -> None:
    main = listening("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "tcp:[::1]:5060")
    configuration = ConfigFiles(tmp_path, main, BY_TCP).load()
    assert [str(listener) for listener in configuration.sip.listen] == [
        "udp:127.0.0.1:5060",
        "tcp:127.0.0.1:5060",
        "tcp:[::1]:5060",
    ]


def test_a_route_over_udp_needs_a_udp_listener(tmp_path: Path) -> None:
    (text,) = ConfigFiles(tmp_path, listening("tcp:127.0.0.1:0")).texts()
    assert "desk.route: needs a listener for udp" in text


def test_what_numbers_are_dialled_through_needs_its_listener_too(tmp_path: Path) -> None:
    main = MAIN.replace(
        "trunks:\n", "trunks:\n  gateway: {outbound: {uri: 'sip:gw.example.com;transport=tcp'}}\n"
    )
    (text,) = ConfigFiles(tmp_path, main).texts()
    assert "trunks.gateway.outbound.uri: needs a listener for tcp" in text


@pytest.mark.parametrize("listener", ["udp:127.0.0.1:5060", "tcp:[::1]:5060"])
def test_the_same_listener_twice(tmp_path: Path, listener: str) -> None:
    (text,) = ConfigFiles(tmp_path, listening(listener, listener)).texts()
    assert "listen names an address and port twice" in text


@pytest.mark.parametrize(
    ("address", "warnings"),
    [
        ("0.0.0.0", ["media.address 0.0.0.0 takes no audio from IPv6 peers"]),
        ("127.0.0.1", ["media.address 127.0.0.1 takes no audio from IPv6 peers"]),
        ("::1", ["media.address ::1 takes no audio from IPv4 peers"]),
        ("::", []),
    ],
)
def test_peers_of_both_families_need_audio_for_both(
    tmp_path: Path, address: str, warnings: list[str]
) -> None:
    main = listening("udp:127.0.0.1:0", "udp:[::1]:0", media=f'media: {{address: "{address}"}}\n')
    loaded = ConfigFiles(tmp_path, main).load()
    assert [warning.message.partition(";")[0] for warning in loaded.warnings] == warnings


@pytest.mark.parametrize(
    ("more", "warned"),
    [("", True), ("media: {srtp: {keys_in_clear: true}}\n", False)],
)
def test_a_trunk_whose_audio_must_be_encrypted_needs_tls_for_the_keys(
    tmp_path: Path, more: str, warned: bool
) -> None:
    main = MAIN.replace(
        "trunks:\n", "trunks:\n  secure: {accept: {addresses: [192.0.2.9]}, srtp: required}\n"
    )
    told = [str(each) for each in ConfigFiles(tmp_path, main + more).load().warnings]
    assert any("trunks.secure.srtp: every call is refused" in each for each in told) is warned
