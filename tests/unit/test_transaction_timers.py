"""The timers of RFC 3261 table 4, in virtual time: when each message goes out again, and when each state ends."""

from __future__ import annotations

import itertools

import pytest

from sip_stack.counters import Counters
from sip_stack.message import Request, Response, parse_message, response_to
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import (
    ClientTransaction,
    ServerTransaction,
    TimerOwner,
    TimerQueue,
    TransactionManager,
)
from sip_stack.transaction.key import server_key
from sip_stack.transaction.tables import State
from sip_stack.transport import Flow, Transmit

UDP = Flow("udp", ("10.0.0.1", 5060), ("10.0.0.2", 5060), ("10.0.0.1", 5060))
TCP = Flow("tcp", ("10.0.0.1", 5060), ("10.0.0.2", 5060), ("10.0.0.1", 5060), 1)


def request(method: str, branch: str = "z9hG4bK1") -> Request:
    message = parse_message(
        f"{method} sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch={branch};rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:alice@10.0.0.1>;tag=a\r\nTo: <sip:bob@10.0.0.2>\r\n"
        f"Call-ID: c1\r\nCSeq: 1 {method}\r\nRoute: <sip:10.0.0.9;lr>\r\n\r\n".encode()
    )
    assert isinstance(message, Request)
    return message


class Bench:
    """A transaction manager, a clock, and a user that writes down what it hears."""

    def __init__(self, **settings: float) -> None:
        self.settings = EndpointSettings(**settings)  # type: ignore[arg-type]
        self.timers: TimerQueue[TimerOwner] = TimerQueue((self.settings.timeout, 0.5, 4.0, 5.0))
        self.output: list[Transmit] = []
        self.counters = Counters()
        self.manager = TransactionManager(self.settings, self.timers, self.output, self.counters, self)
        self.now = 0.0
        self.heard: list[tuple[float, object]] = []
        self.sent: list[tuple[float, bytes]] = []

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self.heard.append((now, response.status))

    def on_failure(self, transaction: ClientTransaction, reason: str, now: float) -> None:
        self.heard.append((now, reason))

    def on_acknowledgement(self, request: Request, now: float) -> None:
        self.heard.append((now, "ACK"))

    def on_forked_answer(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        self.heard.append((now, f"fork {response.status}"))

    def run_to(self, until: float) -> None:
        self._collect()
        while (due := self.timers.next_due()) is not None and due <= until:
            self.now = due
            fired = self.timers.pop_due(due)
            assert fired is not None
            fired[0].on_timer(fired[1], due)
            self._collect()
        self.now = until

    def times(self) -> list[float]:
        """When something was sent."""
        return [round(at, 3) for at, _ in self.sent]

    def client(self, method: str, flow: Flow = UDP) -> tuple[ClientTransaction, Request]:
        message = request(method)
        return self.manager.send(self.now, message, "z9hG4bK1", flow, self), message

    def server(self, method: str, flow: Flow = UDP) -> tuple[ServerTransaction, Request]:
        message = request(method)
        return self.manager.accept(message, server_key(message), flow), message

    def answer(self, message: Request, status: int, tag: str = "b") -> None:
        """The peer's response arrives."""
        assert self.manager.receive_response(response_to(message, status, to_tag=tag), self.now)
        self._collect()

    def respond(self, transaction: ServerTransaction, message: Request, status: int) -> None:
        """Our response goes out."""
        self.manager.respond(self.now, transaction, response_to(message, status, to_tag="b"))
        self._collect()

    def _collect(self) -> None:
        self.sent += [(self.now, transmit.data) for transmit in self.output]
        self.output.clear()


def test_timers_a_and_b() -> None:
    """A doubles without a cap, B ends it after 64*T1."""
    bench = Bench()
    bench.client("INVITE")
    bench.run_to(100)
    assert bench.times() == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert bench.heard == [(32.0, "timeout")]
    assert len(bench.manager) == 0
    assert bench.counters.timeouts == 1


def test_a_1xx_stops_timers_a_and_b() -> None:
    bench = Bench()
    transaction, message = bench.client("INVITE")
    bench.run_to(2)
    bench.answer(message, 100)
    bench.run_to(10_000)
    assert bench.times() == [0, 0.5, 1.5]
    assert transaction.state is State.PROCEEDING


def test_timers_e_and_f() -> None:
    """E doubles up to T2."""
    bench = Bench()
    bench.client("BYE")
    bench.run_to(100)
    assert bench.times() == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert bench.heard == [(32.0, "timeout")]


def test_after_a_1xx_timer_e_is_t2() -> None:
    """A non-INVITE request goes on repeating after a 1xx, and timer F stays."""
    bench = Bench()
    _, message = bench.client("OPTIONS")
    bench.run_to(0.2)
    bench.answer(message, 100)
    bench.run_to(100)
    assert bench.times() == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert bench.heard == [(0.2, 100), (32.0, "timeout")]


def test_timer_k_absorbs_repeated_finals() -> None:
    bench = Bench()
    transaction, message = bench.client("OPTIONS")
    bench.answer(message, 200)
    bench.run_to(4.9)
    bench.answer(message, 200)
    assert transaction.state is State.COMPLETED
    bench.run_to(5.0)
    assert len(bench.manager) == 0
    assert bench.heard == [(0.0, 200)]


def test_timer_d_and_the_ack_for_each_repeated_final() -> None:
    bench = Bench()
    transaction, message = bench.client("INVITE")
    bench.answer(message, 486)
    bench.run_to(31.9)
    bench.answer(message, 486)
    assert transaction.state is State.COMPLETED
    bench.run_to(32.0)
    assert len(bench.manager) == 0
    acks = [data for _, data in bench.sent[1:]]
    assert len(acks) == 2
    assert acks[0] == acks[1]
    assert bench.heard == [(0.0, 486)]


def test_the_ack_of_a_rejected_invite() -> None:
    """RFC 3261 section 17.1.1.3: the INVITE's Via and Route, the response's To."""
    bench = Bench()
    _, message = bench.client("INVITE")
    bench.answer(message, 486, tag="theirs")
    ack = parse_message(bench.sent[-1][1])
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri) == ("ACK", "sip:bob@10.0.0.2")
    assert ack.headers.get_all("Via") == message.headers.get_all("Via")
    assert ack.headers.get_all("Route") == ["<sip:10.0.0.9;lr>"]
    assert ack.headers.get("From") == message.headers.get("From")
    assert (ack.to.tag, ack.cseq.number, ack.cseq.method) == ("theirs", 1, "ACK")


