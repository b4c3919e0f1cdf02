"""Dialogs: route sets, remote targets, sequence numbers (RFC 3261 section 12), and which flow a target means."""

from __future__ import annotations

import itertools

import pytest

from sip_stack.dialog.core import Core
from sip_stack.dialog.dialog import Dialog
from sip_stack.errors import RemoteError, TransportError
from sip_stack.message import Request, Response, parse_message
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import ClientTransaction
from sip_stack.transport import Flow, Target
from tests.support.sip_text import sip_request

VIA = "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;rport"
FIRST, SECOND = "<sip:p1.example.com;lr>", "<sip:p2.example.com;lr;ftag=1>"


def invite(*headers: str, contact: str | None = "<sip:them@10.0.0.2:5062>", cseq: int = 7) -> Request:
    message = parse_message(sip_request("INVITE", headers=headers, contact=contact, cseq=cseq))
    assert isinstance(message, Request)
    return message


def ok(*headers: str, contact: str = "Contact: <sip:them@10.0.0.2:5062>\r\n", cseq: int = 3) -> Response:
    text = (
        f'SIP/2.0 200 OK\r\nVia: {VIA}\r\nFrom: "Us" <sip:us@10.0.0.1>;tag=ours\r\n'
        f"To: <sip:them@10.0.0.2>;tag=theirs\r\nCall-ID: c\r\nCSeq: {cseq} INVITE\r\n{contact}"
    )
    message = parse_message((text + "".join(f"{header}\r\n" for header in headers) + "\r\n").encode())
    assert isinstance(message, Response)
    return message


def test_the_called_side_keeps_the_order_of_record_route() -> None:
    dialog = Dialog.from_request(invite(f"Record-Route: {FIRST}, {SECOND}"), "ours")
    request = dialog.request("BYE", via=VIA)
    assert request.headers.get_all("Route") == [FIRST, SECOND]
    assert request.uri == "sip:them@10.0.0.2:5062"
    assert request.from_.tag == "ours"
    assert request.to.tag == "them"
    assert request.cseq.number == 1


def test_the_calling_side_reverses_record_route() -> None:
    dialog = Dialog.from_response(ok(f"Record-Route: {FIRST}", f"Record-Route: {SECOND}"), "sip:fallback")
    request = dialog.request("BYE", via=VIA)
    assert request.headers.get_all("Route") == [SECOND, FIRST]
    assert request.headers.get("From") == '"Us" <sip:us@10.0.0.1>;tag=ours'
    assert request.to.tag == "theirs"
    assert request.cseq.number == 4


def test_the_route_of_the_initial_invite_is_not_reused() -> None:
    """Pitfall 49: the route set is what Record-Route says, even when that is nothing."""
    dialog = Dialog.from_request(invite("Route: <sip:edge.example.com;lr>"), "ours")
    assert "Route" not in dialog.request("BYE", via=VIA).headers


@pytest.mark.parametrize("strict", ["<sip:p1.example.com>", "<sip:p1.example.com;method=INVITE;plr=1>"])
def test_a_strict_router_becomes_the_request_uri(strict: str) -> None:
    """RFC 3261 section 12.2.1.1; `lr` must be a parameter of its own, not a part of another's name."""
    dialog = Dialog.from_request(invite(f"Record-Route: {strict}, {SECOND}"), "ours")
    request = dialog.request("BYE", via=VIA)
    assert request.uri.startswith("sip:p1.example.com")
    assert "method=" not in request.uri
    assert request.headers.get_all("Route") == [SECOND, "<sip:them@10.0.0.2:5062>"]
    assert dialog.next_hop.startswith("sip:p1.example.com")


def test_next_hop_is_the_first_route_or_the_target() -> None:
    assert Dialog.from_request(invite(), "ours").next_hop == "sip:them@10.0.0.2:5062"
    assert Dialog.from_request(invite(f"Record-Route: {FIRST}"), "ours").next_hop == "sip:p1.example.com;lr"


def test_an_invite_without_contact_makes_no_dialog() -> None:
    with pytest.raises(RemoteError) as caught:
        Dialog.from_request(invite(contact=None), "ours")
    assert caught.value.status_hint == 400


def test_an_answer_without_contact_is_acknowledged_where_the_invite_went() -> None:
    assert Dialog.from_response(ok(contact=""), "sip:fallback@h").remote_target == "sip:fallback@h"


def test_cseq_rises_with_each_request_but_not_with_ack() -> None:
    dialog = Dialog.from_response(ok(), "sip:fallback")
    numbers = [dialog.request(method, via=VIA).cseq.number for method in ("INFO", "BYE")]
    assert numbers == [4, 5]
    ack = dialog.request("ACK", via=VIA, cseq=3)
    assert (ack.cseq.number, ack.cseq.method) == (3, "ACK")
    assert dialog.request("BYE", via=VIA).cseq.number == 6


