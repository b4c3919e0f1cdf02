"""What is different over TCP: only a 2xx is repeated, nothing lingers, a connection that is gone is replaced."""

from __future__ import annotations

import itertools

import pytest

from sip_stack.dialog import ClientSession, ServerSession
from sip_stack.endpoint import Endpoint
from sip_stack.errors import TransportError
from sip_stack.events import Event, InviteReceived
from sip_stack.message import NameAddr, Request, Response, parse_message
from sip_stack.message.framing import FramingError
from sip_stack.transport import Address, Flow, Target, Transmit
from tests.support.sip_text import sip_request, sip_response, statuses

US, THEM = ("10.0.0.1", 5060), ("10.0.0.2", 41234)
ACCEPTED = Flow("tcp", US, THEM, US, 7)
VIA = "Via: SIP/2.0/TCP 10.0.0.2:5070;branch=z9hG4bKtcp"


class OverTcp:
    """One endpoint, and the connections it is told to have."""

    def __init__(self) -> None:
        tokens = itertools.count(1)
        self.gone: set[Flow] = set()
        self.flows: dict[tuple[str, Address], Flow] = {}
        self.no_tcp = False
        self.endpoint = Endpoint(
            token=lambda: f"us{next(tokens):04d}",
            flow_for=self.flow_for,
            is_connected=lambda flow: flow not in self.gone,
        )
        self.now = 0.0
        self.events: list[Event] = []
        self.transmits: list[Transmit] = []

    def flow_for(self, target: Target, like: Flow | None = None) -> Flow:
        if target.transport == "tcp" and self.no_tcp:
            raise TransportError("no TCP")
        remote = (target.host, target.port)
        return self.flows.setdefault((target.transport, remote), Flow(target.transport, US, remote, US))

    def drain(self) -> list[Request | Response]:
        self.transmits += (new := self.endpoint.transmits())
        self.events += self.endpoint.events()
        return [parse_message(transmit.data) for transmit in new]

    def receive(self, data: bytes, flow: Flow = ACCEPTED) -> list[Request | Response]:
        self.endpoint.receive(data, flow, self.now)
        return self.drain()

    def wait(self, seconds: float) -> list[Request | Response]:
        until = self.now + seconds
        sent = self.drain()
        while (due := self.endpoint.next_timer()) is not None and due <= until:
            self.now = max(due, self.now)
            self.endpoint.handle_timer(self.now)
            sent += self.drain()
        self.now = until
        return sent

    def lose(self, flow: Flow) -> list[Request | Response]:
        self.gone.add(flow)
        self.endpoint.lost(flow, self.now, "closed")
        return self.drain()

    def answered(self, contact: str) -> ServerSession:
        """A call to us that we answered and they acknowledged."""
        self.receive(sip_request("INVITE", via=VIA, contact=contact, body=b"v=0\r\n"))
        (invited,) = self.events
        assert isinstance(invited, InviteReceived)
        invited.session.answer(self.now, body=b"v=0\r\n")
        (ok,) = self.drain()
        self.receive(sip_request("ACK", via=f"{VIA}ack", to_tag=ok.to.tag))
        return invited.session

    def calling(self, flow: Flow, body: bytes = b"v=0\r\n") -> tuple[ClientSession, Request]:
        """A call of ours and its INVITE."""
        address = NameAddr.parse("<sip:them@10.0.0.2>")
        session = self.endpoint.invite(
            self.now, flow=flow, uri="sip:them@10.0.0.2", from_=address, to=address, body=body
        )
        (invite,) = self.drain()
        assert isinstance(invite, Request)
        return session, invite

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


@pytest.fixture
def us() -> OverTcp:
    return OverTcp()


@pytest.fixture
def outgoing(us: OverTcp) -> Flow:
    return us.flow_for(Target("tcp", "10.0.0.2", 5060))


# Timers (RFC 3261 table 4)


