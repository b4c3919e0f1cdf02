"""What all sessions of one endpoint share: transactions, timers, outputs, settings; and the texts they put in
messages.

RFC 3261 sections 8.1.1 (Via, Contact), 8.2.6 (responses). It holds no rule about dialogs or sessions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from sip_stack.counters import Counters
from sip_stack.dialog.ended import EndedDialogs
from sip_stack.errors import RemoteError, TransportError
from sip_stack.extensions import NEGOTIATED, Extensions
from sip_stack.gate import Gate, OpenGate
from sip_stack.locating import DEFAULT_PORTS
from sip_stack.message import (
    MAGIC_COOKIE,
    Request,
    Response,
    SipUri,
    format_host_port,
    parse_uri,
    response_to,
)
from sip_stack.settings import EndpointSettings
from sip_stack.transaction import ServerTransaction, TimerOwner, TimerQueue, TransactionManager, Upcalls
from sip_stack.transport import Flow, FlowFor, Target, TlsPeer, Transmit

if TYPE_CHECKING:
    from sip_stack.dialog.session import Session
    from sip_stack.events import Event

PROGRESS_INTERVAL = 60.0
"""Seconds after which a pending INVITE's last 1xx is repeated, so that no proxy's timer C fires (section
13.3.1.1)."""

MAX_CAPABILITIES = 1024
"""Sets of extensions whose lines are kept: as many as peers are configured, and those of before a reload."""

HeaderLines = Iterable[tuple[str, str]]
_TRANSPORTS = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}
_PRIVATE = tuple(
    map(
        ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7"),
    )
)
"""What a NAT may hide (RFC 1918, RFC 6598, RFC 3927, RFC 4193). Python's `is_private` is wider, documentation
addresses included."""


def _always(flow: Flow) -> bool:
    return True


class Core:
    """The shared part of an endpoint, as sessions see it."""

    __slots__ = (
        "_capabilities",
        "counters",
        "ended",
        "events",
        "flow_for",
        "gate",
        "held",
        "is_connected",
        "output",
        "server_headers",
        "sessions",
        "settings",
        "timers",
        "token",
        "transactions",
        "user_agent_headers",
    )

    def __init__(
        self,
        *,
        token: Callable[[], str],
        settings: EndpointSettings,
        flow_for: FlowFor | None,
        upcalls: Upcalls,
        is_connected: Callable[[Flow], bool] = _always,
    ) -> None:
        self.token = token
        self.settings = settings
        self.flow_for = flow_for
        self.is_connected = is_connected
        self.held: Counter[Flow] = Counter()
        """Connections that sessions live on, and how many."""
        self.gate: Gate = OpenGate()
        self.counters = Counters()
        self.output: list[Transmit] = []
        self.events: list[Event] = []
        self.sessions: dict[str, Session] = {}
        """Live INVITE sessions by `session_key`."""
        self.ended = EndedDialogs()
        lanes = (settings.timeout, settings.t1, settings.t2, settings.t4, PROGRESS_INTERVAL, 0.0)
        self.timers: TimerQueue[TimerOwner] = TimerQueue(lanes)
        self.transactions = TransactionManager(
            settings, self.timers, self.output, self.counters, upcalls, flow_for
        )
        name = settings.user_agent
        self.user_agent_headers: list[tuple[str, str]] = [("User-Agent", name)] if name else []
        self.server_headers: list[tuple[str, str]] = [("Server", name)] if name else []
        self._capabilities: dict[Extensions | None, tuple[tuple[str, str], ...]] = {}

    def branch(self) -> str:
        """A branch for a new client transaction (RFC 3261 section 8.1.1.7)."""
        return f"{MAGIC_COOKIE}{self.token()}"

    def capabilities(self, extensions: Extensions | None = None) -> tuple[tuple[str, str], ...]:
        """Allow and Supported, as INVITE, its 2xx and OPTIONS carry them: of a session with these extensions, or all
        that we know."""
        lines = self._capabilities.get(extensions)
        if lines is None:
            if len(self._capabilities) >= MAX_CAPABILITIES:
                self._capabilities.clear()
            lines = self._capabilities[extensions] = self._capability_lines(extensions)
        return lines

    def _capability_lines(self, extensions: Extensions | None) -> tuple[tuple[str, str], ...]:
        tags = list(self.settings.supported)
        if extensions is not None:
            tags = [tag for tag in tags if tag not in NEGOTIATED or tag in extensions.tags]
        supported = (("Supported", ", ".join(tags)),) if tags else ()
        return (("Allow", ", ".join(self.settings.allow)), *supported)

    def hold(self, flow: Flow) -> None:
        """A session lives on this flow: its connection is not idle while silent."""
        if flow.reliable:
            self.held[flow] += 1

    def release(self, flow: Flow) -> None:
        """The session has moved on or is over."""
        if flow.reliable:
            self.held[flow] -= 1
            if not self.held[flow]:
                del self.held[flow]

    def respond(
        self,
        now: float,
        transaction: ServerTransaction,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> bytes:
        """Answer a request; returns the octets. Ignored, with empty octets, when it has its final response
        already."""
        request = transaction.request
        if request is None:
            return b""
        lines = [*headers, *self.server_headers, *body_headers(body, content_type)]
        response = response_to(request, status, reason, to_tag=to_tag, headers=lines, body=body)
        return self.transactions.respond(now, transaction, response)

    def flow_toward(self, uri: str, current: Flow) -> Flow:
        """The flow for the next hop `uri` of a dialog that lives on `current` (RFC 3261 section 12.2.1.1).

        A host name that is no address literal, and a peer behind a NAT (private address in its Contact while
        its packets come from a public one), stay on `current`; so does a target that no transport reaches.
        A connection to the host is used whatever port is named, for as long as it is there: behind a NAT or a
        firewall it is the only way (section 18.2.2 for responses, RFC 5923 for requests). What is on TLS stays on
        TLS, with whom it was verified for: a target elsewhere has to show the same name.
        """
        named = _target(uri)
        if named is None or self.flow_for is None:
            return current
        transport, host, port = named
        if current.transport == "tls" and transport not in ("", "tls"):
            return current
        same_host = host == current.remote[0] and transport in ("", current.transport)
        if (
            same_host
            and ((port or 5060) == current.remote[1] or current.reliable)
            and self.is_connected(current)
        ):
            return current
        if host != current.remote[0] and _is_private(host) and not _is_private(current.remote[0]):
            return current
        if not transport:
            # RFC 3263 section 4.1 says UDP; the same host is better asked the way it asked us, and TLS never left.
            transport = current.transport if same_host or current.transport == "tls" else "udp"
        peer = current.peer or TlsPeer("")
        target = Target(transport, host, port or DEFAULT_PORTS[transport], peer.name, peer.terms)
        try:
            flow = self.flow_for(target, current)
        except TransportError:
            self.counters.no_flow += 1
            return current
        self.gate.expect(flow.remote[0])
        return flow


def session_key(call_id: str, local_tag: str) -> str:
    """Where a session is found: by what we and the peer agreed on first, never by source address."""
    return f"{call_id} {local_tag}"


def via(flow: Flow, branch: str) -> str:
    """The Via of a request of ours over `flow`; it always asks for symmetric responses (RFC 3581)."""
    host, port = flow.sent_by
    return f"SIP/2.0/{_TRANSPORTS[flow.transport]} {format_host_port(host, port)};branch={branch};rport"


def contact(flow: Flow, user: str, *, secure: bool = False) -> str:
    """Our Contact toward the peer of `flow`; `secure`: a SIPS URI, for a dialog that began with one."""
    host, port = flow.sent_by
    at = f"{user}@" if user else ""
    if secure and flow.transport == "tls":
        return f"<sips:{at}{format_host_port(host, port)}>"
    transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
    return f"<sip:{at}{format_host_port(host, port)}{transport}>"


def is_secure(request: Request) -> bool:
    """True when the dialog of this INVITE keeps to SIPS URIs (RFC 3261 sections 8.1.1.8 and 12.1.1)."""
    if request.uri[:5].lower() == "sips:":
        return True
    nearest = next(iter(request.record_routes), None) or request.contact
    return nearest is not None and nearest.uri[:5].lower() == "sips:"


def body_headers(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Content-Type, when there is a body to type."""
    return [("Content-Type", content_type)] if body and content_type else []


