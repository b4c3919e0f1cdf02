"""Runs the machines of `tables.py`: transactions as small objects, one function for each verb.

A transaction that has done its work keeps only what its last states need (key, last octets, flow, timer):
message and user are let go at once, so that what lingers for 64*T1 is a tombstone and not a call. RFC 3261
section 17, RFC 6026.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol

from sip_stack.message import Message, Request, Response
from sip_stack.transaction.derived import acknowledgement
from sip_stack.transaction.tables import (
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    Input,
    State,
    Table,
    Verb,
)
from sip_stack.transport import UNSPECIFIC_LOSS, Flow, Target, Transmit

if TYPE_CHECKING:
    from sip_stack.events import FailureReason
    from sip_stack.transaction.manager import TransactionManager
    from sip_stack.transaction.timers import Timer

LINGERING = frozenset({State.ACCEPTED, State.COMPLETED, State.CONFIRMED})
"""States after the last word: the user has gone."""


class TimerOwner(Protocol):
    """Whoever may start a timer in the stack's queue."""

    def on_timer(self, kind: str, now: float) -> None:
        """The timer of that kind is over."""


class ClientUser(Protocol):
    """Who sent a request: told every response and, once, that none will come."""

    def on_response(self, transaction: ClientTransaction, response: Response, now: float) -> None:
        """A provisional or the first final response."""

    def on_failure(self, transaction: ClientTransaction, reason: FailureReason, now: float) -> None:
        """No final response will come."""


