"""`outbound_proxy` and `route_set`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.config_files import DESTINATIONS, ConfigFiles


def test_proxies_are_loose_routers_in_order(tmp_path: Path) -> None:
    keys = "  outbound_proxy: sip:edge.example.com:5070\n  route_set: [sip:core.example.com;lr]\n"
    desk = ConfigFiles(tmp_path, destinations=DESTINATIONS + keys).load().destinations["desk"]
    assert desk.proxies == ("sip:edge.example.com:5070;lr", "sip:core.example.com;lr")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("  outbound_proxy: edge.example.com\n", "desk.outbound_proxy"),
        ("  outbound_proxy: sip:us@edge.example.com\n", "desk.outbound_proxy: a URI with a user"),
        (
            "  outbound_proxy: sip:edge.example.com;transport=tcp\n",
            "outbound_proxy: needs a listener for tcp",
        ),
        (
            "  outbound_proxy: sips:edge.example.com\n",
            "outbound_proxy: sips: needs TLS, and udp/rtp is unencrypted",
        ),
        ("  route_set: ['sip:edge.example.com;transport=tls']\n", "route_set[0]: transport=tls needs TLS"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, keys: str, problem: str) -> None:
    (text,) = ConfigFiles(tmp_path, destinations=DESTINATIONS + keys).texts()
    assert problem in text


def test_who_is_not_dialled_has_no_proxy(tmp_path: Path) -> None:
    bye = "back:\n  method: bye\n  outbound_proxy: sip:edge.example.com\n"
    (text,) = ConfigFiles(tmp_path, destinations=DESTINATIONS + bye).texts()
    assert "back.outbound_proxy: not a key of method bye" in text
