"""What the network sees of `sip.dscp`: the class of service in the headers of our packets."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from pydantic_core import PydanticCustomError

from b2bua.config.class_of_service import parse_class
from sip_stack.aio.network import Listen
from sip_stack.aio.stack import SipStack
from sip_stack.message import NameAddr
from sip_stack.transport import Target
from tests.support.rtp_peer import STALL

CS3 = 24
IP_PKTOPTIONS = 9
"""Linux: what the options of a stream socket say of the last packet that mattered, such as a SYN."""


async def call_out(transport: str, host: str, port: int) -> SipStack:
    """A stack that has sent an INVITE there, marked CS3."""
    stack = SipStack()
    await stack.start([Listen(transport, host, 0, CS3)])
    address = NameAddr.parse("<sip:us@example.com>")
    flow = stack.flow_to(Target(transport, host, port))
    stack.endpoint.invite(stack.now(), flow=flow, uri="sip:them@example.com", from_=address, to=address)
    stack.flush()
    return stack


@pytest.mark.parametrize(
    ("host", "level", "option", "kind"),
    [
        ("127.0.0.1", socket.IPPROTO_IP, socket.IP_RECVTOS, socket.IP_TOS),
        ("::1", socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, socket.IPV6_TCLASS),
    ],
)
def test_datagrams_are_marked(host: str, level: int, option: int, kind: int) -> None:
    async def run() -> tuple[int, int, bytes]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as peer:
            peer.bind((host, 0))
            peer.setsockopt(level, option, 1)
            peer.settimeout(STALL)
            stack = await call_out("udp", host, peer.getsockname()[1])
            _, (found,), _, _ = await asyncio.to_thread(peer.recvmsg, 65536, 256)
            await stack.close()
            return found

    _, found, value = asyncio.run(run())
    assert (found, value[0]) == (kind, CS3 << 2)


def test_connections_are_marked_from_their_first_packet() -> None:
    async def run() -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as peer:
            peer.settimeout(STALL)
            peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
            stack = await call_out("tcp", "127.0.0.1", peer.getsockname()[1])
            accepted, _ = await asyncio.to_thread(peer.accept)
            with accepted:
                options = accepted.getsockopt(socket.IPPROTO_IP, IP_PKTOPTIONS, 64)
            await stack.close()
            return options

    _, level, kind, value = struct.unpack_from("@nIIB", asyncio.run(run()))
    assert (level, kind, value) == (socket.IPPROTO_IP, socket.IP_TOS, CS3 << 2)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (46, 46),
        ("46", 46),
        ("EF", 46),
        ("ef", 46),
        ("CS3", 24),
        ("CS0", 0),
        ("AF41", 34),
        ("AF13", 14),
        (0, 0),
        (63, 63),
    ],
)
def test_a_class_has_a_number_or_a_name(written: object, number: int) -> None:
    assert parse_class(written) == number


@pytest.mark.parametrize("written", [64, -1, "CS8", "AF44", "", "best", None, True, 4.0, [], "١"])
def test_what_is_no_class(written: object) -> None:
    with pytest.raises(PydanticCustomError, match="not a class of service"):
        parse_class(written)
