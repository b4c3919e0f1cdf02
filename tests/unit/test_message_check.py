"""What a request and a response must have before anybody acts on them."""

from __future__ import annotations

import pytest

from sip_stack.errors import RemoteError
from sip_stack.message import MAX_URI, Request, Response, check_request, check_response

LINES = {
    "Via": "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1",
    "From": "<sip:a@example.com>;tag=1",
    "To": "<sip:b@example.com>",
    "Call-ID": "one",
    "CSeq": "1 INVITE",
    "Contact": "<sip:a@192.0.2.1>",
}


def request(uri: str = "sip:b@example.com", method: str = "INVITE", **changes: str) -> Request:
    lines = LINES | {name.replace("_", "-"): value for name, value in changes.items()}
    return Request(method, uri, [(name, value) for name, value in lines.items() if value])


def refusal(bad: Request) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        check_request(bad)
    return caught.value


@pytest.mark.parametrize(
    "uri", ["sip:b@example.com", "sips:b@example.com", "tel:+15551230000", "sip:b@[2001:db8::1]:5060;lr"]
)
def test_a_good_request_passes(uri: str) -> None:
    check_request(request(uri))


def test_max_forwards_contact_and_tag_may_be_missing() -> None:
    check_request(request(Contact="", From="<sip:a@example.com>"))


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_mandatory_header_is_missing(name: str) -> None:
    error = refusal(request(**{name: ""}))
    assert (error.status_hint, error.reason) == (400, f"Missing {name}")


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, LINES[name]) for name in ("From", "To", "Call-ID", "CSeq")]
    + [("Max-Forwards", "70"), ("Content-Type", "application/sdp")],
)
def test_a_single_header_is_repeated(name: str, value: str) -> None:
    bad = request()
    bad.headers.set(name, value)
    bad.headers.add(name, value)
    assert refusal(bad).status_hint == 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Via", "SIP/2.0/UDP 192.0.2.1:65536"),
        ("Via", "SIP/2.0/UDP 192.0.2.1;;,;,,"),
        ("From", '"open <sip:a@b>'),
        ("From", "a@example.com"),
        ("To", "<sip:b@example.com:0>"),
        ("CSeq", "1 BYE"),
        ("CSeq", "4294967296 INVITE"),
        ("Max-Forwards", "256"),
        ("Contact", "sip:a@192.0.2.1?Route=x"),
        ("Contact", "<sip:a@192.0.2.1>, <sip:b@192.0.2.1:70000>"),
        ("Record-Route", "<sip:p:0;lr>"),
        ("Route", "<sip:p"),
        ("Content-Type", "sdp"),
    ],
)
def test_a_header_is_malformed(name: str, value: str) -> None:
    bad = request()
    bad.headers.set(name, value)
    assert refusal(bad).status_hint == 400


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("isbn:2983792873", 416),
        ("http://example.com", 416),
        ("sip:b@example.com?Route=x", 400),
        ("<sip:b@example.com>", 400),
        (" sip:b@example.com", 400),
        ("sip:b@example.com:0", 400),
        ("example.com", 400),
        ("sip:" + "b" * MAX_URI + "@example.com", 414),
    ],
)
def test_the_request_uri_is_refused(uri: str, status: int) -> None:
    assert refusal(request(uri)).status_hint == status


def test_the_method_must_be_a_token() -> None:
    assert refusal(request(method="IN(VITE", CSeq="1 IN(VITE")).status_hint == 400


@pytest.mark.parametrize(("version", "status"), [("SIP/7.0", 505), ("SIP/1.0", 505)])
def test_another_version(version: str, status: int) -> None:
    bad = request()
    bad.version = version
    assert refusal(bad).status_hint == status


def test_the_version_is_compared_without_case() -> None:
    good = request()
    good.version = "sip/2.0"
    check_request(good)


def test_a_star_contact_passes() -> None:
    check_request(request(method="REGISTER", CSeq="1 REGISTER", Contact="*"))


def test_responses() -> None:
    good = Response(200, headers=LINES.items())
    check_response(good)
    for name, value in (("Contact", "<sip:a@b:0>"), ("CSeq", "99999999999 INVITE"), ("To", "")):
        bad = Response(200, headers=LINES.items())
        bad.headers.set(name, value)
        with pytest.raises(RemoteError):
            check_response(bad)