class ServerUser(Protocol):
    """Who answers an INVITE: told that it was cancelled before a final response."""

    def on_cancel(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """CANCEL was received and answered."""


class Transaction:
    """What both sides have in common."""

    __slots__ = (
        "data",
        "fallback",
        "flow",
        "interval",
        "key",
        "life",
        "loss",
        "manager",
        "method",
        "retry",
        "rows",
        "state",
    )

    def __init__(
        self, manager: TransactionManager, rows: Rows, state: State, key: str, method: str, flow: Flow
    ) -> None:
        self.manager = manager
        self.rows = rows
        self.state = state
        self.key = key
        self.method = method
        self.flow = flow
        self.fallback: Target | None = None
        """Where responses go when the connection they belong on is gone."""
        self.loss = UNSPECIFIC_LOSS
        """What became of the flow, once that is a failure."""
        self.data = b""
        """The last message sent, to be sent again."""
        self.interval = 0.0
        self.retry: Timer[TimerOwner] | None = None
        """Timer A, E or G."""
        self.life: Timer[TimerOwner] | None = None
        """The timer that ends the state or the transaction."""

    def feed(self, what: Input, now: float, message: Message | None = None) -> None:
        """Take one input: the row's next state, then its verbs. An input without a row is absorbed."""
        row = self.rows.get((self.state, what))
        if row is None:
            return
        before = self.state
        self.state, verbs = row
        for verb in verbs:
            verb(self, now, message)
        if self.state is not before:
            if self.state is State.TERMINATED:
                self._stop_timers()
                self.let_go()
                self.manager.forget(self)
            elif self.state in LINGERING:
                self.let_go()

    def on_timer(self, kind: str, now: float) -> None:
        """One of this transaction's timers is over."""
        assert isinstance(kind, Input)
        self.feed(kind, now)

    def let_go(self) -> None:
        """Drop what only an unfinished transaction needs."""
        raise NotImplementedError

    def repeat_after(self, interval: float, kind: Input, now: float) -> None:
        """Start timer A, E or G."""
        self.interval = interval
        self.retry = self.manager.timers.start(now, interval, self, kind)

    def live_for(self, duration: float, kind: Input, now: float) -> None:
        """Start the timer that ends this state, in place of the one before."""
        if self.life is not None:
            self.life.stop()
        self.life = self.manager.timers.start(now, duration, self, kind)

    def stop_repeating(self) -> None:
        """Stop timer A, E or G."""
        if self.retry is not None:
            self.retry.stop()
            self.retry = None

    def _stop_timers(self) -> None:
        self.stop_repeating()
        if self.life is not None:
            self.life.stop()
            self.life = None


class ClientTransaction(Transaction):
    """A request of ours; `user` hears its responses."""

    __slots__ = ("acknowledgements", "credentials", "datagram_flow", "highest_cseq", "request", "user")

    def __init__(
        self, manager: TransactionManager, key: str, request: Request, flow: Flow, user: ClientUser | None
    ) -> None:
        invite = request.method == "INVITE"
        rows, state = (
            (INVITE_CLIENT_ROWS, State.CALLING) if invite else (NON_INVITE_CLIENT_ROWS, State.TRYING)
        )
        super().__init__(manager, rows, state, key, request.method, flow)
        self.request: Request | None = request
        self.user = user
        self.datagram_flow: Flow | None = None
        """The UDP flow that a request sent by TCP for its size goes back to when TCP is refused."""
        self.acknowledgements: dict[str, Transmit] | None = None
        """The ACK sent for each To tag of a 2xx, to be sent again for each repetition."""
        self.credentials: tuple[tuple[str, str], ...] = ()
        """Authorization headers of the INVITE, which the ACK to a forked 2xx repeats."""
        self.highest_cseq = 0
        """What its early dialogs have counted up to, above which the BYE to a forked 2xx has to be."""

    def let_go(self) -> None:
        """Drop request and user."""
        self.manager.no_longer_pending(self)
        self.request = None
        self.user = None
        if self.state is State.ACCEPTED or self.method != "INVITE":
            self.data = b""


class ServerTransaction(Transaction):
    """A request of a peer. `request` is there until the final response."""

    __slots__ = ("dialog_tag", "merge_key", "request", "user")

    def __init__(
        self, manager: TransactionManager, key: str, request: Request, flow: Flow, merge_key: str
    ) -> None:
        invite = request.method == "INVITE"
        rows, state = (
            (INVITE_SERVER_ROWS, State.PROCEEDING) if invite else (NON_INVITE_SERVER_ROWS, State.TRYING)
        )
        super().__init__(manager, rows, state, key, request.method, flow)
        self.request: Request | None = request
        self.user: ServerUser | None = None
        self.merge_key = merge_key
        self.dialog_tag: str | None = None
        """Our tag in the responses to an INVITE: which dialog an ACK of this branch is for, whatever its To says."""

    @property
    def answered(self) -> bool:
        """True once a final response was sent."""
        return self.request is None

    def let_go(self) -> None:
        """Drop request and user; an accepted INVITE's 2xx is repeated by the dialog, so its octets go too."""
        self.request = None
        self.user = None
        if self.state is State.ACCEPTED or self.state is State.CONFIRMED:
            self.data = b""


VerbFunction = Callable[[Transaction, float, Message | None], None]
Rows = dict[tuple[State, Input], tuple[State, tuple[VerbFunction, ...]]]


def _send(transaction: Transaction, now: float, message: Message | None) -> None:
    transaction.manager.output.append(Transmit(transaction.data, transaction.flow, transaction.fallback))


def _resend(transaction: Transaction, now: float, message: Message | None) -> None:
    if transaction.data:
        transaction.manager.counters.retransmissions_sent += 1
        _send(transaction, now, message)


def _repeat_again(transaction: Transaction, interval: float, now: float) -> None:
    if transaction.retry is not None:
        kind = transaction.retry.kind
        assert isinstance(kind, Input)
        transaction.repeat_after(interval, kind, now)


def _double(transaction: Transaction, now: float, message: Message | None) -> None:
    _repeat_again(transaction, transaction.interval * 2, now)


def _double_to_t2(transaction: Transaction, now: float, message: Message | None) -> None:
    _repeat_again(transaction, min(transaction.interval * 2, transaction.manager.settings.t2), now)


def _wait_t2(transaction: Transaction, now: float, message: Message | None) -> None:
    _repeat_again(transaction, transaction.manager.settings.t2, now)


def _stop_retry(transaction: Transaction, now: float, message: Message | None) -> None:
    transaction.stop_repeating()
    if transaction.life is not None:
        transaction.life.stop()
        transaction.life = None


def _acknowledge(transaction: Transaction, now: float, message: Message | None) -> None:
    """First time: build the ACK and keep its octets. Then: the same octets again."""
    assert isinstance(transaction, ClientTransaction)
    if transaction.request is not None:
        transaction.data = acknowledgement(transaction.request, _as_response(message)).encode()
    else:
        transaction.manager.counters.retransmissions_received += 1
    _send(transaction, now, message)


def _pass_up(transaction: Transaction, now: float, message: Message | None) -> None:
    if isinstance(transaction, ServerTransaction):
        transaction.manager.upcalls.on_acknowledgement(_as_request(message), now)
        return
    assert isinstance(transaction, ClientTransaction)
    response = _as_response(message)
    if transaction.user is not None:
        transaction.user.on_response(transaction, response, now)
    elif transaction.state is State.ACCEPTED:
        _acknowledge_again(transaction, response, now)


def _acknowledge_again(transaction: ClientTransaction, response: Response, now: float) -> None:
    """A 2xx after the first: a repetition gets the same ACK, another To tag is a fork (RFC 3261 section
    13.2.2.4)."""
    manager = transaction.manager
    ack = (transaction.acknowledgements or {}).get(response.to.tag or "")
    if ack is None:
        manager.upcalls.on_forked_answer(transaction, response, now)
    else:
        manager.counters.retransmissions_received += 1
        manager.output.append(ack)


def _report(transaction: Transaction, reason: FailureReason, now: float) -> None:
    if isinstance(transaction, ClientTransaction) and transaction.user is not None:
        transaction.user.on_failure(transaction, reason, now)


def _report_timeout(transaction: Transaction, now: float, message: Message | None) -> None:
    transaction.manager.counters.timeouts += 1
    _report(transaction, "timeout", now)


def _report_transport_error(transaction: Transaction, now: float, message: Message | None) -> None:
    _report(transaction, transaction.loss.reason, now)


def _linger(
    kind: Input, duration: Callable[[TransactionManager], float], *, always: bool = False
) -> VerbFunction:
    """A verb that starts an end timer; over a reliable transport it is zero unless `always`."""

    def verb(transaction: Transaction, now: float, message: Message | None) -> None:
        zero = not always and transaction.flow.reliable
        transaction.live_for(0.0 if zero else duration(transaction.manager), kind, now)

    return verb


def _start_g_h(transaction: Transaction, now: float, message: Message | None) -> None:
    settings = transaction.manager.settings
    if not transaction.flow.reliable:
        transaction.repeat_after(settings.t1, Input.TIMER_G, now)
    transaction.live_for(transaction.manager.timeout, Input.TIMER_H, now)


def _as_response(message: Message | None) -> Response:
    assert isinstance(message, Response)
    return message


def _as_request(message: Message | None) -> Request:
    assert isinstance(message, Request)
    return message


_timeout = attrgetter("timeout")
_t4 = attrgetter("settings.t4")

VERBS: dict[Verb, VerbFunction] = {
    Verb.SEND: _send,
    Verb.RESEND: _resend,
    Verb.DOUBLE: _double,
    Verb.DOUBLE_TO_T2: _double_to_t2,
    Verb.WAIT_T2: _wait_t2,
    Verb.STOP_RETRY: _stop_retry,
    Verb.ACKNOWLEDGE: _acknowledge,
    Verb.PASS_UP: _pass_up,
    Verb.REPORT_TIMEOUT: _report_timeout,
    Verb.REPORT_TRANSPORT_ERROR: _report_transport_error,
    # RFC 3261 table 4: D at least 32 s, I and K T4, J 64*T1, all zero over TCP; RFC 6026: L and M 64*T1
    # always.
    Verb.START_D: _linger(Input.TIMER_D, _timeout),
    Verb.START_G_H: _start_g_h,
    Verb.START_I: _linger(Input.TIMER_I, _t4),
    Verb.START_J: _linger(Input.TIMER_J, _timeout),
    Verb.START_K: _linger(Input.TIMER_K, _t4),
    Verb.START_L: _linger(Input.TIMER_L, _timeout, always=True),
    Verb.START_M: _linger(Input.TIMER_M, _timeout, always=True),
}


def _rows(table: Table) -> Rows:
    return {pair: (state, tuple(VERBS[verb] for verb in verbs)) for pair, (state, verbs) in table.items()}


INVITE_CLIENT_ROWS = _rows(INVITE_CLIENT)
NON_INVITE_CLIENT_ROWS = _rows(NON_INVITE_CLIENT)
INVITE_SERVER_ROWS = _rows(INVITE_SERVER)
NON_INVITE_SERVER_ROWS = _rows(NON_INVITE_SERVER)