def test_requests_are_not_repeated_and_still_time_out(us: OverTcp, outgoing: Flow) -> None:
    us.calling(outgoing)
    address = NameAddr.parse("<sip:them@10.0.0.2>")
    us.endpoint.request(
        us.now, flow=outgoing, method="OPTIONS", uri="sip:them@10.0.0.2", from_=address, to=address
    )
    assert statuses(us.drain()) == ["OPTIONS"]
    assert us.wait(31.9) == []
    assert us.names() == []
    us.wait(0.2)
    assert sorted(us.names()) == ["Failed", "OutOfDialogCompleted"]
    assert us.endpoint.transaction_count == 0


def test_nothing_lingers_after_the_last_message(us: OverTcp) -> None:
    assert statuses(us.receive(sip_request("OPTIONS", via=VIA))) == [200]
    us.wait(0)
    assert us.endpoint.transaction_count == 0, "timer J is zero"
    us.receive(sip_request("INVITE", via=VIA, call_id="other", body=b"v=0\r\n"))
    (invited,) = us.events
    assert isinstance(invited, InviteReceived)
    invited.session.reject(us.now, 486)
    (refusal,) = us.drain()
    assert us.wait(10) == [], "a refusal is not repeated: timer G is off"
    us.receive(sip_request("ACK", via=VIA, call_id="other", to_tag=refusal.to.tag))
    us.wait(0)
    assert us.endpoint.transaction_count == 0, "timer I is zero"


def test_a_2xx_is_repeated_until_its_ack_comes(us: OverTcp) -> None:
    """RFC 3261 section 13.3.1.4: the ACK crosses every hop, reliable or not."""
    us.receive(sip_request("INVITE", via=VIA, body=b"v=0\r\n"))
    (invited,) = us.events
    assert isinstance(invited, InviteReceived)
    invited.session.answer(us.now, body=b"v=0\r\n")
    (ok,) = us.drain()
    assert statuses(us.wait(3.6)) == [200, 200, 200]
    us.receive(sip_request("ACK", via=f"{VIA}ack", to_tag=ok.to.tag))
    assert us.wait(60) == []


def test_a_rejected_call_of_ours_leaves_nothing(us: OverTcp, outgoing: Flow) -> None:
    _, invite = us.calling(outgoing)
    assert statuses(us.receive(sip_response(invite, 486), outgoing)) == ["ACK"]
    us.wait(0)
    assert us.endpoint.transaction_count == 0, "timer D is zero"


# Where things go


def test_a_response_knows_where_to_go_when_its_connection_is_gone(us: OverTcp) -> None:
    us.receive(sip_request("OPTIONS", via=VIA))
    assert us.transmits[-1].flow is ACCEPTED
    assert us.transmits[-1].fallback == Target("tcp", "10.0.0.2", 5070)
    us.receive(sip_request("OPTIONS", via="Via: SIP/2.0/TCP pbx.example.com;branch=z9hG4bKnoport"))
    assert us.transmits[-1].fallback == Target("tcp", "10.0.0.2", 5060), "not where the Via's name may point"


@pytest.mark.parametrize(
    ("contact", "alive", "gone"),
    [
        # On the connection while it is there, whatever port the Contact names; then to the Contact.
        ("<sip:them@10.0.0.2:5070;transport=tcp>", THEM, ("tcp", "10.0.0.2", 5070)),
        ("<sip:them@10.0.0.2:5070>", THEM, ("tcp", "10.0.0.2", 5070)),
        ("<sip:them@10.0.0.2>", THEM, ("tcp", "10.0.0.2", 5060)),
        # Another host is another way from the start (RFC 3263 section 4.1: UDP unless said otherwise).
        ("<sip:them@10.0.0.9:5070;transport=tcp>", ("10.0.0.9", 5070), ("tcp", "10.0.0.9", 5070)),
        ("<sip:them@10.0.0.9>", ("10.0.0.9", 5060), ("udp", "10.0.0.9", 5060)),
        # Who says UDP means it: the INVITE may have come by TCP for its size.
        ("<sip:them@10.0.0.2:5070;transport=udp>", ("10.0.0.2", 5070), ("udp", "10.0.0.2", 5070)),
        # A name is not resolved in the middle of a call: there is nothing else than where it came from.
        ("<sip:them@pbx.example.com>", THEM, ("tcp", *THEM)),
    ],
)
def test_which_way_requests_inside_a_call_go(
    us: OverTcp, contact: str, alive: Address, gone: tuple[str, str, int]
) -> None:
    session = us.answered(contact)
    session.request(us.now, "INFO")
    us.drain()
    assert us.transmits[-1].flow.remote == alive
    us.lose(ACCEPTED)
    session.bye(us.now)
    (bye,) = us.drain()
    flow = us.transmits[-1].flow
    assert (flow.transport, *flow.remote) == gone
    assert bye.via.transport == flow.transport.upper(), "the Via says the right transport"


