"""REFER and its NOTIFYs as values: written as the RFCs say, read as peers write them."""

from __future__ import annotations

import pytest

from sip_stack.dialog.refer import (
    event_package,
    is_terminated,
    read_refer_to,
    read_sipfrag,
    refer_to,
    sipfrag,
    wants_no_subscription,
)
from sip_stack.errors import RemoteError
from sip_stack.message import Request


def refer(*values: str, **headers: str) -> Request:
    lines = [("Refer-To", value) for value in values]
    lines += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request("REFER", "sip:us@192.0.2.1", lines)


def test_a_destination_with_headers() -> None:
    found = read_refer_to(
        refer("<sip:billing@192.0.2.1?X-Reason=late%20bill&User-to-User=abc%3Bencoding%3Dhex>")
    )
    assert (found.uri, found.user, found.host, found.method) == (
        "sip:billing@192.0.2.1",
        "billing",
        "192.0.2.1",
        "INVITE",
    )
    assert found.headers == (("X-Reason", "late bill"), ("User-to-User", "abc;encoding=hex"))
    assert found.replaces is None


def test_headers_without_the_brackets_that_they_need() -> None:
    found = read_refer_to(refer("sip:billing@192.0.2.1:5070?X-Reason=refund"))
    assert (found.uri, found.headers) == ("sip:billing@192.0.2.1:5070", (("X-Reason", "refund"),))


def test_an_attended_transfer_keeps_its_replaces_apart() -> None:
    found = read_refer_to(refer("<sip:bob@192.0.2.2?Replaces=abc%40x%3Bto-tag%3D1%3Bfrom-tag%3D2>"))
    assert found.replaces == "abc@x;to-tag=1;from-tag=2"
    assert found.headers == ()


def test_a_telephone_number() -> None:
    found = read_refer_to(refer("<tel:+15551230000>"))
    assert (found.user, found.host) == ("+15551230000", "")


@pytest.mark.parametrize("values", [(), ("<sip:a@x>", "<sip:b@x>"), ("nonsense",), ("<sip:>",)])
def test_what_is_no_single_target_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(RemoteError) as caught:
        read_refer_to(refer(*values))
    assert caught.value.status_hint == 400


def test_another_scheme_is_416() -> None:
    with pytest.raises(RemoteError) as caught:
        read_refer_to(refer("<http://example.com>"))
    assert caught.value.status_hint == 416


def test_written_headers_come_back_as_they_were() -> None:
    headers = [("X-Reason", "50% & more; = ?"), ("User-to-User", "00ff;encoding=hex")]
    found = read_refer_to(refer(refer_to("sip:queue@192.0.2.9;transport=udp", headers)))
    assert found.headers == tuple(headers)
    assert found.uri == "sip:queue@192.0.2.9;transport=udp"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"SIP/2.0 200 OK\r\n", 200),
        (b"SIP/2.0 100 Trying", 100),
        (b"SIP/2.0 486", 486),
        (b"\r\nSIP/2.0 603 Decline\r\nContact: <sip:x>\r\n", 603),
        (b"", None),
        (None, None),
        (b"SIP/2.0 2000 no", None),
        (b"hello", None),
    ],
)
def test_sipfrags_are_read_leniently(body: bytes | None, status: int | None) -> None:
    assert read_sipfrag(body) == status


def test_a_sipfrag_is_a_status_line() -> None:
    assert sipfrag(486) == b"SIP/2.0 486 Busy Here\r\n"


def test_a_referrer_may_ask_not_to_be_told() -> None:
    assert wants_no_subscription(refer("<sip:a@x>", Refer_Sub="false"))
    assert not wants_no_subscription(refer("<sip:a@x>", Refer_Sub="true"))
    assert not wants_no_subscription(refer("<sip:a@x>"))


def test_the_state_and_package_of_a_notify() -> None:
    notify = Request(
        "NOTIFY", "sip:us@x", [("Event", "refer; id=2"), ("Subscription-State", "terminated;reason=x")]
    )
    assert event_package(notify) == ("refer", "2")
    assert is_terminated(notify)
    assert event_package(Request("NOTIFY", "sip:us@x", [])) is None
    assert not is_terminated(Request("NOTIFY", "sip:us@x", []))
