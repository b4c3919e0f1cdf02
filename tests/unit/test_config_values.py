"""Durations, addresses, port ranges and globs, as people write them."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from b2bua.config.addresses import Listener, PortRange, parse_listener, parse_network, parse_port_range
from b2bua.config.durations import format_duration, parse_duration
from b2bua.config.glob import matches
from b2bua.config.prefix_table import PrefixTable


def suggestion_for(error: PydanticCustomError) -> object:
    assert error.context is not None
    return error.context["suggestion"]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("1.5s", 1.5), ("1m", 60), ("4h", 14400), ("0", 0), (0, 0), ("0s", 0)],
)
def test_durations(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["30", 30, "soon", "30 s", "-1s", "1w", "", None, True, False, [], "١s", 1.5]
)
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(PydanticCustomError, match="not a duration"):
        parse_duration(written)


def test_a_number_without_a_unit_is_probably_seconds() -> None:
    with pytest.raises(PydanticCustomError) as raised:
        parse_duration(30)

    assert suggestion_for(raised.value) == "30s"


@pytest.mark.parametrize("text", ["500ms", "30s", "90s", "1m", "4h", "0", "1500ms"])
def test_a_duration_is_printed_so_that_it_reads_back(text: str) -> None:
    assert parse_duration(format_duration(parse_duration(text))) == parse_duration(text)


@pytest.mark.parametrize(
    ("written", "listener"),
    [
        ("udp:127.0.0.1:5060", Listener("udp", "127.0.0.1", 5060)),
        ("udp:0.0.0.0:0", Listener("udp", "0.0.0.0", 0)),
        ("udp:[::]:5060", Listener("udp", "::", 5060)),
        ("tcp:127.0.0.1:5060", Listener("tcp", "127.0.0.1", 5060)),
        ("tcp:[::1]:0", Listener("tcp", "::1", 0)),
    ],
)
def test_listeners(written: str, listener: Listener) -> None:
    assert parse_listener(written) == listener
    assert str(listener) == written


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("tls:pbx.example.com:5061", "a listener without an IP address"),
        ("upd:127.0.0.1:5060", "not a listener"),
        ("udp:localhost:5060", "without an IP address"),
        ("udp:127.0.0.1", "not a listener"),
        ("udp:127.0.0.1:65536", "not a listener"),
        ("udp:::1:5060", "not a listener"),
        ("udp:[127.0.0.1]:5060", "not a listener"),
        (5060, "not text"),
    ],
)
def test_what_is_no_listener(written: object, why: str) -> None:
    with pytest.raises(PydanticCustomError, match=why):
        parse_listener(written)


def test_a_network_with_host_bits_suggests_the_one_around_it() -> None:
    with pytest.raises(PydanticCustomError, match="host bits") as raised:
        parse_network("10.1.2.3/8")

    assert suggestion_for(raised.value) == "10.0.0.0/8"


@pytest.mark.parametrize(
    ("written", "pairs"), [("16384-32767", 8192), ("10000-10003", 2), ("10001-10005", 2), ("10001-10004", 1)]
)
def test_only_whole_pairs_of_an_even_port_and_the_next_count(written: str, pairs: int) -> None:
    first, last = written.split("-")

    assert PortRange(int(first), int(last)).pairs == pairs


def test_port_0_takes_what_the_system_has() -> None:
    assert parse_port_range(0).is_any
    assert parse_port_range("0") == parse_port_range(0)


@pytest.mark.parametrize(
    "written", ["16384", "20000-10000", "80-90", "10000-10002", "1-70000", "a-b", [1, 2], None]
)
def test_what_is_no_range_of_ports(written: object) -> None:
    with pytest.raises(PydanticCustomError, match=r"range of ports|not text"):
        parse_port_range(written)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "", True),
        ("support", "support", True),
        ("support", "Support", False),
        ("+1555*", "+15550001", True),
        ("+1555*", "1555", False),
        ("10?", "101", True),
        ("10?", "10", False),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("a.c", "abc", False),
        ("a*", "a\nb", True),
    ],
)
def test_globs_know_star_and_question_mark_only(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


def test_the_longest_prefix_wins_in_both_families() -> None:
    table = PrefixTable(
        (parse_network(network), network)
        for network in (
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "2001:db8::/32",
            "2001:db8:1::/48",
        )
    )

    assert table.find("10.1.2.3") == "10.1.2.3"
    assert table.find("10.1.9.9") == "10.1.0.0/16"
    assert table.find("10.9.9.9") == "10.0.0.0/8"
    assert table.find("192.0.2.1") == "0.0.0.0/0"
    assert table.find("2001:db8:1::5") == "2001:db8:1::/48"
    assert table.find("2001:db8:2::5") == "2001:db8::/32"
    assert table.find("::1") is None
    assert table.find("example.com") is None


def test_an_ipv4_address_on_a_dual_stack_socket_is_an_ipv4_address() -> None:
    table = PrefixTable([(parse_network("192.0.2.0/24"), "here")])

    assert table.find("::ffff:192.0.2.7") == "here"