def test_older_requests_are_out_of_order() -> None:
    dialog = Dialog.from_request(invite(cseq=7), "ours")

    def arrives(cseq: int) -> bool:
        message = parse_message(sip_request("INFO", cseq=cseq))
        assert isinstance(message, Request)
        return dialog.accept(message)

    assert [arrives(cseq) for cseq in (6, 8, 20, 19, 20, 21)] == [False, True, True, False, True, True]


def test_only_target_refresh_requests_move_the_target() -> None:
    dialog = Dialog.from_request(invite(), "ours")
    moved = "<sip:them@10.0.0.77>"
    info = parse_message(sip_request("INFO", headers=[f"Contact: {moved}"]))
    assert not dialog.refresh_target(info)
    assert dialog.remote_target == "sip:them@10.0.0.2:5062"

    update = parse_message(sip_request("UPDATE", contact=moved))
    assert dialog.refresh_target(update)
    assert dialog.request("BYE", via=VIA).uri == "sip:them@10.0.0.77"
    assert not dialog.refresh_target(update)


def test_a_new_target_leaves_the_route_set() -> None:
    dialog = Dialog.from_request(invite(f"Record-Route: {FIRST}"), "ours")
    dialog.refresh_target(parse_message(sip_request("UPDATE", contact="<sip:moved@10.0.0.77>")))
    request = dialog.request("BYE", via=VIA)
    assert request.headers.get_all("Route") == [FIRST]
    assert request.uri == "sip:moved@10.0.0.77"


# Flows


class Paths:
    """A core whose transports have UDP only, and note what they were asked."""

    def __init__(self) -> None:
        self.asked: list[Target] = []
        names = itertools.count()
        self.core = Core(
            token=lambda: str(next(names)), settings=EndpointSettings(), flow_for=self.flow_for, upcalls=self
        )

    def flow_for(self, target: Target, like: Flow | None = None) -> Flow:
        self.asked.append(target)
        if target.transport != "udp":
            raise TransportError("UDP only")
        return udp(target.host, target.port)

    def on_acknowledgement(self, request: Request, now: float) -> None:
        raise AssertionError

    def on_forked_answer(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        raise AssertionError


def udp(host: str, port: int = 5060) -> Flow:
    return Flow("udp", ("198.51.100.1", 5060), (host, port), ("198.51.100.1", 5060))


@pytest.mark.parametrize(
    ("current", "next_hop", "expected"),
    [
        # The Contact says where.
        ("203.0.113.5", "sip:x@203.0.113.6:5070", ("203.0.113.6", 5070)),
        ("203.0.113.5", "sip:203.0.113.6", ("203.0.113.6", 5060)),
        ("203.0.113.5", "sip:203.0.113.5:5090", ("203.0.113.5", 5090)),
        ("10.0.0.5", "sip:10.0.0.6", ("10.0.0.6", 5060)),
        # A phone behind a NAT: stay with the source.
        ("203.0.113.5", "sip:x@192.168.1.20:5060", ("203.0.113.5", 5060)),
        ("203.0.113.5", "sip:x@10.1.2.3", ("203.0.113.5", 5060)),
        # Names are not resolved here; what no transport reaches stays.
        ("203.0.113.5", "sip:x@pbx.example.com", ("203.0.113.5", 5060)),
        ("203.0.113.5", "tel:+15550001000", ("203.0.113.5", 5060)),
        ("203.0.113.5", "sip:203.0.113.6;transport=tcp", ("203.0.113.5", 5060)),
        ("127.0.0.1", "sip:127.0.0.1:5099", ("127.0.0.1", 5099)),
        ("10.0.0.5", "sip:[2001:db8::1]:5070", ("2001:db8::1", 5070)),
    ],
)
def test_which_way_the_requests_of_a_dialog_go(
    current: str, next_hop: str, expected: tuple[str, int]
) -> None:
    assert Paths().core.flow_toward(next_hop, udp(current)).remote == expected


def test_the_same_peer_is_the_same_flow() -> None:
    paths, current = Paths(), udp("203.0.113.5")
    assert paths.core.flow_toward("sip:x@203.0.113.5:5060", current) is current
    assert paths.asked == []


def test_an_unreachable_target_is_counted() -> None:
    paths = Paths()
    paths.core.flow_toward("sip:203.0.113.6;transport=tls", udp("203.0.113.5"))
    assert paths.asked == [Target("tls", "203.0.113.6", 5061)]
    assert paths.core.counters.no_flow == 1
