"""Requests that are too large for one datagram go by TCP where the peer takes it (RFC 3261 section 18.1.1).

Only that request: its Via says TCP, the dialog stays where it is. A peer that refused TCP gets a datagram that the
network has to fragment, at once for some minutes.
"""

from __future__ import annotations

from sip_stack.counters import Counters
from sip_stack.errors import TransportError
from sip_stack.message import Request
from sip_stack.transport import Address, Flow, FlowFor, Target

LARGEST_DATAGRAM = 1300
"""Octets of a request that are sent as a datagram without a second thought: the path's MTU is not known."""
REFUSAL_LASTS = 300.0
"""Seconds until a peer that refused TCP is asked again."""
MAX_REFUSALS = 4096


class LargeRequests:
    """Finds the way for large requests and remembers the peers without TCP."""

    __slots__ = ("_counters", "_flow_for", "_refused_until")

    def __init__(self, counters: Counters, flow_for: FlowFor | None) -> None:
        """Without `flow_for` there is no other way than the datagram."""
        self._counters = counters
        self._flow_for = flow_for
        self._refused_until: dict[Address, float] = {}

    def stream_to(self, flow: Flow, now: float) -> Flow | None:
        """The TCP flow for a request that was to go over the UDP `flow`; None when it has to be a datagram."""
        stream = None
        if self._flow_for is not None and self._refused_until.get(flow.remote, now) <= now:
            try:
                stream = self._flow_for(Target("tcp", *flow.remote), flow)
            except TransportError:
                stream = None
        if stream is None:
            self._counters.large_datagrams += 1
        else:
            self._counters.large_by_stream += 1
        return stream

    def refused(self, flow: Flow, now: float) -> None:
        """The peer of the UDP `flow` did not take a request by TCP."""
        self._counters.large_datagrams += 1
        refused = self._refused_until
        if len(refused) >= MAX_REFUSALS:
            del refused[next(iter(refused))]
        refused[flow.remote] = now + REFUSAL_LASTS


def route_over(request: Request, flow: Flow) -> None:
    """Make the one Via of a request of ours say `flow`, its branch kept."""
    host, port = flow.sent_by
    request.headers.set(
        "Via", str(request.via._replace(transport=flow.transport.upper(), host=host, port=port))
    )
