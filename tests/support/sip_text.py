"""SIP messages as a peer would write them, for tests that speak to an endpoint by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from sip_stack.dialog import ClientSession
from sip_stack.endpoint import Endpoint
from sip_stack.events import Event
from sip_stack.extensions import Extensions
from sip_stack.message import NameAddr, Request, Response, parse_message
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Flow, Target, Transmit

US = ("10.0.0.1", 5060)
THEM = ("10.0.0.2", 5060)
FLOW = Flow("udp", US, THEM, US)

_branches = itertools.count(1)


def sip_request(
    method: str,
    *,
    uri: str = "sip:us@10.0.0.1",
    branch: str | None = None,
    via: str | None = None,
    from_tag: str = "them",
    to_tag: str | None = None,
    call_id: str = "call-1",
    cseq: int = 1,
    contact: str | None = "<sip:them@10.0.0.2:5060>",
    headers: Iterable[str] = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
) -> bytes:
    """A request from THEM to US. `branch` is a new one unless given; `headers` are whole lines."""
    branch = branch or f"z9hG4bKthem{next(_branches)}"
    lines = [
        f"{method} {uri} SIP/2.0",
        via or f"Via: SIP/2.0/UDP 10.0.0.2:5060;branch={branch};rport",
        f"From: <sip:them@10.0.0.2>;tag={from_tag}",
        "To: <sip:us@10.0.0.1>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *headers,
    ]
    if contact and method in ("INVITE", "UPDATE", "OPTIONS"):
        lines.append(f"Contact: {contact}")
    if not any(line.startswith("Max-Forwards") for line in lines):
        lines.append("Max-Forwards: 70")
    if body:
        lines.append(f"Content-Type: {content_type}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def parsed_request(method: str, uri: str = "sip:us@10.0.0.1") -> Request:
    """The same as a message."""
    request = parse_message(sip_request(method, uri=uri))
    assert isinstance(request, Request)
    return request


def sip_response(
    request: Request,
    status: int,
    *,
    to_tag: str | None = "them",
    headers: Iterable[str] = (),
    body: bytes = b"",
) -> bytes:
    """A response from THEM to a request of ours."""
    lines = [f"SIP/2.0 {status} Whatever"]
    lines += [f"Via: {value}" for value in request.headers.get_all("Via")]
    to = request.headers.get("To") or ""
    if to_tag and "tag=" not in to:
        to += f";tag={to_tag}"
    lines += [
        f"From: {request.headers.get('From')}",
        f"To: {to}",
        f"Call-ID: {request.call_id}",
        f"CSeq: {request.headers.get('CSeq')}",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Alone:
    """One endpoint at US with nobody on the other side but the test."""

    def __init__(self, settings: EndpointSettings | None = None) -> None:
        tokens = itertools.count(1)
        self.asked_flows: list[Target] = []
        self.endpoint = Endpoint(
            token=lambda: f"us{next(tokens):04d}",
            settings=settings or EndpointSettings(),
            flow_for=self._flow_for,
        )
        self.now = 0.0
        self.transmits: list[Transmit] = []
        """All that was sent so far."""
        self.events: list[Event] = []
        """All that was told so far."""

    def invite(self, body: bytes, extensions: Extensions, **options: object) -> tuple[ClientSession, Request]:
        """We call; the session, and what was sent."""
        session = self.endpoint.invite(
            self.now,
            flow=FLOW,
            uri="sip:them@10.0.0.2",
            from_=NameAddr.parse("<sip:us@10.0.0.1>"),
            to=NameAddr.parse("<sip:them@10.0.0.2>"),
            body=body,
            extensions=extensions,
            **options,  # type: ignore[arg-type]
        )
        (invite,) = self.drain()
        assert isinstance(invite, Request)
        return session, invite

    def receive(self, data: bytes, flow: Flow = FLOW) -> list[Request | Response]:
        """A datagram arrives; returns what is sent because of it."""
        self.endpoint.receive(data, flow, self.now)
        return self.drain()

    def wait(self, seconds: float) -> list[Request | Response]:
        """Time goes by; returns what is sent meanwhile."""
        until = self.now + seconds
        sent = self.drain()
        while (due := self.endpoint.next_timer()) is not None and due <= until:
            self.now = max(self.now, due)
            self.endpoint.handle_timer(self.now)
            sent += self.drain()
        self.now = until
        return sent

    def drain(self) -> list[Request | Response]:
        """What the endpoint has to send and to tell now."""
        transmits = self.endpoint.transmits()
        self.transmits += transmits
        self.events += self.endpoint.events()
        return [parse_message(transmit.data) for transmit in transmits]

    def names(self) -> list[str]:
        """The kinds of all events so far."""
        return [type(event).__name__ for event in self.events]

    def _flow_for(self, target: Target, like: Flow | None = None) -> Flow:
        self.asked_flows.append(target)
        return Flow(target.transport, US, (target.host, target.port), US)


def statuses(messages: Iterable[Request | Response]) -> list[int | str]:
    """Statuses of responses, methods of requests."""
    return [message.status if isinstance(message, Response) else message.method for message in messages]


def only(messages: Iterable[Request | Response]) -> Response:
    """The one message that was sent, a response."""
    (message,) = messages
    assert isinstance(message, Response)
    return message