def test_a_call_of_ours_stays_on_its_connection(us: OverTcp, outgoing: Flow) -> None:
    session, invite = us.calling(outgoing)
    contact = "Contact: <sip:them@10.0.0.2:5099;transport=tcp>"
    us.receive(sip_response(invite, 200, headers=[contact]), outgoing)
    assert us.transmits[-1].flow is outgoing
    session.bye(us.now)
    us.drain()
    assert us.transmits[-1].flow is outgoing


def test_an_ack_to_a_2xx_is_not_lost_with_the_connection(us: OverTcp, outgoing: Flow) -> None:
    _, invite = us.calling(outgoing)
    us.receive(sip_response(invite, 180), outgoing)
    us.lose(outgoing)
    ok = sip_response(invite, 200, headers=["Contact: <sip:them@10.0.0.2:5099;transport=tcp>"])
    assert statuses(us.receive(ok, Flow("tcp", US, THEM, US, 9))) == ["ACK"]
    assert us.transmits[-1].flow.remote == ("10.0.0.2", 5099)


def test_nor_is_the_ack_to_the_2xx_of_a_reinvite(us: OverTcp) -> None:
    session = us.answered("<sip:them@10.0.0.2:5070;transport=tcp>")
    session.reoffer(us.now, b"v=0\r\n")
    (reinvite,) = us.drain()
    assert isinstance(reinvite, Request)
    us.receive(sip_response(reinvite, 180))
    us.lose(ACCEPTED)
    assert statuses(us.receive(sip_response(reinvite, 200))) == ["ACK"]
    assert us.transmits[-1].flow.remote == ("10.0.0.2", 5070)


def test_a_connection_is_needed_while_a_call_or_a_request_lives_on_it(us: OverTcp, outgoing: Flow) -> None:
    assert not us.endpoint.needs(ACCEPTED)
    session = us.answered("<sip:them@10.0.0.2:5070;transport=tcp>")
    assert us.endpoint.needs(ACCEPTED)
    session.bye(us.now)
    (bye,) = us.drain()
    assert isinstance(bye, Request)
    us.receive(sip_response(bye, 200))
    assert not us.endpoint.needs(ACCEPTED)

    us.calling(outgoing)
    assert us.endpoint.needs(outgoing)
    us.lose(outgoing)
    assert not us.endpoint.needs(outgoing)
    assert us.endpoint._core.held == {}


def test_a_call_that_moves_to_another_flow_does_not_hold_the_first(us: OverTcp) -> None:
    us.answered("<sip:them@10.0.0.9:5070;transport=tcp>")
    assert not us.endpoint.needs(ACCEPTED)
    assert us.endpoint.needs(us.flow_for(Target("tcp", "10.0.0.9", 5070)))


# A message that its transport could not frame


def test_a_request_without_an_end_is_refused_for_that(us: OverTcp) -> None:
    fault = FramingError(400, "Missing Content-Length")
    us.endpoint.receive(sip_request("INVITE", via=VIA), ACCEPTED, us.now, fault)
    (refusal,) = us.drain()
    assert isinstance(refusal, Response)
    assert (refusal.status, refusal.reason) == (400, "Missing Content-Length")
    assert us.names() == ["InviteRefused"]
    counters = us.endpoint.counters
    assert (counters.parse_errors, counters.refused) == (1, 1)


def test_a_response_without_an_end_is_dropped(us: OverTcp, outgoing: Flow) -> None:
    _, invite = us.calling(outgoing)
    us.endpoint.receive(
        sip_response(invite, 200), outgoing, us.now, FramingError(400, "Missing Content-Length")
    )
    assert us.drain() == []
    assert us.events == []


