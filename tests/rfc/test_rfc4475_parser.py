"""The RFC 4475 torture messages against `parse_message` and the checks.

Provenance in data/rfc4475/NOTE.md. Each of the 49 messages has its verdict here; where the RFC leaves a
choice between repairing and refusing, this table is what we chose: refuse, except for blanks behind the
Request-Line. What the endpoint then does (405, 415, 420, 481...) is tested with the endpoint.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest

from sip_stack.errors import RemoteError
from sip_stack.message import (
    MalformedMessage,
    OtherUri,
    Request,
    Response,
    SipUri,
    check_request,
    check_response,
    parse_message,
    response_to,
)
from sip_stack.transaction.key import server_key

DATA = Path(__file__).parent / "data" / "rfc4475"


@dataclass(frozen=True)
class Refused:
    """The status to answer a request with; a response so refused is dropped."""

    status: int


@dataclass(frozen=True)
class Unreadable:
    """Refused by `parse_message` already."""

    status: int


GOOD = None

VERDICTS: dict[str, Refused | Unreadable | None] = {
    # 3.1.1 valid messages
    "wsinv": GOOD,
    "intmeth": GOOD,
    "esc01": GOOD,
    "escnull": GOOD,
    "esc02": GOOD,
    "lwsdisp": GOOD,
    "longreq": GOOD,
    "dblreq": GOOD,
    "semiuri": GOOD,
    "transports": GOOD,
    "mpart01": GOOD,
    "unreason": GOOD,
    "noreason": GOOD,
    # 3.1.2 invalid messages
    "badinv01": Refused(400),
    "clerr": Unreadable(400),
    "ncl": Unreadable(400),
    "scalar02": Refused(400),
    "scalarlg": Refused(400),
    "quotbal": Refused(400),
    "ltgtruri": Refused(400),
    "lwsruri": Refused(400),
    "lwsstart": Refused(400),
    "trws": GOOD,  # repaired: the blanks are dropped
    "escruri": Refused(400),
    "baddate": GOOD,  # we do not read Date
    "regbadct": Refused(400),
    "badaspec": Refused(400),
    "baddn": Refused(400),
    "badvers": Refused(505),
    "mismatch01": Refused(400),
    "mismatch02": Refused(400),
    "bigcode": Unreadable(400),
    # 3.2 transaction layer: the transaction falls back on RFC 2543 matching
    "badbranch": GOOD,
    # 3.3 application layer
    "insuf": Refused(400),
    "unkscm": Refused(416),
    "novelsc": Refused(416),
    "unksm2": GOOD,
    "bext01": GOOD,
    "invut": GOOD,
    "regaut01": GOOD,
    "multi01": Refused(400),
    "mcl01": Unreadable(400),
    "bcast": GOOD,
    "zeromf": GOOD,
    "cparam01": GOOD,
    "cparam02": GOOD,
    "regescrt": GOOD,
    "sdp01": GOOD,
    # 3.4 backward compatibility
    "inv2543": GOOD,
}


def octets(name: str) -> bytes:
    return (DATA / f"{name}.dat").read_bytes()


def read(name: str) -> Request | Response:
    return parse_message(octets(name))


def read_request(name: str) -> Request:
    message = read(name)
    assert isinstance(message, Request)
    return message


def check(message: Request | Response) -> None:
    if isinstance(message, Request):
        check_request(message)
    else:
        check_response(message)


def test_every_message_of_the_rfc_has_a_verdict() -> None:
    with (DATA / "expected.csv").open(newline="") as file:
        listed = {row["file"].removesuffix(".dat") for row in csv.DictReader(file)}
    assert listed - {"test"} == set(VERDICTS)
    assert {path.stem for path in DATA.glob("*.dat")} == listed
    assert len(VERDICTS) == 49


@pytest.mark.parametrize("name", VERDICTS)
def test_verdict(name: str) -> None:
    match VERDICTS[name]:
        case Unreadable(status):
            with pytest.raises(MalformedMessage) as unreadable:
                read(name)
            assert unreadable.value.status_hint == status
        case Refused(status):
            message = read(name)
            with pytest.raises(RemoteError) as refused:
                check(message)
            assert refused.value.status_hint == status
        case _:
            check(read(name))


@pytest.mark.parametrize(
    "name", [name for name, verdict in VERDICTS.items() if not isinstance(verdict, Unreadable)]
)
def test_what_was_read_is_printed_so_that_it_reads_the_same(name: str) -> None:
    message = read(name)
    again = parse_message(message.encode())
    assert again.start_line == message.start_line
    assert again.body == message.body
    printed = [item for item in again.headers.items() if item[0].lower() not in ("l", "content-length")]
    assert printed == [
        item for item in message.headers.items() if item[0].rstrip().lower() not in ("l", "content-length")
    ]


@pytest.mark.parametrize("name", ["clerr", "ncl", "mcl01"])
def test_a_request_with_a_broken_body_can_still_be_answered(name: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        read(name)
    request = caught.value.request
    assert request is not None
    answer = response_to(request, caught.value.status_hint, to_tag="t")
    check_response(answer)
    assert answer.call_id.startswith(name)


def test_the_stray_file_of_the_archive_does_no_harm() -> None:
    with pytest.raises(MalformedMessage):
        read("test")


def test_wsinv_a_short_tortuous_invite() -> None:
    request = read_request("wsinv")
    assert request.to.tag == "1918181833n"
    assert request.from_.display == 'J Rosenberg \\"'
    assert request.from_.tag == "98asjd8"
    assert request.max_forwards == 68
    assert str(request.cseq) == "9 INVITE"
    assert [(via.transport, via.host, via.branch) for via in request.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert request.headers.get("Subject") == ""
    assert request.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert request.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    (route,) = request.routes
    assert isinstance(route.parsed_uri, SipUri)
    assert route.parsed_uri.has_param("lr")
    assert request.contact is not None
    assert request.contact.display == 'Quoted string ""'
    assert request.contact.params.get("newparam") == "newvalue"
    assert request.contact.params.get("q") == "0.33"
    assert len(request.body) == 150


def test_intmeth_a_wide_range_of_valid_characters() -> None:
    request = read_request("intmeth")
    assert request.method == "!interesting-Method0123456789_*+`.%indeed'~"
    uri = request.request_uri
    assert isinstance(uri, SipUri)
    assert uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert uri.host == "example.com"
    assert request.to.display == "BEL:\x07 NUL:\0 DEL:\x7f"
    assert request.from_.display == "token1~` token2'+_ token3*%!.-"
    assert request.from_.tag == "_token~1'+`*%!-."
    assert request.from_.params.get("fromParam''~+*_!.-%") == "работающий"
    assert request.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"
    assert request.branch == "z9hG4bK-.!%66*_+`'~"


def test_esc01_escapes_in_uris() -> None:
    request = read_request("esc01")
    uri = request.request_uri
    assert isinstance(uri, SipUri)
    assert uri.username == "sips:user@example.com"
    assert request.contact is not None
    target = request.contact.parsed_uri
    assert isinstance(target, SipUri)
    assert target.username == "caller"
    assert target.has_param("lr")
    assert target.param("name") == "value%41"
    assert str(target) == request.contact.uri


def test_escnull_nul_in_a_user_part() -> None:
    request = read_request("escnull")
    users = [contact.parsed_uri for contact in request.contacts]
    assert [uri.username for uri in users if isinstance(uri, SipUri)] == ["\0", "\0\0"]


def test_esc02_percent_signs_that_escape_nothing() -> None:
    request = read_request("esc02")
    assert request.method == "RE%47IST%45R"
    assert request.to.display == "%Z%45"
    assert [contact.uri for contact in request.contacts] == [
        "sip:alias1@host1.example.com",
        "sip:alias3@host3.example.com",
    ]
    assert request.headers.get("C%6Fntact") == "<sip:alias2@host2.example.com>"


def test_longreq_long_values() -> None:
    request = read_request("longreq")
    assert request.to.display.endswith(" proportion")
    assert len(request.vias) == 34
    assert request.cseq.number == 3882340
    assert request.request_uri == SipUri("sip", "user", None, "example.com")


def test_dblreq_octets_behind_the_request_are_dropped() -> None:
    request = read_request("dblreq")
    assert request.method == "REGISTER"
    assert request.body == b""
    assert request.call_id == "dblreq.0ha0isndaksdj99sdfafnl3lk233412"


def test_semiuri_a_semicolon_in_the_user_part() -> None:
    uri = read_request("semiuri").request_uri
    assert isinstance(uri, SipUri)
    assert uri.username == "user;par=u@example.net"
    assert str(uri.params) == ""


def test_transports_known_and_unknown() -> None:
    assert [via.transport for via in read_request("transports").vias] == [
        "UDP",
        "SCTP",
        "TLS",
        "UNKNOWN",
        "TCP",
    ]


def test_mpart01_binary_parts() -> None:
    request = read_request("mpart01")
    assert request.body_of_type("text/plain") == b"Hello"
    signature = request.body_of_type("application/octet-stream")
    assert signature is not None
    assert signature in octets("mpart01")
    assert signature.startswith(b"\x30\x82")


def test_reason_phrases_unusual_and_empty() -> None:
    unusual = read("unreason")
    assert isinstance(unusual, Response)
    assert unusual.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    empty = read("noreason")
    assert isinstance(empty, Response)
    assert (empty.status, empty.reason) == (100, "")


def test_unksm2_unknown_schemes_in_headers() -> None:
    request = read_request("unksm2")
    assert request.to.parsed_uri == OtherUri("isbn", "2983792873")
    assert request.from_.parsed_uri == OtherUri("http", "//www.example.com")


def test_cparam_parameters_of_the_header_and_of_the_uri() -> None:
    of_the_header = read_request("cparam01").contact
    of_the_uri = read_request("cparam02").contact
    assert of_the_header is not None
    assert of_the_uri is not None
    assert of_the_header.params.has("unknownparam")
    assert not of_the_uri.params.has("unknownparam")
    assert isinstance(of_the_uri.parsed_uri, SipUri)
    assert of_the_uri.parsed_uri.has_param("unknownparam")


def test_regescrt_headers_of_a_contact_uri() -> None:
    contact = read_request("regescrt").contact
    assert contact is not None
    assert isinstance(contact.parsed_uri, SipUri)
    assert contact.parsed_uri.header("Route") == "<sip:sip.example.com>"


def test_what_the_endpoint_will_judge() -> None:
    # The cookie alone identifies nothing: it is told apart as what RFC 2543 peers send is.
    assert server_key(read_request("badbranch")).startswith("2543 ")
    assert read_request("inv2543").branch == ""
    assert read_request("zeromf").max_forwards == 0
    assert read_request("bext01").require == ["nothingSupportsThis", "nothingSupportsThisEither"]
    content_type = read_request("invut").content_type
    assert content_type is not None
    assert content_type.name == "application/unknownformat"
    assert [via.host for via in read("bcast").vias] == ["192.0.2.198", "255.255.255.255"]
