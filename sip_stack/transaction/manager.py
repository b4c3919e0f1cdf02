"""The table of transactions: starts them, finds the one a message belongs to, lets them go.

RFC 3261 sections 17.1.3 and 17.2.3 (matching), 8.2.2.2 (merged requests), 18.4 (transport errors). It decides
nothing about dialogs: what belongs to no transaction goes back to the caller.
"""

from __future__ import annotations

from typing import Protocol

from sip_stack.counters import Counters
from sip_stack.errors import RemoteError
from sip_stack.message import Request, Response
from sip_stack.settings import EndpointSettings
from sip_stack.transaction.engine import (
    ClientTransaction,
    ClientUser,
    ServerTransaction,
    TimerOwner,
    Transaction,
)
from sip_stack.transaction.key import client_key, merge_key, server_key
from sip_stack.transaction.large import LARGEST_DATAGRAM, LargeRequests, route_over
from sip_stack.transaction.tables import Input, State
from sip_stack.transaction.timers import TimerQueue
from sip_stack.transport import UNSPECIFIC_LOSS, Flow, FlowFor, Loss, Target, Transmit

_RECEIVED = {1: Input.R1XX, 2: Input.R2XX, 3: Input.R3XX_6XX}
_SENT = {1: Input.S1XX, 2: Input.S2XX, 3: Input.S3XX_6XX}


