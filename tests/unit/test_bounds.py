"""Every bound on what a peer can send: at the bound it is served, beyond it is refused and counted.

Bounds of transactions and sessions are in test_endpoint_limits.py, of sends in test_udp_transport.py, of calls in
tests/scenarios/test_calls_we_refuse.py, of strangers in test_admission_doorkeeper.py; the list is docs/limits.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from b2bua import record_writer
from b2bua.admission import overload, strangers
from b2bua.admission.counters import AdmissionCounters
from b2bua.call import inbox
from sip_stack.aio import udp
from sip_stack.auth import server
from sip_stack.counters import Counters
from sip_stack.message import body, check, headers, params, parser
from sip_stack.settings import EndpointSettings
from tests.support.sip_text import Alone, sip_request, statuses

SDP = b"v=0\r\n"


def padded(size: int) -> bytes:
    """An OPTIONS of that many octets."""
    empty = len(sip_request("OPTIONS", headers=["Subject: "], branch="z9hG4bKpadded"))
    return sip_request("OPTIONS", headers=["Subject: " + "x" * (size - empty)], branch="z9hG4bKpadded")


def with_header_lines(count: int) -> bytes:
    own = sip_request("OPTIONS").count(b"\r\n") - 2
    return sip_request("OPTIONS", headers=[f"X-Line: {number}" for number in range(count - own)])


def with_uri(length: int) -> bytes:
    return sip_request("OPTIONS", uri="sip:" + "x" * (length - len("sip:@h")) + "@h")


def with_routes(count: int) -> bytes:
    return sip_request("OPTIONS", headers=["Route: " + ", ".join(["<sip:h;lr>"] * count)])


def with_parameters(count: int) -> bytes:
    via = "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKparams" + "".join(f";p{n}" for n in range(count - 1))
    return sip_request("OPTIONS", via=via)


def nested(depth: int) -> bytes:
    """An INVITE whose SDP is so many multiparts deep."""
    body, content_type = SDP, "application/sdp"
    for level in range(depth):
        head = f"--b{level}\r\nContent-Type: {content_type}\r\n\r\n".encode()
        body, content_type = (
            head + body + f"\r\n--b{level}--\r\n".encode(),
            f"multipart/mixed;boundary=b{level}",
        )
    return sip_request("INVITE", body=body, content_type=content_type)


def with_parts(count: int) -> bytes:
    parts = b"".join(b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" for _ in range(count - 1))
    body = parts + b"--b\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--b--\r\n"
    return sip_request("INVITE", body=body, content_type="multipart/mixed;boundary=b")


BOUNDS = [
    pytest.param(padded, 65_535, 200, None, "parse_errors", id="octets of a message"),
    pytest.param(with_header_lines, 256, 200, 400, "refused", id="header lines"),
    pytest.param(with_uri, 4_096, 200, 414, "refused", id="characters of the Request-URI"),
    pytest.param(with_routes, 256, 200, 400, "refused", id="values of a header"),
    pytest.param(with_parameters, 256, 200, 400, "refused", id="parameters"),
    pytest.param(nested, 4, 100, 415, "refused", id="multiparts within multiparts"),
    pytest.param(with_parts, 32, 100, 400, "refused", id="parts of a body"),
]


@pytest.mark.parametrize(("make", "bound", "served", "refused", "counter"), BOUNDS)
def test_at_the_bound_a_request_is_served_and_beyond_it_refused_and_counted(
    make: Callable[[int], bytes], bound: int, served: int, refused: int | None, counter: str
) -> None:
    alone = Alone()

    assert statuses(alone.receive(make(bound))) == [served]
    assert getattr(alone.endpoint.counters, counter) == 0
    assert statuses(alone.receive(make(bound + 1))) == ([] if refused is None else [refused])
    assert getattr(alone.endpoint.counters, counter) == 1


PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text(encoding="utf-8")
SETTINGS = EndpointSettings()


@pytest.mark.parametrize(
    ("row", "bound"),
    [
        ("octets of a message", parser.MAX_MESSAGE),
        ("header lines of a message", headers.MAX_HEADERS),
        ("characters of a Request-URI", check.MAX_URI),
        ("values of a header, parameters of a value", params.MAX_VALUES),
        ("multiparts within multiparts", body.MAX_DEPTH),
        ("parts of a multipart body", body.MAX_PARTS),
        ("transactions, lingering ones included", SETTINGS.max_transactions),
        ("SIP sessions", SETTINGS.max_sessions),
        ("sources remembered", strangers.MAX_SOURCES),
        ("digest nonces in use", server._MAX_NONCES),
        ("datagrams that wait to be sent", udp.MAX_QUEUED),
        ("events that wait for a call", inbox.CAPACITY),
        ("call records that wait to be written", record_writer.CAPACITY),
    ],
)
def test_the_page_tells_the_bound(row: str, bound: int) -> None:
    assert f"| {row} | {bound:,} |" in PAGE


def test_the_page_tells_what_overload_is() -> None:
    assert f"Beyond {overload.MAX_LAG * 1000:.0f} ms or {overload.MAX_BUSY:.0%}" in PAGE.replace(
        "95 %", "95%"
    )
    assert f"each may always start {overload.MIN_LEVEL:.0f} calls" in PAGE.replace("\n  ", " ")
    assert f"| {strangers.MAX_FAILURES} in {strangers.FAILURE_WINDOW:.0f} s |" in PAGE


def test_the_counters_of_the_page_exist() -> None:
    rows = [line.split("|") for line in PAGE.partition("## Bounds")[2].splitlines() if line.startswith("| ")]
    named = {word.strip(" `") for cells in rows[1:] for word in cells[4].split(",") if "`" in word}

    assert named - {"dropped", "held"} <= {*Counters.__slots__, *AdmissionCounters.__slots__}
