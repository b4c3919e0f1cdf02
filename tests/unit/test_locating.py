"""URI to targets without looking anything up (RFC 3263 sections 4.1 and 4.2)."""

from __future__ import annotations

import pytest

from sip_stack.errors import RemoteError, TransportError
from sip_stack.locating import NextHop, ResolutionError, next_hop, targets
from sip_stack.message import parse_uri
from sip_stack.transport import Target


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:a@192.0.2.1", Target("udp", "192.0.2.1", 5060, "192.0.2.1")),
        ("sip:a@192.0.2.1:5070", Target("udp", "192.0.2.1", 5070, "192.0.2.1")),
        ("sip:a@192.0.2.1;transport=tcp", Target("tcp", "192.0.2.1", 5060, "192.0.2.1")),
        ("sip:a@192.0.2.1;transport=TLS", Target("tls", "192.0.2.1", 5061, "192.0.2.1")),
        ("sip:a@192.0.2.1:5060;transport=tls", Target("tls", "192.0.2.1", 5060, "192.0.2.1")),
        ("sips:a@192.0.2.1", Target("tls", "192.0.2.1", 5061, "192.0.2.1")),
        ("sips:a@192.0.2.1;transport=tcp", Target("tls", "192.0.2.1", 5061, "192.0.2.1")),
        ("sip:a@[2001:db8::1]:5070", Target("udp", "2001:db8::1", 5070, "2001:db8::1")),
        ("sip:[2001:db8::1]", Target("udp", "2001:db8::1", 5060, "2001:db8::1")),
        ("sip:a@cc.example.com;maddr=192.0.2.9", Target("udp", "192.0.2.9", 5060, "192.0.2.9")),
        ("sip:a@cc.example.com;maddr=[2001:db8::9]", Target("udp", "2001:db8::9", 5060, "2001:db8::9")),
        ("sip:a@192.0.2.1;transport=", Target("udp", "192.0.2.1", 5060, "192.0.2.1")),
    ],
)
def test_a_numeric_host_is_its_own_target(uri: str, expected: Target) -> None:
    hop = next_hop(uri)
    assert hop.is_numeric
    assert targets(hop, [hop.host]) == [expected]


def test_a_name_keeps_the_order_of_its_addresses_and_is_remembered_for_tls() -> None:
    hop = next_hop("sip:a@cc.example.com:5081;transport=tls")
    assert hop == NextHop("cc.example.com", 5081, "tls")
    assert not hop.is_numeric
    assert targets(hop, ["192.0.2.2", "2001:db8::1", "192.0.2.1"]) == [
        Target("tls", "192.0.2.2", 5081, "cc.example.com"),
        Target("tls", "2001:db8::1", 5081, "cc.example.com"),
        Target("tls", "192.0.2.1", 5081, "cc.example.com"),
    ]


def test_what_the_uri_leaves_open_stays_open_until_the_targets_are_made() -> None:
    assert next_hop("sip:cc.example.com") == NextHop("cc.example.com", None, None)


def test_a_parsed_uri_will_do() -> None:
    assert next_hop(parse_uri("sip:a@h:1")) == NextHop("h", 1, None)


@pytest.mark.parametrize("host", ["localhost", "h.", "_x.a-b.example", "127.1", "1.2.3.4.5", "a" * 63])
def test_host_names(host: str) -> None:
    assert next_hop(f"sip:{host}") == NextHop(host, None, None)


@pytest.mark.parametrize(
    "uri",
    [
        "tel:+15551230000",
        "http://example.com",
        "sip:h;transport=ws",
        "sip:h;transport=sctp",
        "sips:h;transport=udp",
        "sip:a..b",
        f"sip:{'a' * 64}",
        f"sip:{'a.' * 127}a",
        "sip:h;maddr=%20",
        "sip:h;maddr=caf%C3%A9.example",
        f"sip:h;transport={'x' * 500}",
    ],
)
def test_uris_that_lead_nowhere(uri: str) -> None:
    with pytest.raises(ResolutionError) as caught:
        next_hop(uri)
    assert isinstance(caught.value, TransportError)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("uri", ["", "sip:", "nonsense", "sip:h:0", "sip:h:65536"])
def test_text_that_is_no_uri(uri: str) -> None:
    with pytest.raises(RemoteError):
        next_hop(uri)
