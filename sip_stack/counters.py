"""Counters of one endpoint: plain integers, read by whoever exports them."""

from __future__ import annotations

from collections import Counter

from sip_stack.message.methods import METHODS

OTHER_METHOD = "other"
"""What methods that we do not know count as: anybody may send any."""


class Counters:
    """What the endpoint saw and did since its start."""

    __slots__ = (
        "forked_answers",
        "keepalives",
        "large_by_stream",
        "large_datagrams",
        "lost_flows",
        "no_flow",
        "over_limit",
        "parse_errors",
        "received",
        "refused",
        "requests_received",
        "requests_sent",
        "responses_received",
        "responses_sent",
        "retransmissions_received",
        "retransmissions_sent",
        "sessions",
        "strays",
        "timeouts",
        "unanswerable",
        "unheard",
        "unread",
    )

    def __init__(self) -> None:
        self.received = 0
        """Datagrams or framed messages taken in."""
        self.keepalives = 0
        """Empty packets (RFC 5626 section 3.5.1)."""
        self.parse_errors = 0
        """Messages that could not be read at all."""
        self.unanswerable = 0
        """Malformed messages whose answer would have nowhere to go, malformed responses included."""
        self.unheard = 0
        """Requests the gate silenced: read, and dropped without an answer."""
        self.unread = 0
        """Messages of sources that the gate does not hear; dropped without being read."""
        self.refused = 0
        """Requests the endpoint answered >= 400 by itself."""
        self.over_limit = 0
        """Requests answered 503, or own requests refused, because of a limit."""
        self.retransmissions_received = 0
        """Repeated requests and final responses that a transaction absorbed or answered."""
        self.retransmissions_sent = 0
        """Messages we repeated on a timer."""
        self.strays = 0
        """Responses and ACKs that belong to nothing."""
        self.forked_answers = 0
        """2xx from further forks, ACKed and BYEd."""
        self.requests_received: Counter[str] = Counter()
        """Server transactions begun, by method."""
        self.requests_sent: Counter[str] = Counter()
        """Client transactions begun, by method."""
        self.responses_received: Counter[int] = Counter()
        """Responses to our requests, by status."""
        self.responses_sent: Counter[int] = Counter()
        """Responses of transactions, by status; not those without one, which are in `refused`."""
        self.sessions = 0
        """INVITE sessions begun, both sides."""
        self.timeouts = 0
        """Transactions that ended by silence."""
        self.large_by_stream = 0
        """Requests over 1300 octets that went by TCP in place of UDP."""
        self.large_datagrams = 0
        """Requests over 1300 octets that had to go by UDP: the network may lose their fragments."""
        self.lost_flows = 0
        """Calls of `Endpoint.lost`."""
        self.no_flow = 0
        """Times that the flow of the dialog was used because its remote target had none."""

    def request_received(self, method: str) -> None:
        """A server transaction begins."""
        self.requests_received[method if method in METHODS else OTHER_METHOD] += 1
