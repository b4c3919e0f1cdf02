"""The RFC 4475 torture messages sent to a running stack, over UDP and over TCP; after each an OPTIONS must be answered.

Provenance in data/rfc4475/NOTE.md, the verdicts over UDP in test_rfc4475_endpoint.py. Hardly any Via has a port or asks
for rport, so answers go to port 5060 of the sender: it is bound there, at whatever address of loopback is free.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from sip_stack.aio.network import Listen
from sip_stack.message import Response, parse_message
from tests.rfc.test_rfc4475_endpoint import ANSWERS, DATA, SILENCE
from tests.support.tcp_stack import Party, party, run, wire

OVER_TCP: dict[str, list[int]] = {
    "clerr": [],  # the rest of its body is awaited
    "dblreq": [
        405,
        400,
    ],  # behind the REGISTER is an INVITE without Contact
}
"""Where the stream makes a difference."""


def options(number: int, transport: str) -> bytes:
    return (
        f"OPTIONS sip:us SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1;branch=z9hG4bKalive{number};rport\r\n"
        f"From: <sip:them@127.0.0.1>;tag=1\r\nTo: <sip:us@127.0.0.1>\r\nCall-ID: alive{number}\r\n"
        "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


class Sender:
    """An address of loopback, at the ports that the messages' Vias name."""

    def __init__(self, main: socket.socket, other: socket.socket) -> None:
        self._main, self._other = main, other
        self._before: set[bytes] = set()
        """What has come for INVITEs: it comes again after T1, as nobody acknowledges it."""

    async def answers(self, us: Party, data: bytes, number: int) -> list[int]:
        """The statuses sent for one message, which is followed by an OPTIONS; its 200 comes last."""
        for datagram in (data, options(number, "UDP")):
            self._main.sendto(datagram, ("127.0.0.1", us.port("udp")))
        received: list[bytes] = []
        while True:
            received.append(await asyncio.get_running_loop().sock_recv(self._main, 65535))
            response = read(received[-1])
            if response.headers.get("Call-ID") == f"alive{number}":
                assert response.status == 200
                received.pop()
                break
        with suppress(BlockingIOError):
            while True:
                received.append(self._other.recv(65535))
        new = [data for data in dict.fromkeys(received) if data not in self._before]
        self._before.update(data for data in new if b" INVITE\r\n" in data)
        return [read(data).status for data in new]


def read(data: bytes) -> Response:
    response = parse_message(data)
    assert isinstance(response, Response)
    return response


@pytest.fixture
def sender() -> Iterator[Sender]:
    for last in range(2, 250):
        with ExitStack() as sockets:
            pair = [sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
            try:
                for sock, port in zip(pair, (5060, 5050), strict=True):
                    sock.setblocking(False)
                    sock.bind((f"127.0.0.{last}", port))
            except OSError:
                continue
            yield Sender(*pair)
            return
    pytest.skip("something on this machine listens on UDP port 5060 of all addresses")


def test_over_udp(sender: Sender) -> None:
    async def main() -> None:
        async with party(Listen("udp", "127.0.0.1", 0)) as us:
            for number, name in enumerate(ANSWERS):
                expected = [] if ANSWERS[name] is SILENCE else [ANSWERS[name]]
                data = (DATA / f"{name}.dat").read_bytes()
                assert await sender.answers(us, data, number) == expected, name

    run(main())


async def answers_over_tcp(us: Party, data: bytes) -> list[int]:
    """What is answered to one message on a connection of its own, at the end of which we say so."""
    async with wire(us.port()) as peer:
        peer.send(data)
        peer.writer.write_eof()
        rest = await peer.end()
    statuses = []
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        statuses.append(read(head + b"\r\n\r\n").status)
    return statuses


def test_over_tcp() -> None:
    async def main() -> None:
        async with party() as us:
            for number, name in enumerate(ANSWERS):
                expected = OVER_TCP.get(name, [] if ANSWERS[name] is SILENCE else [ANSWERS[name]])
                data = (DATA / f"{name}.dat").read_bytes()
                assert await answers_over_tcp(us, data) == expected, name
                async with wire(us.port()) as other:
                    other.send(options(number, "TCP"))
                    assert (await other.response(200)).call_id == f"alive{number}", name

    run(main())