@lru_cache(maxsize=4096)
def _target(uri: str) -> tuple[str, str, int | None] | None:
    """Transport ("" when not said), host and port, when said, of a SIP URI with an address literal; else None."""
    try:
        parsed = parse_uri(uri)
    except RemoteError:
        return None
    if not isinstance(parsed, SipUri):
        return None
    host = parsed.param("maddr") or parsed.host
    try:
        ip_address(host)
    except ValueError:
        return None
    transport = "tls" if parsed.scheme == "sips" else (parsed.param("transport") or "").lower()
    return (transport, host, parsed.port) if transport in ("", *DEFAULT_PORTS) else None


@lru_cache(maxsize=4096)
def _is_private(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE if network.version == address.version)


def copy_of(request: Request, *, branch: str, flow: Flow, cseq: int) -> Request:
    """The same request as a new transaction: new branch and CSeq, everything else as it was (RFC 3261 section
    8.1.3.5)."""
    headers = request.headers.copy()
    headers.set("Via", via(flow, branch))
    headers.set("CSeq", f"{cseq} {request.method}")
    return Request(request.method, request.uri, headers, request.body)


def authorization_of(request: Request) -> tuple[tuple[str, str], ...]:
    """The credentials a request carried, for the ACK to its 2xx (RFC 3261 section 13.2.2.4)."""
    return tuple(
        (name, value)
        for name in ("Authorization", "Proxy-Authorization")
        for value in request.headers.get_all(name)
    )


def is_challenge(response: Response) -> bool:
    """401 or 407."""
    return response.status == 401 or response.status == 407
