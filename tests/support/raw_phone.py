"""A phone on the fake network that writes its messages by hand, for what our own stack would never say."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable

from sip_stack.errors import LossReason, RemoteError
from sip_stack.message import Request, Response, parse_message, response_to
from sip_stack.transport import Flow
from tests.support.fake_network import FakeAsyncNetwork

_numbers = itertools.count(1)
Heard = Request | Response


class RawPhone:
    """One dialog at `host`, calling `user` at the B2BUA. `heard` is all that arrived, repetitions included."""

    def __init__(self, network: FakeAsyncNetwork, host: str, server: str, user: str) -> None:
        number = next(_numbers)
        self.host = host
        self.heard: list[Heard] = []
        self.contact = f"sip:raw@{host}:5060"
        self.headers: list[str] = []
        """More lines for its requests."""
        self.replaced: set[str] = set()
        """Names of usual lines that are left out, being among `headers`."""
        self._server = (server, 5060)
        self._user = user
        self._call_id = f"raw-{number}"
        self._to_tag = ""
        self._cseq = 0
        self._invite = b""
        """The first one, as it was sent."""
        self._news = asyncio.Event()
        self._socket = network.open((host, 5060), self)

    # What the fake network asks of a receiver.

    def received(self, data: bytes, flow: Flow, fault: RemoteError | None = None) -> None:
        """A datagram arrived; BYE is answered, whatever it is for."""
        message = parse_message(data)
        self.heard.append(message)
        if isinstance(message, Response) and message.to.tag:
            self._to_tag = message.to.tag
        if isinstance(message, Request) and message.method == "BYE":
            self._send(response_to(message, 200).encode())
        self._news.set()

    def flush(self) -> None:
        """Nothing is held back here."""

    def hears(self, source: str) -> bool:
        """Everybody."""
        return True

    def lost(self, flow: Flow, detail: str, reason: LossReason = "transport") -> None:
        """The fake network loses without saying so."""

    def needs(self, flow: Flow) -> bool:
        """There are no connections here."""
        return False

    # What it says.

    def invite(self, body: bytes = b"") -> int:
        """Send an INVITE, or a re-INVITE once there is a dialog; returns its CSeq number."""
        self._cseq += 1
        self._request("INVITE", self._cseq, body)
        return self._cseq

    def cancel(self) -> None:
        """CANCEL of the first INVITE: its lines, and no body (RFC 3261 section 9.1)."""
        head = self._invite.partition(b"\r\n\r\n")[0].split(b"\r\n")
        lines = [line for line in head if not line.startswith((b"Content-", b"Contact", b"Supported"))]
        request = b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])
        self._send(
            request.replace(b"INVITE sip:", b"CANCEL sip:", 1).replace(b" INVITE\r\n", b" CANCEL\r\n", 1)
        )

    def acknowledge(self, cseq: int, body: bytes = b"") -> None:
        """ACK to the 2xx of that INVITE."""
        self._request("ACK", cseq, body)

    def prack(self, response: Response, body: bytes = b"") -> int:
        """PRACK to a reliable provisional response; returns its CSeq number."""
        self._cseq += 1
        rack = f"RAck: {response.headers.get('RSeq')} {response.headers.get('CSeq')}"
        self._request("PRACK", self._cseq, body, lines=(rack,))
        return self._cseq

    def update(self, body: bytes = b"") -> int:
        """UPDATE; returns its CSeq number."""
        self._cseq += 1
        self._request("UPDATE", self._cseq, body)
        return self._cseq

    def info(self, body: bytes, content_type: str) -> None:
        """Send an INFO."""
        self._cseq += 1
        self._request("INFO", self._cseq, body, content_type)

    def bye(self) -> None:
        """Hang up."""
        self._cseq += 1
        self._request("BYE", self._cseq, b"")

    # What it hears.

    async def final(self, method: str, cseq: int, patience: float = 60.0) -> Response:
        """The first final response to that request."""
        found = await self._until(
            lambda message: (
                isinstance(message, Response)
                and message.status >= 200
                and (message.cseq.method, message.cseq.number) == (method, cseq)
            ),
            patience,
        )
        assert isinstance(found, Response)
        return found

    async def progress(self, status: int, patience: float = 60.0) -> Response:
        """The first response with that provisional status."""
        found = await self._until(
            lambda message: isinstance(message, Response) and message.status == status, patience
        )
        assert isinstance(found, Response)
        return found

    async def request(self, method: str, patience: float = 60.0) -> Request:
        """The first request of that method."""
        found = await self._until(
            lambda message: isinstance(message, Request) and message.method == method, patience
        )
        assert isinstance(found, Request)
        return found

    async def _until(self, wanted: Callable[[Heard], bool], patience: float) -> Heard:
        async with asyncio.timeout(patience):
            while True:
                for message in self.heard:
                    if wanted(message):
                        return message
                self._news.clear()
                await self._news.wait()

    def _request(
        self,
        method: str,
        cseq: int,
        body: bytes,
        content_type: str = "application/sdp",
        lines: Iterable[str] = (),
    ) -> None:
        lines = [
            f"{method} sip:{self._user}@{self._server[0]} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:5060;branch=z9hG4bKraw{next(_numbers)};rport",
            "Max-Forwards: 70",
            f"From: <sip:raw@{self.host}>;tag=raw",
            f"To: <sip:{self._user}@{self._server[0]}>" + (f";tag={self._to_tag}" if self._to_tag else ""),
            f"Call-ID: {self._call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <{self.contact}>",
            *self.headers,
            *lines,
            *([f"Content-Type: {content_type}"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        usual = [
            line for line in lines if line in self.headers or line.partition(":")[0] not in self.replaced
        ]
        data = "\r\n".join([*usual, "", ""]).encode() + body
        self._invite = self._invite or data
        self._send(data)

    def _send(self, data: bytes) -> None:
        flow = Flow("udp", (self.host, 5060), self._server, (self.host, 5060))
        self._socket.send(data, flow)
