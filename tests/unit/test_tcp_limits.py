"""The bounds of TCP connections on real loopback sockets, and that nothing is left behind whatever became of them."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from itertools import count

import pytest

from sip_stack.aio.connections import Connection, ConnectionLimits
from sip_stack.aio.network import Listen, Transport
from sip_stack.errors import TransportError
from sip_stack.events import Failed, InviteReceived
from sip_stack.message.framing import FramingError
from sip_stack.transport import Flow, Target
from tests.support.ports import free_port
from tests.support.tcp_stack import (
    NOWHERE,
    SDP,
    Listening,
    come_true,
    deaf_listener,
    options,
    party,
    request_text,
    run,
    settled,
    wire,
)

# Limits


def test_connections_are_limited_per_source_and_in_all() -> None:
    async def main() -> None:
        limits = ConnectionLimits(per_source=2, total=3)
        async with party(limits=limits) as us, wire(us.port()) as one, wire(us.port()) as two:
            async with wire(us.port()) as too_many:
                assert await too_many.end() == b""
            async with wire(us.port(), local="127.0.0.2") as other:
                async with wire(us.port(), local="127.0.0.4") as over_all:
                    assert await over_all.end() == b""
                for number, peer in enumerate((one, two, other)):
                    peer.send(options(str(number)))
                    await peer.response(200)
            assert us.stack.connection_counters.rejected == 2
            await one.close()
            await come_true(lambda: us.stack.connection_counters.ended["closed"])
            async with wire(us.port()) as again:
                again.send(options("again"))
                await again.response(200)

    run(main())


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"OPTIONS sip:us SIP/2.0\r\n", options("x") + b"O"])
def test_who_does_not_finish_a_message_is_let_go(sent: bytes) -> None:
    async def main() -> None:
        async with party(limits=ConnectionLimits(message_timeout=-1.0)) as us, wire(us.port()) as peer:
            peer.send(sent)
            if b"Call-ID" in sent:
                await peer.response(200)
            (transport,) = us.stack._transports.values()
            await come_true(lambda: us.stack.connection_counters.accepted)
            await settled()
            transport.look()  # type: ignore[attr-defined]
            assert await peer.end() == b""
            assert us.stack.connection_counters.ended == {"slow": 1}

    run(main())


def test_a_silent_connection_is_closed_unless_a_call_lives_on_it() -> None:
    async def main() -> None:
        limits = ConnectionLimits(idle_timeout=-1.0)
        async with party(limits=limits) as us, wire(us.port()) as idle, wire(us.port()) as talking:
            (transport,) = us.stack._transports.values()
            talking.send(request_text("INVITE", port=NOWHERE, branch="i", body=SDP))
            session = (await us.until(InviteReceived)).session
            await talking.response(100)
            idle.send(options("a"))
            await idle.response(200)
            transport.look()  # type: ignore[attr-defined]
            assert await idle.end() == b""
            assert us.stack.connection_counters.ended == {"idle": 1}
            us.do(lambda now: session.reject(now, 486))
            await talking.response(486)
            talking.send(request_text("ACK", port=NOWHERE, branch="i"))
            await come_true(lambda: not us.stack.endpoint.transaction_count)
            transport.look()  # type: ignore[attr-defined]
            assert await talking.end() == b""
            assert us.stack.endpoint._core.held == {}

    run(main())


def send_for_ever(transport: Transport, flow: Flow) -> None:
    while True:
        transport.send(b"x" * 60_000, flow)


def test_a_peer_that_does_not_read_costs_no_more_than_the_limit() -> None:
    async def main() -> None:
        with Listening() as far:
            far.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            async with party(limits=ConnectionLimits(queued=200_000)) as us:
                (transport,) = us.stack._transports.values()
                flow = us.stack.flow_to(Target("tcp", "127.0.0.1", far.port))
                transport.send(b"\r\n", flow)
                peer, _ = await asyncio.get_running_loop().sock_accept(far.socket)
                await come_true(lambda: us.stack.connection_counters.connected)
                with peer, pytest.raises(TransportError, match="does not read"):
                    send_for_ever(transport, flow)
                assert us.stack.connection_counters.ended == {"overflow": 1}
                assert not transport.is_connected(flow)

    run(main())


def test_too_much_for_a_connection_that_is_not_there_yet() -> None:
    async def main() -> None:
        with Listening() as far:
            async with party(limits=ConnectionLimits(queued=100_000)) as us:
                (transport,) = us.stack._transports.values()
                flow = us.stack.flow_to(Target("tcp", "127.0.0.1", far.port))
                transport.send(b"x" * 60_000, flow)
                with pytest.raises(TransportError):
                    transport.send(b"x" * 60_000, flow)
                await settled()

    run(main())


# What is left behind


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_two_thousand_connections_leave_nothing_behind() -> None:
    """Pitfalls 88 and 90. Some send a request, some half of one, some nothing; some are reset."""

    async def main() -> None:
        async with party() as us:
            async with wire(us.port()) as first:
                first.send(options("first"))
                await first.response(200)
            counters = us.stack.connection_counters
            await come_true(lambda: counters.ended)
            await settled()
            before, tasks = descriptors(), len(asyncio.all_tasks())
            made = count(1)
            for _ in range(40):
                batch = [await asyncio.open_connection("127.0.0.1", us.port()) for _ in range(50)]
                for reader, writer in batch:
                    number = next(made)
                    if number % 3 == 0:
                        writer.write(options(f"n{number}"))
                        await reader.readuntil(b"\r\n\r\n")
                    elif number % 3 == 1:
                        writer.write(options(f"n{number}")[:40])
                    if number % 5 == 0:
                        writer.transport.abort()
                    else:
                        writer.close()
                for _, writer in batch:
                    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
            await come_true(lambda: counters.ended.total() + counters.rejected == 2001)
            # No more than before: what an earlier test left to the garbage collector may go meanwhile.
            await come_true(lambda: descriptors() <= before)
            assert len(asyncio.all_tasks()) == tasks
            (transport,) = us.stack._transports.values()
            assert transport._connections == {}  # type: ignore[attr-defined]
            async with wire(us.port()) as last:
                last.send(options("last"))
                await last.response(200)

    run(main())


@pytest.mark.parametrize("sent", [b"", options("whole"), b"no SIP\r\n\r\n", b"Content-Length: -1\r\n\r\n"])
def test_a_connection_that_is_over_is_freed_without_the_collector(sent: bytes) -> None:
    """It rests while calls are up, and strangers connect as often as they like."""

    def alive() -> set[int]:
        kinds = (Connection, asyncio.Transport, FramingError)
        return {id(thing) for thing in gc.get_objects() if isinstance(thing, kinds)}

    async def main() -> None:
        async with party() as us:
            before = alive()
            with socket.create_connection(("127.0.0.1", us.port())) as peer:
                peer.sendall(sent)
                await come_true(lambda: us.stack.connection_counters.accepted)
                await settled()
            await come_true(lambda: us.stack.connection_counters.ended)
            await settled()
            assert alive() <= before

    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()


def test_connections_that_fail_leave_nothing_behind() -> None:
    async def main() -> None:
        async with party() as us:
            before, tasks = descriptors(), len(asyncio.all_tasks())
            for number in range(200):
                us.call("127.0.0.1", NOWHERE)
                await us.until(Failed, number + 1)
            # No more than before: what an earlier test left to the garbage collector may go meanwhile.
            await come_true(lambda: descriptors() <= before)
            assert len(asyncio.all_tasks()) == tasks
            assert us.stack.endpoint.session_count == us.stack.endpoint.transaction_count == 0

    run(main())


def test_closing_ends_connections_in_every_state() -> None:
    """The fixture that watches descriptors judges."""

    async def main() -> None:
        with Listening() as far:
            async with party() as us:
                us.call("127.0.0.1", far.port)
                async with wire(us.port()) as half, wire(us.port()) as idle:
                    half.send(b"OPTIONS")
                    await settled()
                    us.call("127.0.0.1", NOWHERE)
                    await us.stack.close()
                    assert (await half.end(), await idle.end()) == (b"", b"")

    run(main())


def test_closing_gives_up_connections_that_are_being_made() -> None:
    async def main() -> None:
        with deaf_listener() as port:
            async with party() as us:
                tasks = asyncio.all_tasks()
                us.call("127.0.0.1", port)
                await settled()
                assert len(asyncio.all_tasks()) == len(tasks) + 1
            await settled()
            assert asyncio.all_tasks() == tasks

    run(main())


def test_a_port_in_use_is_a_transport_error() -> None:
    async def main() -> None:
        async with party() as us:
            with pytest.raises(TransportError, match="cannot listen on tcp"):
                async with party(Listen("udp", "127.0.0.1", 0), Listen("tcp", "127.0.0.1", us.port())):
                    raise AssertionError

    run(main())


def test_udp_and_tcp_share_a_port() -> None:
    async def main() -> None:
        port = free_port()
        async with party(Listen("udp", "127.0.0.1", port), Listen("tcp", "127.0.0.1", port)) as us:
            assert us.port("udp") == us.port("tcp") == port

    run(main())
