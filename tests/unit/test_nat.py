"""Us behind a NAT, and peers behind one, over UDP and TCP on loopback, whose addresses here count as public ones."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from sip_stack.aio.advertise import AdvertisedAddresses
from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.events import Acknowledged, Answered, Ended, InviteReceived, OutOfDialogCompleted
from sip_stack.message import NameAddr, Request, Response, parse_message
from sip_stack.transport import Target
from tests.support.tcp_stack import SDP, Listening, Party, Wire, party, run, wire

PUBLIC = "203.0.113.10"
"""What the NAT in front of us is called."""
PRIVATE = "192.168.1.20"
"""What a phone behind a NAT calls itself."""


class Phone:
    """A peer by hand, on a UDP socket or a TCP connection."""

    def __init__(
        self, send: Callable[[bytes], object], receive: Callable[[], object], transport: str
    ) -> None:
        self.send = send
        self._receive = receive
        self.transport = transport

    @classmethod
    def on_wire(cls, connection: Wire) -> Phone:
        return cls(connection.send, connection.message, "TCP")

    @classmethod
    def on_socket(cls, sock: socket.socket, peer: tuple[str, int]) -> Phone:
        async def receive() -> Request | Response:
            return parse_message(await asyncio.get_running_loop().sock_recv(sock, 65535))

        return cls(lambda data: sock.sendto(data, peer), receive, "UDP")

    async def message(self) -> Request | Response:
        return await self._receive()  # type: ignore[misc]

    async def response(self, status: int) -> Response:
        message = await self.message()
        assert isinstance(message, Response)
        assert message.status == status
        return message

    async def request(self, method: str) -> Request:
        message = await self.message()
        assert isinstance(message, Request)
        assert message.method == method
        return message

    def ask(
        self, method: str, branch: str, *, to_tag: str | None = None, headers: tuple[str, ...] = ()
    ) -> None:
        """Send a request as a phone does that knows only its private address."""
        body = SDP if method == "INVITE" else b""
        lines = [
            f"{method} sip:us@example.com SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {PRIVATE}:5060;branch=z9hG4bK{branch};rport",
            f"From: <sip:phone@{PRIVATE}>;tag=phone",
            "To: <sip:us@example.com>" + (f";tag={to_tag}" if to_tag else ""),
            "Call-ID: behind-a-nat",
            f"CSeq: 1 {method}",
            f"Contact: <sip:phone@{PRIVATE}:5060;transport={self.transport.lower()}>",
            "Max-Forwards: 70",
            *headers,
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        ]
        self.send("\r\n".join([*lines, "", ""]).encode() + body)


@asynccontextmanager
async def phone(us: Party, transport: str) -> AsyncIterator[Phone]:
    """A phone that sends to us."""
    if transport == "tcp":
        async with wire(us.port("tcp")) as connection:
            yield Phone.on_wire(connection)
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield Phone.on_socket(sock, ("127.0.0.1", us.port("udp")))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("through_a_proxy", [False, True])
def test_a_phone_behind_a_nat_is_answered_and_hung_up_where_it_sends_from(
    transport: str, through_a_proxy: bool
) -> None:
    """Neither its Via nor its Contact leads anywhere, nor does the Record-Route of a proxy beside it."""
    headers = ("Record-Route: <sip:10.1.2.3;lr>",) if through_a_proxy else ()

    async def main() -> None:
        async with party(Listen(transport, "127.0.0.1", 0)) as us, phone(us, transport) as peer:
            peer.ask("INVITE", "i", headers=headers)
            session = (await us.until(InviteReceived)).session
            us.do(lambda now: session.answer(now, body=SDP))
            via = (await peer.response(100)).via
            assert via.received == "127.0.0.1"
            assert via.params.get("rport") == str(session.flow.remote[1])
            tag = (await peer.response(200)).to.tag
            peer.ask("ACK", "a", to_tag=tag)
            await us.until(Acknowledged)
            us.do(session.bye)
            bye = await peer.request("BYE")
            assert bye.uri.startswith(f"sip:phone@{PRIVATE}:5060")
            assert bye.headers.get_all("Route") == (["<sip:10.1.2.3;lr>"] if through_a_proxy else [])
            assert us.stack.connection_counters.connect_failures == 0

    run(main())


@asynccontextmanager
async def translated(*listens: Listen) -> AsyncIterator[Party]:
    """A stack that is told to call itself by the address of its NAT."""
    stack = SipStack(advertise=AdvertisedAddresses(lambda peer: PUBLIC))
    bound = await stack.start(listens)
    try:
        yield Party(stack, bound)
    finally:
        await stack.close()


def response(request: Request, status: int, contact: str = "") -> bytes:
    to = request.headers.get("To") or ""
    lines = [f"SIP/2.0 {status} Whatever", f"Via: {request.headers.get('Via')}"]
    lines += [f"{name}: {request.headers.get(name)}" for name in ("From", "Call-ID", "CSeq")]
    lines += [f"To: {to}" if "tag=" in to else f"To: {to};tag=far", f"Contact: <{contact}>"]
    return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_behind_a_nat_we_call_ourselves_by_its_address(transport: str) -> None:
    async def main() -> None:
        async with translated(Listen(transport, "127.0.0.1", 0)) as us:
            port = us.port(transport)
            suffix = ";transport=tcp" if transport == "tcp" else ""
            with Listening() as stream, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind(("127.0.0.1", 0))
                sock.setblocking(False)
                far_port = stream.port if transport == "tcp" else sock.getsockname()[1]
                call = us.call("127.0.0.1", far_port, transport=transport)
                if transport == "tcp":
                    connection = await stream.accept()
                    peer = Phone.on_wire(connection)
                else:
                    peer = Phone.on_socket(sock, ("127.0.0.1", port))
                invite = await peer.request("INVITE")
                assert (invite.via.host, invite.via.port, invite.via.wants_rport) == (PUBLIC, port, True)
                assert invite.contact is not None
                assert invite.contact.uri == f"sip:{PUBLIC}:{port}{suffix}"
                contact = f"sip:far@127.0.0.1:{far_port}{suffix}"
                peer.send(response(invite, 200, contact))
                await us.until(Answered)
                ack = await peer.request("ACK")
                assert (ack.via.host, ack.via.port) == (PUBLIC, port)
                us.do(call.bye)
                peer.send(response(await peer.request("BYE"), 200, contact))
                assert (await us.until(Ended)).message is not None
                if transport == "tcp":
                    await connection.close()

    run(main())


def test_each_peer_is_told_the_address_that_is_configured_for_it() -> None:
    async def main() -> None:
        told = {"127.0.0.2": "10.0.0.5", "127.0.0.3": PUBLIC}
        stack = SipStack(advertise=AdvertisedAddresses(told.get))
        us = Party(stack, await stack.start([Listen("udp", "0.0.0.0", 0)]))
        try:
            for host, expected in (*told.items(), ("127.0.0.4", "127.0.0.1")):
                async with party(Listen("udp", host, 0)) as peer:
                    address = NameAddr.parse("<sip:x@example.com>")
                    before = len([event for event in us.events if isinstance(event, OutOfDialogCompleted)])
                    stack.endpoint.request(
                        us.now,
                        flow=stack.flow_to(Target("udp", host, peer.port("udp"))),
                        method="OPTIONS",
                        uri=f"sip:{host}",
                        from_=address,
                        to=address,
                    )
                    stack.flush()
                    answer = (await us.until(OutOfDialogCompleted, before + 1)).response
                    assert answer is not None
                    assert answer.via.host == expected
        finally:
            await stack.close()

    run(main())