def test_timer_m_hands_further_2xx_to_the_dialog() -> None:
    bench = Bench()
    _, message = bench.client("INVITE")
    bench.answer(message, 200)
    bench.run_to(31.9)
    bench.answer(message, 200)
    bench.run_to(32.0)
    assert bench.heard == [(0.0, 200), (31.9, "fork 200")]
    assert len(bench.manager) == 0


def test_timers_g_and_h() -> None:
    """G doubles up to T2 until H gives up."""
    bench = Bench()
    transaction, message = bench.server("INVITE")
    bench.respond(transaction, message, 486)
    bench.run_to(100)
    assert bench.times() == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert len(bench.manager) == 0


def test_timer_i_absorbs_repeated_acks_and_invites() -> None:
    bench = Bench()
    transaction, message = bench.server("INVITE")
    bench.respond(transaction, message, 486)
    bench.run_to(1.0)
    bench.manager.acknowledge(transaction, request("ACK"), bench.now)
    bench.run_to(5.9)
    bench.manager.acknowledge(transaction, request("ACK"), bench.now)
    bench.manager.repeat_request(transaction, bench.now)
    assert transaction.state is State.CONFIRMED
    bench.run_to(6.0)
    assert len(bench.manager) == 0
    assert bench.times() == [0, 0.5]
    assert bench.heard == []


def test_timer_j_repeats_the_final_for_each_repeated_request() -> None:
    bench = Bench()
    transaction, message = bench.server("OPTIONS")
    bench.manager.repeat_request(transaction, bench.now)
    bench.run_to(1.0)
    assert bench.times() == []
    bench.respond(transaction, message, 200)
    for at in (10.0, 31.0):
        bench.run_to(at)
        bench.manager.repeat_request(transaction, bench.now)
    bench.run_to(33.0)
    assert bench.times() == [1, 10, 31]
    assert len(bench.manager) == 0
    assert bench.counters.retransmissions_received == 3


def test_timer_l_absorbs_the_invite_after_a_2xx() -> None:
    bench = Bench()
    transaction, message = bench.server("INVITE")
    bench.respond(transaction, message, 200)
    bench.run_to(31.9)
    bench.manager.repeat_request(transaction, bench.now)
    assert transaction.state is State.ACCEPTED
    bench.run_to(32.0)
    assert bench.times() == [0]
    assert len(bench.manager) == 0


def test_a_repeated_invite_gets_the_last_provisional_again() -> None:
    bench = Bench()
    transaction, message = bench.server("INVITE")
    bench.respond(transaction, message, 100)
    bench.respond(transaction, message, 180)
    bench.manager.repeat_request(transaction, bench.now)
    bench.run_to(0.1)
    assert bench.sent[-1][1].startswith(b"SIP/2.0 180")


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_reliable_transports_repeat_no_request(method: str) -> None:
    bench = Bench()
    bench.client(method, TCP)
    bench.run_to(100)
    assert bench.times() == [0]
    assert bench.heard == [(32.0, "timeout")]


