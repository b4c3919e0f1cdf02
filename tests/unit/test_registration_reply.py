"""What is read in a registrar's response, and how long we wait after it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from b2bua.registration import pauses, reply
from sip_stack.message import Response, parse_message
from sip_stack.transport import Flow

CONTACT = "sip:abc@192.0.2.1:5060"
UDP = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.20", 5060), ("192.0.2.1", 5060))
TCP = Flow("tcp", ("192.0.2.1", 5060), ("203.0.113.20", 5060), ("192.0.2.1", 5060))


def response(headers: Mapping[str, str], status: int = 200, via: str = "") -> Response:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    message = parse_message(
        f"SIP/2.0 {status} Reason\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx{via}\r\n"
        "From: <sip:us@p>;tag=a\r\nTo: <sip:us@p>;tag=b\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
        f"{lines}Content-Length: 0\r\n\r\n".encode()
    )
    assert isinstance(message, Response)
    return message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Contact": f"<{CONTACT}>;expires=120"}, 120),
        ({"Contact": f"<{CONTACT};transport=udp>;expires=120", "Expires": "60"}, 120),
        ({"Contact": f"<{CONTACT}>", "Expires": "60"}, 60),
        ({"Contact": f"<sip:abc@192.0.2.2:5060>;expires=30, <{CONTACT}>;expires=90"}, 90),
        ({"Contact": f"<sip:abc@192.0.2.2:5060>;expires=30, <{CONTACT}>"}, 600),
        ({}, 600),
        ({"Expires": "0"}, 0),
        ({"Contact": f"<{CONTACT}>;expires=4294967295"}, 86_400),
        ({"Contact": f"<{CONTACT}>;expires=soon"}, 600),
        ({"Contact": "<<<"}, 600),
    ],
)
def test_how_long_we_are_remembered(headers: dict[str, str], seconds: float) -> None:
    assert reply.granted(response(headers), CONTACT, 600.0) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (423, {"Min-Expires": "1800"}, 1800),
        (423, {}, None),
        (423, {"Min-Expires": "-1"}, None),
        (423, {"Min-Expires": "4294967295"}, None),
        (200, {"Min-Expires": "1800"}, None),
    ],
)
def test_what_a_423_asks_for(status: int, headers: dict[str, str], seconds: float | None) -> None:
    assert reply.least(response(headers, status)) == seconds


@pytest.mark.parametrize(
    ("flow", "via", "contact"),
    [
        (UDP, "", CONTACT),
        (UDP, ";rport", CONTACT),
        (UDP, ";rport=5060;received=192.0.2.1", CONTACT),
        (UDP, ";rport=5060", CONTACT),
        (UDP, ";rport=4711", "sip:abc@192.0.2.1:4711"),
        (UDP, ";rport=4711;received=198.51.100.9", "sip:abc@198.51.100.9:4711"),
        (UDP, ";rport=4711;received=nonsense", CONTACT),
        (UDP, ";rport=99999;received=198.51.100.9", CONTACT),
        (TCP, ";rport=4711;received=192.0.2.1", CONTACT),
        (TCP, ";rport=4711;received=198.51.100.9", "sip:abc@198.51.100.9:4711"),
    ],
)
def test_where_we_were_seen(flow: Flow, via: str, contact: str) -> None:
    assert reply.seen_contact(response({}, via=via), CONTACT, flow) == contact


@pytest.mark.parametrize(
    ("value", "route"),
    [
        ("<sip:a;lr>, <sip:b;lr>", ("<sip:a;lr>", "<sip:b;lr>")),
        ("<sip:a>", ()),
        ("<sip:a;lr", ()),
        ("<tel:1>", ()),
        (", ".join(["<sip:a;lr>"] * 9), ()),
    ],
)
def test_the_way_that_is_wanted(value: str, route: tuple[str, ...]) -> None:
    assert reply.service_route(response({"Service-Route": value})) == route


def longest(low: float, high: float) -> float:
    return high


@pytest.mark.parametrize(
    ("failures", "status", "retry_after", "seconds"),
    [
        (1, None, None, 30),
        (2, 500, None, 60),
        (7, 500, None, 1800),
        (1000, 500, None, 1800),
        (1, 401, None, 300),
        (2, 403, None, 600),
        (1, 503, 120.0, 120),
        (1, 503, 1e9, 1800),
    ],
)
def test_pauses_grow_and_are_bounded(
    failures: int, status: int | None, retry_after: float | None, seconds: float
) -> None:
    assert pauses.after_failure(failures, status, retry_after, longest) == seconds


def test_a_refresh_leaves_time_for_another_try() -> None:
    assert pauses.before_refresh(600.0, longest) == 510.0
