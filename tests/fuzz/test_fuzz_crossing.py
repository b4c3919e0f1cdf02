"""Whatever a far end writes: what crosses can be sent and is on the lists, and a refused INVITE has its record."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from b2bua.call import cause
from b2bua.call.new_record import record_of_invite
from b2bua.call.services import Services
from b2bua.crossing import headers_for, headers_from, reasons_of
from b2bua.pass_list import pass_list
from b2bua.telemetry.json_text import json_text
from sip_stack.message import Headers, MalformedMessage, Request, Response, parse_message

NAMES = (
    "X-A",
    "x-b2bua-hops",
    "X-Twilio-A",
    "User-to-User",
    "u",
    "Identity",
    "Y",
    "P-Asserted-Identity",
    "Privacy",
)
ODD = st.text(alphabet=st.sampled_from(list(';:,="\\ \tQ.850SIPcause179x\x07é\udcff')), max_size=40)
"""NUL, CR and LF are not in it: the parser takes no message that has them in a value."""
SPECIMEN = (
    b"INVITE sip:us@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: q\r\nCSeq: 1 INVITE\r\nContact: <sip:q@192.0.2.1>\r\n"
    b"P-Called-Party-ID: <sip:e@f>\r\nSession-ID: "
    + b"0" * 31
    + b"1;remote="
    + b"0" * 32
    + b"\r\nContent-Length: 0\r\n\r\n"
)
SERVICES: Services = SimpleNamespace(  # type: ignore[assignment]
    now=lambda: 1.0,
    stack=SimpleNamespace(token=lambda: "0123456789abcdef0123"),
    bindings=SimpleNamespace(called=lambda request: None),
    node="node",
)


def received(lines: list[tuple[str, str]]) -> Response:
    """A message with these lines as if they had come from the network: without blanks around values, and unchecked."""
    return Response(200, "OK", Headers.trusted([(name, value.strip(" \t")) for name, value in lines]))


@given(st.lists(ODD, max_size=4))
def test_reasons_are_numbers_that_stacks_take(lines: list[str]) -> None:
    causes = reasons_of(received([("Reason", line) for line in lines]))
    for protocol, number in causes:
        assert number in {"Q.850": range(1, 128), "SIP": range(100, 700)}[protocol]
    assert len({protocol for protocol, _ in causes}) == len(causes)


@given(st.lists(st.tuples(st.sampled_from(NAMES), ODD), max_size=40), st.booleans(), st.booleans())
def test_what_crosses_can_be_sent_and_is_on_both_lists(
    lines: list[tuple[str, str]], one: bool, other: bool
) -> None:
    theirs, ours = pass_list(None, trusted=one), pass_list(None, trusted=other)
    passed = headers_for(headers_from(received(lines), theirs), ours)
    response = Response(200, "OK", passed)
    again = parse_message(
        response.encode().replace(b"\r\n", b"\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n", 1)
    )
    assert [header for header in again.headers.items() if header in passed] == passed
    keys = {name.lower() for name, _ in passed}
    assert keys <= {"x-a", "user-to-user", "u", "p-asserted-identity", "privacy"}
    assert ("p-asserted-identity" in keys) <= (one and other)
    assert ("privacy" in keys) <= ("p-asserted-identity" in keys)


@given(st.integers(0, len(SPECIMEN) - 1), st.binary(max_size=6), st.integers(0, 6))
def test_an_invite_that_is_refused_has_a_record(place: int, put: bytes, cut: int) -> None:
    data = SPECIMEN[:place] + put + SPECIMEN[place + cut :]
    try:
        message: object = parse_message(data)
    except MalformedMessage as malformed:
        message = malformed.request
    if isinstance(message, Request):
        record = record_of_invite(SERVICES, "trunk", message)
        record.outcome, record.ended = cause.from_refusal(400, "Bad"), record.started
        assert json_text(record.as_json()).isascii()