@pytest.mark.parametrize(("method", "status"), [("INVITE", 486), ("OPTIONS", 200)])
def test_reliable_transports_do_not_linger_as_client(method: str, status: int) -> None:
    """Timers D and K are zero."""
    bench = Bench()
    _, message = bench.client(method, TCP)
    bench.answer(message, status)
    bench.run_to(0.0)
    assert len(bench.manager) == 0
    assert bench.heard == [(0.0, status)]


def test_reliable_transports_do_not_linger_as_server() -> None:
    """Timers I and J are zero, G does not run, H does."""
    bench = Bench()
    transaction, message = bench.server("OPTIONS", TCP)
    bench.respond(transaction, message, 200)
    bench.run_to(0.0)
    assert len(bench.manager) == 0

    transaction, message = bench.server("INVITE", TCP)
    bench.respond(transaction, message, 486)
    bench.run_to(10.0)
    assert transaction.state is State.COMPLETED
    bench.manager.acknowledge(transaction, request("ACK"), bench.now)
    bench.run_to(10.0)
    assert len(bench.manager) == 0
    assert bench.times() == [0, 0]


def test_timers_scale_with_t1() -> None:
    bench = Bench(t1=0.05, t2=0.2)
    bench.client("BYE")
    bench.run_to(10)
    assert bench.times()[:6] == [0, 0.05, 0.15, 0.35, 0.55, 0.75]
    assert bench.heard == [(3.2, "timeout")]


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_transport_error_ends_what_waits(method: str) -> None:
    bench = Bench()
    bench.client(method)
    bench.manager.lost(UDP, 0.1)
    assert bench.heard == [(0.1, "transport")]
    assert len(bench.manager) == 0
    bench.run_to(100)
    assert bench.times() == [0]


def test_a_transport_error_of_another_flow_ends_nothing() -> None:
    bench = Bench()
    bench.client("OPTIONS")
    bench.manager.lost(TCP, 0.1)
    assert bench.heard == []
    assert len(bench.manager) == 1


def test_a_finished_transaction_is_a_tombstone() -> None:
    """What lingers for 32 s holds neither message nor user; its octets only where they may be needed again."""
    bench = Bench()
    branches = (f"z9hG4bK{number}" for number in itertools.count())
    done: dict[str, ClientTransaction | ServerTransaction] = {}
    for name, method, status in (("d", "INVITE", 486), ("m", "INVITE", 200), ("k", "BYE", 200)):
        branch = next(branches)
        message = request(method, branch)
        done[name] = bench.manager.send(0.0, message, branch, UDP, bench)
        bench.manager.receive_response(response_to(message, status, to_tag="b"), 0.0)
    for name, method, status in (("h", "INVITE", 486), ("l", "INVITE", 200), ("j", "BYE", 200)):
        message = request(method, next(branches))
        done[name] = bench.manager.accept(message, server_key(message), UDP)
        bench.manager.respond(0.0, done[name], response_to(message, status, to_tag="b"))  # type: ignore[arg-type]

    assert all(transaction.request is None and transaction.user is None for transaction in done.values())
    assert {name for name, transaction in done.items() if transaction.data} == {"d", "h", "j"}
    assert bench.manager._pending == {}, "nothing waits on the flow any more"
    bench.run_to(40)
    assert len(bench.manager) == 0
    assert bench.manager._merged == {}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("branch=z9hG4bKx", "branch=z9hG4bKx", True),
        ("branch=z9hG4bKx", "branch=z9hG4bKy", False),
        ("branch=1", "branch=1", True),
        ("branch=1", "branch=2", False),
        ("received=10.0.0.9", "received=10.0.0.9", True),
    ],
)
def test_which_requests_are_the_same(first: str, second: str, same: bool) -> None:
    """With the magic cookie the branch decides; without it, RFC 2543: URI, tags, Call-ID, CSeq and Via."""

    def key(via: str, call_id: str = "c1", method: str = "INVITE") -> str:
        text = (
            f"{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;{via}\r\nFrom: <sip:a@h>;tag=a\r\n"
            f"To: <sip:b@h>\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\r\n"
        )
        message = parse_message(text.encode())
        assert isinstance(message, Request)
        return server_key(message)

    assert (key(first) == key(second)) is same
    assert key(first) == key(first, method="ACK")
    assert key(first) != key(first, method="CANCEL")
    if "z9hG4bK" not in first:
        assert key(first) != key(first, call_id="c2")
