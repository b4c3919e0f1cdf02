"""The metrics of SIP: messages, transactions, connections, and who is not let in."""

from __future__ import annotations

from b2bua.admission import AdmissionCounters
from b2bua.metrics.family import Sources, Values, by_name, counter, gauge, one
from sip_stack.aio.connections import ConnectionCounters
from sip_stack.aio.stack import SipStack
from sip_stack.counters import Counters


def _stack(sources: Sources) -> SipStack:
    return sources.registry.services.stack


def _counters(sources: Sources) -> Counters:
    return _stack(sources).endpoint.counters


def _connections(sources: Sources) -> ConnectionCounters:
    return _stack(sources).connection_counters


def _admission(sources: Sources) -> AdmissionCounters:
    return sources.registry.trunks.doorkeeper.counters


def _requests(sources: Sources) -> Values:
    counters = _counters(sources)
    for direction, methods in (
        ("received", counters.requests_received),
        ("sent", counters.requests_sent),
    ):
        yield from (((direction, method), count) for method, count in methods.items())


def _responses(sources: Sources) -> Values:
    counters = _counters(sources)
    for direction, statuses in (
        ("received", counters.responses_received),
        ("sent", counters.responses_sent),
    ):
        yield from (((direction, str(status)), count) for status, count in statuses.items())


def _retransmissions(sources: Sources) -> Values:
    counters = _counters(sources)
    yield ("received",), counters.retransmissions_received
    yield ("sent",), counters.retransmissions_sent


def _large(sources: Sources) -> Values:
    counters = _counters(sources)
    yield ("tcp",), counters.large_by_stream
    yield ("udp",), counters.large_datagrams


def _ended(sources: Sources) -> Values:
    return [((cause,), count) for cause, count in _connections(sources).ended.items()]


FAMILIES = (
    counter(
        "sip_requests",
        "Requests that began a transaction, by method.",
        ("direction", "method"),
        _requests,
    ),
    counter(
        "sip_responses", "Responses within transactions, by status.", ("direction", "status"), _responses
    ),
    gauge(
        "sip_transactions",
        "Transactions held, those included that linger for retransmissions.",
        (),
        one(lambda sources: _stack(sources).endpoint.transaction_count),
    ),
    gauge(
        "sip_dialogs",
        "INVITE sessions held, both sides of each call.",
        (),
        one(lambda sources: _stack(sources).endpoint.session_count),
    ),
    counter(
        "sip_retransmissions",
        "Messages that were repeated: by us on a timer, or by others.",
        ("direction",),
        _retransmissions,
    ),
    counter(
        "sip_timeouts",
        "Transactions that ended by silence.",
        (),
        one(lambda sources: _counters(sources).timeouts),
    ),
    counter(
        "sip_messages_received",
        "Datagrams and framed messages taken in.",
        (),
        one(lambda sources: _counters(sources).received),
    ),
    counter(
        "sip_parse_errors",
        "Messages that were malformed.",
        (),
        one(lambda sources: _counters(sources).parse_errors),
    ),
    counter(
        "sip_dropped_messages",
        "Messages dropped: unread or unheard by the gate, unanswerable, or strays that belong to nothing.",
        ("reason",),
        by_name(_counters, "unread", "unheard", "unanswerable", "strays"),
    ),
    counter(
        "sip_refused_requests",
        "Requests that the stack refused by itself, with or without a transaction.",
        (),
        one(lambda sources: _counters(sources).refused),
    ),
    counter(
        "sip_over_limit_requests",
        "Requests refused because there were too many transactions or dialogs.",
        (),
        one(lambda sources: _counters(sources).over_limit),
    ),
    counter(
        "sip_forked_answers",
        "2xx from further forks, acknowledged and hung up.",
        (),
        one(lambda sources: _counters(sources).forked_answers),
    ),
    counter(
        "sip_large_requests", "Requests over 1300 octets, by what they went over.", ("transport",), _large
    ),
    counter(
        "sip_lost_flows",
        "Times that sending failed or a connection was over.",
        (),
        one(lambda sources: _counters(sources).lost_flows),
    ),
    counter(
        "sip_send_dropped_datagrams",
        "Datagrams given up because the kernel would not take them.",
        (),
        one(lambda sources: _stack(sources).datagrams_dropped),
    ),
    gauge(
        "sip_connections_open",
        "Accepted TCP and TLS connections that are open.",
        (),
        one(lambda sources: _stack(sources).accepted_now),
    ),
    counter(
        "sip_connections",
        "TCP and TLS connections by what became of them: accepted, rejected (too many), connected by us, or not.",
        ("event",),
        by_name(_connections, "accepted", "rejected", "connected", "connect_failures"),
    ),
    counter("sip_connections_ended", "Established connections that are over, by cause.", ("cause",), _ended),
    counter(
        "sip_tls_handshakes",
        "TLS handshakes completed, of either side's making.",
        (),
        one(lambda sources: _connections(sources).handshakes),
    ),
    counter(
        "sip_tls_handshake_failures",
        "TLS handshakes that failed, took too long, or showed the wrong peer.",
        (),
        one(lambda sources: _connections(sources).handshake_failures),
    ),
    counter(
        "admission",
        "What admission did: calls and messages refused or dropped by reason, scanners, lock-outs.",
        ("event",),
        by_name(_admission, *AdmissionCounters.__slots__),
    ),
    gauge(
        "overloaded",
        "1 while new calls are refused because this machine is overloaded.",
        (),
        one(lambda sources: sources.registry.trunks.doorkeeper.overload.active),
    ),
)
