"""The UDP transport on real loopback sockets: what arrives, what leaves, what survives."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from sip_stack.aio.advertise import AdvertisedAddresses, facing_address
from sip_stack.aio.network import Listen
from sip_stack.aio.udp import BATCH, LONG_WAIT, MAX_QUEUED, UdpTransport, open_udp
from sip_stack.errors import LossReason, RemoteError, TransportError
from sip_stack.transport import Flow, Target

ANY_PORT = Listen("udp", "127.0.0.1", 0)


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


class Recorder:
    """A receiver that writes down what it gets."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[bytes, Flow]]] = [[]]
        self.lost_flows: list[Flow] = []
        self.changed = asyncio.Event()

    def received(self, data: bytes, flow: Flow, fault: RemoteError | None = None) -> None:
        self.batches[-1].append((data, flow))

    def flush(self) -> None:
        self.batches.append([])
        self.changed.set()

    def lost(self, flow: Flow, detail: str, reason: LossReason = "transport") -> None:
        self.lost_flows.append(flow)

    def hears(self, source: str) -> bool:
        return True

    def needs(self, flow: Flow) -> bool:
        return False

    @property
    def datagrams(self) -> list[tuple[bytes, Flow]]:
        return [datagram for batch in self.batches for datagram in batch]

    async def until(self, count: int) -> None:
        while len(self.datagrams) < count:
            self.changed.clear()
            await self.changed.wait()


def open_one(where: Listen = ANY_PORT) -> tuple[UdpTransport, Recorder]:
    recorder = Recorder()
    return open_udp(where, recorder, AdvertisedAddresses()), recorder


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_go_both_ways(host: str) -> None:
    async def main() -> None:
        left, left_heard = open_one(Listen("udp", host, 0))
        right, right_heard = open_one(Listen("udp", host, 0))
        try:
            left.send(b"ping", left.flow_to(Target("udp", host, right.local[1])))
            await right_heard.until(1)
            data, flow = right_heard.datagrams[0]
            assert (data, flow.remote, flow.local, flow.advertised) == (
                b"ping",
                left.local,
                right.local,
                right.local,
            )
            right.send(b"x" * 60_000, flow)
            await left_heard.until(1)
            assert left_heard.datagrams[0][0] == b"x" * 60_000
        finally:
            left.close()
            right.close()

    run(main())