# Requests that are too large for a datagram (RFC 3261 section 18.1.1)

LARGE = b"v=0\r\n" + b"a=x\r\n" * 300


@pytest.fixture
def datagrams(us: OverTcp) -> Flow:
    return us.flow_for(Target("udp", "10.0.0.2", 5060))


def test_a_large_request_goes_by_tcp_and_only_that(us: OverTcp, datagrams: Flow) -> None:
    session, invite = us.calling(datagrams, LARGE)
    stream = us.transmits[-1].flow
    assert (stream.transport, stream.remote) == ("tcp", datagrams.remote)
    assert invite.via.transport == "TCP"
    assert invite.contact is not None
    assert invite.contact.uri == "sip:10.0.0.1:5060", "the dialog stays on UDP"
    assert us.wait(5) == [], "not repeated"
    us.receive(sip_response(invite, 200, headers=["Contact: <sip:them@10.0.0.2>"]), stream)
    assert us.transmits[-1].flow is datagrams
    session.bye(us.now)
    (bye,) = us.drain()
    assert us.transmits[-1].flow is datagrams
    assert bye.via.transport == "UDP"
    counters = us.endpoint.counters
    assert (counters.large_by_stream, counters.large_datagrams) == (1, 0)


def test_a_large_request_is_cancelled_and_acknowledged_where_it_went(us: OverTcp, datagrams: Flow) -> None:
    session, invite = us.calling(datagrams, LARGE)
    stream = us.transmits[-1].flow
    us.receive(sip_response(invite, 180), stream)
    session.cancel(us.now)
    (cancel,) = us.drain()
    assert us.transmits[-1].flow is stream
    assert cancel.headers.get("Via") == invite.headers.get("Via")
    assert statuses(us.receive(sip_response(invite, 487), stream)) == ["ACK"]
    assert us.transmits[-1].flow is stream


def test_a_peer_that_refuses_tcp_gets_a_datagram_now_and_at_once_for_some_time(
    us: OverTcp, datagrams: Flow
) -> None:
    _, invite = us.calling(datagrams, LARGE)
    stream = us.transmits[-1].flow
    (again,) = us.lose(stream)
    assert us.events == [], "nobody hears of it"
    assert not us.endpoint.needs(stream)
    assert us.transmits[-1].flow is datagrams
    assert (again.via.transport, again.branch) == ("UDP", invite.branch)
    assert again.body == LARGE
    assert statuses(us.wait(1.6)) == ["INVITE", "INVITE"], "repeated as any datagram"
    us.receive(sip_response(invite, 486), datagrams)

    us.calling(datagrams, LARGE)
    assert us.transmits[-1].flow is datagrams, "not asked again"
    us.wait(301)
    us.gone.clear()
    us.calling(datagrams, LARGE)
    assert us.transmits[-1].flow.transport == "tcp", "until five minutes are over"
    counters = us.endpoint.counters
    assert (counters.large_by_stream, counters.large_datagrams) == (2, 2)


def test_without_a_tcp_listener_a_large_request_is_a_datagram(us: OverTcp, datagrams: Flow) -> None:
    us.no_tcp = True
    _, invite = us.calling(datagrams, LARGE)
    assert us.transmits[-1].flow is datagrams
    assert invite.via.transport == "UDP"
    assert us.endpoint.counters.large_datagrams == 1


def test_a_request_of_1300_octets_is_a_datagram(us: OverTcp, datagrams: Flow) -> None:
    us.calling(datagrams, b"v=0\r\n")
    room = 1300 - len(us.transmits[-1].data)
    # Token lengths are fixed, and Content-Length has one digit, which grows to three.
    us.calling(datagrams, b"v=0\r\n" + b"x" * (room - 2))
    assert (len(us.transmits[-1].data), us.transmits[-1].flow) == (1300, datagrams)
    us.calling(datagrams, b"v=0\r\n" + b"x" * (room - 1))
    assert us.transmits[-1].flow.transport == "tcp"