class Upcalls(Protocol):
    """What transactions need from the layer above when their user has gone."""

    def on_acknowledgement(self, request: Request, now: float) -> None:
        """An ACK to a 2xx that came with the INVITE's own branch."""

    def on_forked_answer(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A 2xx to our INVITE with a To tag that was not acknowledged yet, after the user has gone."""


class TransactionManager:
    """Owns every transaction of one endpoint."""

    __slots__ = (
        "_clients",
        "_large",
        "_merged",
        "_pending",
        "_servers",
        "counters",
        "output",
        "settings",
        "timeout",
        "timers",
        "upcalls",
    )

    def __init__(
        self,
        settings: EndpointSettings,
        timers: TimerQueue[TimerOwner],
        output: list[Transmit],
        counters: Counters,
        upcalls: Upcalls,
        flow_for: FlowFor | None = None,
    ) -> None:
        """`output` is where messages to send are appended; its owner drains it."""
        self.settings = settings
        self.timeout = settings.timeout
        """Seconds: 64*T1."""
        self.timers = timers
        self.output = output
        self.counters = counters
        self.upcalls = upcalls
        self._large = LargeRequests(counters, flow_for)
        self._clients: dict[str, ClientTransaction] = {}
        self._servers: dict[str, ServerTransaction] = {}
        self._merged: dict[str, ServerTransaction] = {}
        # By identity: flows are interned, and a transaction keeps its flow alive while it is in here.
        self._pending: dict[int, dict[str, ClientTransaction]] = {}

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    # Client side

    def send(
        self, now: float, request: Request, branch: str, flow: Flow, user: ClientUser | None
    ) -> ClientTransaction:
        """Send a request whose top Via carries `branch`; timers A and B, or E and F, start.

        One that is too large for a datagram goes by TCP if it can.
        """
        transaction = ClientTransaction(self, client_key(branch, request.method), request, flow, user)
        transaction.data = request.encode()
        if len(transaction.data) > LARGEST_DATAGRAM and flow.transport == "udp":
            stream = self._large.stream_to(flow, now)
            if stream is not None:
                transaction.datagram_flow, transaction.flow = flow, stream
                route_over(request, stream)
                transaction.data = request.encode()
        self._clients[transaction.key] = transaction
        self.counters.requests_sent[request.method] += 1
        self._send_first(transaction, now)
        invite = request.method == "INVITE"
        transaction.live_for(self.timeout, Input.TIMER_B if invite else Input.TIMER_F, now)
        return transaction

    def resume(self, request: Request, branch: str, flow: Flow, user: ClientUser | None) -> ClientTransaction:
        """An INVITE that an earlier process of ours has sent, and whose far end has answered with a 1xx at most.
        Nothing is sent, and no timer ends it: that is for whoever waits for its final response."""
        transaction = ClientTransaction(self, client_key(branch, request.method), request, flow, user)
        transaction.state = State.PROCEEDING
        self._clients[transaction.key] = transaction
        self._pending.setdefault(id(flow), {})[transaction.key] = transaction
        return transaction

    def _send_first(self, transaction: ClientTransaction, now: float) -> None:
        flow = transaction.flow
        self._pending.setdefault(id(flow), {})[transaction.key] = transaction
        self.output.append(Transmit(transaction.data, flow))
        if not flow.reliable:
            timer = Input.TIMER_A if transaction.method == "INVITE" else Input.TIMER_E
            transaction.repeat_after(self.settings.t1, timer, now)

    def receive_response(self, response: Response, now: float) -> bool:
        """Give a response to its transaction; False when there is none. Raises RemoteError when it cannot be
        read."""
        transaction = self._clients.get(client_key(response.via.branch or "", response.cseq.method))
        if transaction is None:
            return False
        self.counters.responses_received[response.status] += 1
        transaction.feed(_RECEIVED[min(response.status // 100, 3)], now, response)
        return True

    def abandon(self, transaction: ClientTransaction, now: float) -> None:
        """Forget an INVITE that was cancelled 64*T1 ago without a final response (section 9.1)."""
        transaction.feed(Input.ABANDON, now)

    def lost(self, flow: Flow, now: float, loss: Loss = UNSPECIFIC_LOSS) -> None:
        """The transport cannot send over `flow`: requests waiting on it fail (section 18.4)."""
        for transaction in list(self._pending.get(id(flow), {}).values()):
            datagram_flow, request = transaction.datagram_flow, transaction.request
            if datagram_flow is None or request is None or transaction.state is State.PROCEEDING:
                transaction.loss = loss
                transaction.feed(Input.TRANSPORT_ERROR, now)
                continue
            self._large.refused(datagram_flow, now)
            self.no_longer_pending(transaction)
            transaction.flow, transaction.datagram_flow = datagram_flow, None
            route_over(request, datagram_flow)
            transaction.data = request.encode()
            self._send_first(transaction, now)

    def waits_on(self, flow: Flow) -> bool:
        """True while a request of ours that went over `flow` has no final response."""
        return id(flow) in self._pending

    # Server side

    def find(self, key: str) -> ServerTransaction | None:
        """The server transaction of that key."""
        return self._servers.get(key)

    def find_invite(self, cancel: Request) -> ServerTransaction | None:
        """The INVITE transaction that a CANCEL means (section 9.2)."""
        return self._servers.get(server_key(cancel, "INVITE"))

    def merged(self, request: Request) -> bool:
        """True when another transaction holds the same request, that came over another path (section
        8.2.2.2)."""
        return request.to.tag is None and merge_key(request) in self._merged

    def accept(
        self, request: Request, key: str, flow: Flow, fallback: Target | None = None
    ) -> ServerTransaction:
        """Begin a server transaction; responses go over `flow`, or to `fallback` when its connection is gone."""
        try:
            merged_by = "" if request.to.tag is not None else merge_key(request)
        except RemoteError:
            merged_by = ""  # A request that is about to be refused 400 for these very headers.
        transaction = ServerTransaction(self, key, request, flow, merged_by)
        transaction.fallback = fallback
        self._servers[key] = transaction
        self.counters.request_received(request.method)
        if merged_by:
            self._merged.setdefault(merged_by, transaction)
        return transaction

    def restore(self, request: Request, key: str, flow: Flow) -> ServerTransaction:
        """A request that an earlier process of ours has received, and given no final response."""
        transaction = ServerTransaction(self, key, request, flow, merge_key(request))
        self._servers[key] = transaction
        self._merged.setdefault(transaction.merge_key, transaction)
        return transaction

    def repeat_request(self, transaction: ServerTransaction, now: float) -> None:
        """The request came again: the last response goes out again, or nothing."""
        self.counters.retransmissions_received += 1
        transaction.feed(Input.REQUEST, now)

    def acknowledge(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """An ACK of that transaction's branch came."""
        transaction.feed(Input.ACK, now, request)

    def respond(self, now: float, transaction: ServerTransaction, response: Response) -> bytes:
        """Send a response; returns its octets, none when it is ignored because a final one was sent."""
        if transaction.answered:
            return b""
        self.counters.responses_sent[response.status] += 1
        data = transaction.data = response.encode()
        transaction.feed(_SENT[min(response.status // 100, 3)], now)
        return data

    def repeat_answer(self, transaction: ServerTransaction, data: bytes, now: float) -> None:
        """The dialog sends its 2xx again (section 13.3.1.4)."""
        if transaction.state is State.ACCEPTED:
            self.counters.retransmissions_sent += 1
            transaction.data = data
            transaction.feed(Input.S2XX, now)
            transaction.data = b""

    def repeat_provisional(self, transaction: ServerTransaction, data: bytes, now: float) -> None:
        """The dialog sends a reliable 1xx again (RFC 3262 section 3)."""
        if transaction.state is State.PROCEEDING:
            self.counters.retransmissions_sent += 1
            transaction.data = data
            transaction.feed(Input.S1XX, now)

    # Called by transactions

    def no_longer_pending(self, transaction: ClientTransaction) -> None:
        """A client transaction has its final response or has failed."""
        waiting = self._pending.get(id(transaction.flow))
        if waiting is not None and waiting.pop(transaction.key, None) is not None and not waiting:
            del self._pending[id(transaction.flow)]

    def forget(self, transaction: Transaction) -> None:
        """A transaction is terminated."""
        if isinstance(transaction, ServerTransaction):
            del self._servers[transaction.key]
            if self._merged.get(transaction.merge_key) is transaction:
                del self._merged[transaction.merge_key]
        else:
            del self._clients[transaction.key]
