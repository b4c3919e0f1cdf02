"""URI to targets without looking anything up (RFC 3263 sections 4.1 and 4.2)."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sip_stack.errors import RemoteError, TransportError
from sip_stack.locating import (
    NaptrRecord,
    NextHop,
    ResolutionError,
    Service,
    SrvRecord,
    in_order,
    next_hop,
    services,
    targets,
    usual_services,
)
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
    assert next_hop("sip:cc.example.com") == NextHop("cc.example.com", None, None, may_discover=True)


def test_a_parsed_uri_will_do() -> None:
    assert next_hop(parse_uri("sip:a@h:1")) == NextHop("h", 1, None)


@pytest.mark.parametrize("host", ["localhost", "h.", "_x.a-b.example", "127.1", "1.2.3.4.5", "a" * 63])
def test_host_names(host: str) -> None:
    assert next_hop(f"sip:{host}").host == host


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


# NAPTR and SRV


def naptr(order: int, preference: int, service: str, replacement: str, flags: str = "s") -> NaptrRecord:
    return NaptrRecord(order, preference, flags, service, replacement)


# As in RFC 3263 section 4.1.
EXAMPLE = [
    naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com"),
    naptr(100, 50, "SIP+D2U", "_sip._udp.example.com"),
    naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
]


def test_a_domain_says_by_naptr_which_transport_it_likes_best() -> None:
    hop = next_hop("sip:user@example.com")
    assert services(hop, ["udp", "tcp", "tls"], EXAMPLE) == [
        Service("tcp", "_sip._tcp.example.com"),
        Service("udp", "_sip._udp.example.com"),
    ]
    assert services(hop, ["udp"], EXAMPLE) == [Service("udp", "_sip._udp.example.com")]


def test_a_sips_uri_takes_nothing_but_tls_and_a_sip_uri_never_does() -> None:
    assert services(next_hop("sips:user@example.com"), ["udp", "tcp", "tls"], EXAMPLE) == [
        Service("tls", "_sips._tcp.example.com")
    ]
    assert services(next_hop("sip:user@example.com"), ["udp", "tls"], [EXAMPLE[2]]) == []


def test_within_an_order_the_preference_decides_and_what_is_not_ours_is_passed_over() -> None:
    records = [
        naptr(10, 20, "SIP+D2U", "late"),
        naptr(10, 10, "sip+d2u", "early"),
        naptr(1, 1, "SIP+D2S", "sctp"),
        naptr(1, 1, "E2U+sip", "enum", flags="u"),
        naptr(1, 1, "SIP+D2U", "addresses", flags="a"),
        naptr(1, 1, "SIP+D2U", ""),
    ]
    offered = services(next_hop("sip:h"), ["udp", "tcp"], records)
    assert [each.name for each in offered] == ["early", "late"]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:h", [Service("udp", "_sip._udp.h"), Service("tcp", "_sip._tcp.h")]),
        ("sip:h;transport=tcp", [Service("tcp", "_sip._tcp.h")]),
        ("sip:h;transport=tls", [Service("tls", "_sips._tcp.h")]),
        ("sips:h", [Service("tls", "_sips._tcp.h")]),
    ],
)
def test_the_srv_records_to_ask_for_without_naptr(uri: str, expected: list[Service]) -> None:
    assert usual_services(next_hop(uri), ["udp", "tcp", "tls"]) == expected


@pytest.mark.parametrize(
    ("uri", "may"),
    [
        ("sip:h", True),
        ("sips:h", True),
        ("sip:h:5060", False),
        ("sip:h;transport=udp", False),
        ("sips:h:5061", False),
        ("sip:192.0.2.1", False),
    ],
)
def test_who_names_a_port_or_a_transport_leaves_nothing_to_discover(uri: str, may: bool) -> None:
    assert next_hop(uri).may_discover is may


def srv(priority: int, weight: int, host: str) -> SrvRecord:
    return SrvRecord(priority, weight, 5060, host)


def test_the_lower_priority_comes_first_whatever_the_weight() -> None:
    records = [srv(20, 1000, "spare"), srv(10, 0, "main"), srv(30, 1, "last")]
    assert [each.host for each in in_order(records, lambda: 0.5)] == ["main", "spare", "last"]


def test_among_equals_the_weight_is_the_chance() -> None:
    records = [srv(1, 30, "a"), srv(1, 10, "b"), srv(1, 0, "never asked first")]
    draw = random.Random(7).random
    first = Counter(in_order(records, draw)[0].host for _ in range(4000))
    assert 2850 < first["a"] < 3150
    assert first["never asked first"] < 10


def test_weights_of_zero_are_drawn_evenly() -> None:
    records = [srv(1, 0, "a"), srv(1, 0, "b")]
    draw = random.Random(7).random
    first = Counter(in_order(records, draw)[0].host for _ in range(1000))
    assert 400 < first["a"] < 600


@pytest.mark.parametrize("lot", [0.0, 0.999999])
def test_every_record_has_its_turn_once(lot: float) -> None:
    records = [srv(priority, weight, f"{priority}-{weight}") for priority in (1, 2) for weight in (0, 1, 5)]
    assert sorted(in_order(records, lambda: lot), key=records.index) == records


def test_a_domain_without_the_service_says_so_with_a_dot() -> None:
    assert in_order([srv(0, 0, "")], lambda: 0.0) == []
