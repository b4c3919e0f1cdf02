"""Whose certificate it is, by the rules of RFC 5922 section 7."""

from __future__ import annotations

from pathlib import Path

import pytest

from b2bua.certificates import read_certificate
from sip_stack.tls_identity import is_for, sip_identities, subjects
from tests.support.certificates import Authority


def certificate(*alternatives: tuple[str, str], common_name: str = "") -> dict[str, object]:
    """A certificate as `ssl` shows it."""
    shown: dict[str, object] = {}
    if common_name:
        shown["subject"] = ((("countryName", "DE"),), (("commonName", common_name),))
    if alternatives:
        shown["subjectAltName"] = alternatives
    return shown


@pytest.mark.parametrize(
    ("alternatives", "name"),
    [
        ([("DNS", "sip.example.com")], "sip.example.com"),
        ([("DNS", "SIP.Example.COM")], "sip.EXAMPLE.com"),
        ([("DNS", "sip.example.com")], "sip.example.com."),
        ([("URI", "sip:example.com")], "example.com"),
        ([("URI", "SIP:Example.com;transport=tls")], "example.com"),
        ([("URI", "sip:example.com:5061")], "example.com"),
        ([("URI", "sip:other.example"), ("URI", "sip:example.com")], "example.com"),
        ([("URI", "https://example.com"), ("DNS", "example.com")], "example.com"),
        ([("URI", "sip:alice@elsewhere.example"), ("DNS", "example.com")], "example.com"),
        ([("IP Address", "192.0.2.1")], "192.0.2.1"),
        ([("IP Address", "2001:DB8:0:0:0:0:0:1")], "2001:db8::1"),
        ([("URI", "sip:[2001:db8::1]")], "2001:db8::1"),
        ([("URI", "sip:example.com"), ("IP Address", "192.0.2.1")], "192.0.2.1"),
    ],
)
def test_it_is_for(alternatives: list[tuple[str, str]], name: str) -> None:
    assert is_for(certificate(*alternatives), name)


@pytest.mark.parametrize(
    ("alternatives", "name"),
    [
        ([("DNS", "*.example.com")], "sip.example.com"),
        ([("DNS", ".example.com")], "sip.example.com"),
        ([("DNS", "example.com")], "sip.example.com"),
        ([("DNS", "sip.example.com")], "example.com"),
        ([("DNS", "sip.example.com.evil.example")], "sip.example.com"),
        ([("DNS", "sip.example.com\0.evil.example")], "sip.example.com"),
        ([("URI", "sip:alice@example.com")], "example.com"),
        ([("URI", "sips:example.com")], "example.com"),
        ([("URI", "https://example.com")], "example.com"),
        # A DNS name counts only where there is no SIP URI.
        ([("URI", "sip:other.example"), ("DNS", "example.com")], "example.com"),
        ([("DNS", "192.0.2.1")], "192.0.2.10"),
        ([("IP Address", "192.0.2.1")], "192.0.2.2"),
        ([("email", "example.com")], "example.com"),
        ([], "example.com"),
    ],
)
def test_it_is_not_for(alternatives: list[tuple[str, str]], name: str) -> None:
    assert not is_for(certificate(*alternatives), name)


def test_the_common_name_counts_only_without_alternatives() -> None:
    assert is_for(certificate(common_name="Example.com"), "example.com")
    assert not is_for(certificate(("DNS", "other.example"), common_name="example.com"), "example.com")
    assert not is_for(certificate(("IP Address", "192.0.2.1"), common_name="example.com"), "example.com")
    assert sip_identities(certificate(common_name="Our PBX")) == ()


def test_nobody_is_named_by_no_certificate() -> None:
    assert sip_identities({}) == ()
    assert subjects({}) == ()
    assert not is_for({}, "")


def test_a_client_may_be_known_by_all_its_names() -> None:
    shown = certificate(
        ("URI", "sip:carrier.example"), ("URI", "sip:trunk-7@carrier.example"), ("DNS", "sbc1.carrier.example"),
        common_name="SBC 1",
    )  # fmt: skip
    assert subjects(shown) == (
        "carrier.example",
        "sip:carrier.example",
        "sip:trunk-7@carrier.example",
        "sbc1.carrier.example",
        "sbc 1",
    )


def test_our_own_file_is_judged_as_peers_judge_it(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("b2bua", ["b2bua.example.com", "sip:example.com", "2001:db8::1"])
    own = read_certificate(pair.certificate)
    assert own.names == (
        "example.com",
        "2001:db8::1",
        "b2bua.example.com",
        "sip:example.com",
        "somebody",
    )
    assert own.allows("example.com")
    assert own.allows("2001:db8::1")
    assert not own.allows("b2bua.example.com")