@pytest.mark.parametrize(("waited", "keeps_up"), [(0.5 * LONG_WAIT, True), (5 * LONG_WAIT, False)])
def test_it_keeps_up_while_what_is_read_has_not_waited_long(
    waited: float, keeps_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the socket is not read empty is not enough: so it is for seconds where a core is near its most."""

    async def main() -> None:
        left, _ = open_one()
        right, heard = open_one()
        try:
            for _ in range(2 * BATCH):
                left.send(b"ping", left.flow_to(Target("udp", *right.local)))
            right._on_readable()
            assert right.kept_up()
            arrived = time.time()
            monkeypatch.setattr(time, "time", lambda: arrived + waited)
            right._on_readable()
            assert len(heard.datagrams) == 2 * BATCH
            assert right.kept_up() == keeps_up
            right._on_readable()
            assert right.kept_up(), "read empty"
        finally:
            left.close()
            right.close()

    run(main())


def test_it_does_not_keep_up_while_the_kernel_loses_datagrams() -> None:
    """A small buffer is full long before anything in it has waited long."""

    async def main() -> None:
        left, _ = open_one()
        right, heard = open_one()
        try:
            right._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            for _ in range(20):
                left.send(b"x" * 1000, left.flow_to(Target("udp", *right.local)))
            await heard.until(1)
            assert len(heard.datagrams) < 20
            assert not right.kept_up()
            assert right.kept_up(), "none was lost since"
        finally:
            left.close()
            right.close()

    run(main())


def test_the_same_peer_is_the_same_flow() -> None:
    async def main() -> None:
        left, _ = open_one()
        right, heard = open_one()
        try:
            flow = left.flow_to(Target("udp", "127.0.0.1", right.local[1]))
            for _ in range(3):
                left.send(b"again", flow)
            await heard.until(3)
            assert len({id(flow) for _, flow in heard.datagrams}) == 1
            back = right.flow_to(Target("udp", *left.local))
            assert back is heard.datagrams[0][1]
        finally:
            left.close()
            right.close()

    run(main())


def test_a_burst_is_taken_in_batches() -> None:
    """At most BATCH datagrams before timers and calls get their turn, one flush for each batch."""

    async def main() -> None:
        transport, heard = open_one()
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            for number in range(BATCH + 10):
                sender.sendto(str(number).encode(), transport.local)
            await heard.until(BATCH + 10)
            assert [len(batch) for batch in heard.batches if batch] == [BATCH, 10]
            assert [data for data, _ in heard.datagrams] == [str(n).encode() for n in range(BATCH + 10)]
        finally:
            sender.close()
            transport.close()

    run(main())


@pytest.mark.parametrize(
    "target",
    [Target("udp", "example.com", 5060), Target("udp", "127.0.0.1", 0), Target("udp", "127.0.0.1", 70000)],
)
def test_what_is_no_address_is_a_transport_error(target: Target) -> None:
    async def main() -> None:
        transport, _ = open_one()
        try:
            with pytest.raises(TransportError):
                transport.flow_to(target)
        finally:
            transport.close()

    run(main())


@pytest.mark.parametrize(
    "remote", [("127.0.0.1", 99999), ("127.0.0.1", 0), ("no address", 5060), ("::1", 5060)]
)
def test_the_send_path_survives_any_address(remote: tuple[str, int]) -> None:
    """Pitfall 98: an OverflowError in sendto() once ended a sender for good."""

    async def main() -> None:
        transport, _ = open_one()
        try:
            bad = Flow("udp", transport.local, remote, transport.local)
            with pytest.raises(TransportError):
                transport.send(b"x", bad)
            transport.send(b"x", transport.flow_to(Target("udp", *transport.local)))
        finally:
            transport.close()

    run(main())


def test_too_large_a_datagram_is_a_transport_error() -> None:
    async def main() -> None:
        transport, _ = open_one()
        try:
            with pytest.raises(TransportError):
                transport.send(b"x" * 70_000, transport.flow_to(Target("udp", *transport.local)))
        finally:
            transport.close()

    run(main())


class FullSocket:
    """A socket whose buffer is full until `blocked` is False; otherwise the real one."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.blocked = True
        self.sent: list[bytes] = []

    def sendto(self, data: bytes, address: tuple[str, int]) -> int:
        if self.blocked:
            raise BlockingIOError
        if data == b"bad":
            raise OSError(101, "Network is unreachable")
        self.sent.append(data)
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def test_a_full_socket_is_waited_for_and_the_queue_is_bounded() -> None:
    async def main() -> None:
        transport, heard = open_one()
        full = FullSocket(transport._socket)
        transport._socket = full  # type: ignore[assignment]
        flow = transport.flow_to(Target("udp", "127.0.0.1", 9))
        try:
            for number in range(MAX_QUEUED + 5):
                transport.send(b"bad" if number == 1 else str(number).encode(), flow)
            assert transport.dropped == 5
            full.blocked = False
            transport._on_writable()
            assert full.sent[:3] == [b"0", b"2", b"3"], "in order"
            assert heard.lost_flows == [flow]
            transport.send(b"direct", flow)
            assert full.sent[-1] == b"direct"
        finally:
            transport.close()

    run(main())


def test_a_port_in_use_is_a_transport_error() -> None:
    async def main() -> None:
        transport, _ = open_one()
        try:
            with pytest.raises(
                TransportError, match=r"cannot listen on udp:127.0.0.1:\d+: Address already in use$"
            ):
                open_one(Listen("udp", "127.0.0.1", transport.local[1]))
        finally:
            transport.close()

    run(main())


def test_the_configured_address_is_advertised_where_there_is_one() -> None:
    """It is asked each time, so that a reload may change it; elsewhere the facing address counts."""
    configured = {"127.0.0.9": "203.0.113.10"}
    addresses = AdvertisedAddresses(configured.get)
    assert addresses.toward("127.0.0.9", "0.0.0.0") == "203.0.113.10"
    assert addresses.toward("127.0.0.8", "0.0.0.0") == "127.0.0.1"
    configured["127.0.0.8"] = "203.0.113.11"
    assert addresses.toward("127.0.0.8", "0.0.0.0") == "203.0.113.11"


def test_without_configuration_the_address_that_faces_the_peer_is_advertised() -> None:
    assert AdvertisedAddresses().toward("127.0.0.1", "0.0.0.0") == "127.0.0.1"
    assert AdvertisedAddresses().toward("127.0.0.1", "127.0.0.2") == "127.0.0.2"
    assert facing_address("::1", "::") == "::1"
