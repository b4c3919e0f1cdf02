"""Building the response to a request."""

from __future__ import annotations

import pytest

from sip_stack.errors import LocalError
from sip_stack.message import Request, parse_message, response_to

VIAS = [
    ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1,  SIP/2.0/UDP 192.0.2.2"),
    ("v", "SIP/2.0/TCP 192.0.2.3"),
]


def request(method: str = "INVITE", to: str = "<sip:b@example.com>") -> Request:
    return Request(
        method,
        "sip:b@example.com",
        [
            *VIAS,
            ("Record-Route", "<sip:p1;lr>"),
            ("Max-Forwards", "70"),
            ("f", '"A"<sip:a@example.com> ;tag=1'),
            ("To", to),
            ("Call-ID", "one"),
            ("Record-Route", "<sip:p2;lr>"),
            ("CSeq", f"1 {method}"),
            ("Timestamp", "54"),
            ("X-Other", "not copied"),
        ],
    )


def test_it_copies_what_rfc_3261_8_2_6_2_says_as_received() -> None:
    response = response_to(request("BYE"), 200, to_tag="mine", headers=[("Server", "us")], body=b"x")
    assert response.headers.items() == [
        *VIAS,
        ("f", '"A"<sip:a@example.com> ;tag=1'),
        ("To", "<sip:b@example.com>;tag=mine"),
        ("Call-ID", "one"),
        ("CSeq", "1 BYE"),
        ("Server", "us"),
    ]
    assert (response.status, response.reason, response.body) == (200, "OK", b"x")


@pytest.mark.parametrize(
    ("method", "status", "copied"),
    [
        ("INVITE", 100, False),
        ("INVITE", 180, True),
        ("INVITE", 200, True),
        ("INVITE", 486, False),
        ("SUBSCRIBE", 200, True),
        ("OPTIONS", 200, False),
    ],
)
def test_record_route_goes_into_what_may_create_a_dialog(method: str, status: int, copied: bool) -> None:
    response = response_to(request(method), status, to_tag="t")
    assert [route.uri for route in response.record_routes] == (["sip:p1;lr", "sip:p2;lr"] if copied else [])


def test_timestamp_goes_into_a_100_only() -> None:
    assert response_to(request(), 100).headers.get("Timestamp") == "54"
    assert response_to(request(), 180).headers.get("Timestamp") is None


def test_a_tag_is_added_only_where_there_is_none() -> None:
    assert response_to(request(), 100).to.tag is None
    assert response_to(request(), 180, to_tag="mine").to.tag == "mine"
    assert response_to(request(to="<sip:b@example.com>;tag=old"), 200, to_tag="mine").to.tag == "old"
    assert response_to(request(to="sip:b@example.com;x=1"), 200, to_tag="mine").to.tag == "mine"


def test_a_broken_request_can_be_answered() -> None:
    bad = Request("OPTIONS", "sip:a", [("To", '"open <sip:b>'), ("Via", "nonsense")])
    response = response_to(bad, 400, "No To", to_tag="mine")
    assert response.headers.get("To") == '"open <sip:b>'
    assert response.reason == "No To"
    assert response_to(Request("OPTIONS", "sip:a"), 400, to_tag="mine").headers.items() == []


def test_our_own_headers_are_checked() -> None:
    with pytest.raises(LocalError):
        response_to(request(), 200, headers=[("Server", "a\r\nb")])
    with pytest.raises(LocalError):
        response_to(request(), 400, "because\r\n")


def test_the_request_is_left_alone() -> None:
    original = request()
    before = original.headers.items()
    response_to(original, 200, to_tag="mine", headers=[("A", "b")]).headers.set("Via", "changed")
    assert original.headers.items() == before


def test_it_encodes_and_parses() -> None:
    response = response_to(request(), 486, to_tag="t")
    assert parse_message(response.encode()).headers.items()[:-1] == response.headers.items()
