"""SIP over UDP: one non-blocking socket, read up to 64 datagrams per wake-up (RFC 3261 section 18).

asyncio's own datagram transport costs a third more per call (docs/design.md section 5). The send path
survives whatever the kernel or a peer's address makes of it: a datagram that cannot be sent is reported,
never raised past the stack. It leaves fragmenting to the kernel and large requests to `transaction/large.py`, and
resolves no names.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque

from sip_stack.aio.advertise import AdvertisedAddresses
from sip_stack.aio.class_of_service import mark
from sip_stack.aio.network import MAX_FLOWS, Listen, Receiver, address_of
from sip_stack.errors import TransportError
from sip_stack.transport import Address, Flow, Target

BATCH = 64
"""Datagrams read per wake-up, so that timers and calls get their turn under load."""
MAX_DATAGRAM = 65535
MAX_QUEUED = 2048
"""Datagrams that wait for the socket to take more; beyond, they are dropped, as the network would."""
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets asked of the kernel for bursts; it grants what net.core.rmem_max allows."""


class UdpTransport:
    """One bound UDP socket. Made by `open_udp`."""

    __slots__ = (
        "_advertised",
        "_behind",
        "_buffer",
        "_emptied",
        "_flows",
        "_loop",
        "_queue",
        "_receiver",
        "_socket",
        "_view",
        "dropped",
        "local",
    )

    transport = "udp"

    def __init__(self, sock: socket.socket, receiver: Receiver, advertised: AdvertisedAddresses) -> None:
        """Takes over the socket. Call with a running loop."""
        self._socket = sock
        self._receiver = receiver
        self._advertised = advertised
        self._loop = asyncio.get_running_loop()
        self._flows: dict[Address, Flow] = {}
        self._queue: deque[tuple[bytes, Flow]] = deque()
        self._buffer = bytearray(MAX_DATAGRAM)
        self._view = memoryview(self._buffer)
        self._behind = False
        self._emptied = True
        self.dropped = 0
        """Datagrams given up because the queue was full."""
        host, port = sock.getsockname()[:2]
        self.local: Address = (host, port)
        self._loop.add_reader(sock, self._on_readable)

    def flow_to(self, target: Target) -> Flow:
        """The flow to an address literal. Raises TransportError for anything else and without a route."""
        return self._flow(address_of(target))

    def is_connected(self, flow: Flow) -> bool:
        """Always: UDP has no connections."""
        return True

    def forget_flows(self) -> None:
        """Flows made from now on get what is advertised now."""
        self._flows.clear()

    def send(self, data: bytes, flow: Flow) -> None:
        """Send or queue one datagram."""
        if self._queue:
            self._enqueue(data, flow)
            return
        try:
            self._socket.sendto(data, flow.remote)
        except BlockingIOError:
            self._enqueue(data, flow)
            self._loop.add_writer(self._socket, self._on_writable)
        except (OSError, ValueError, OverflowError) as error:
            raise TransportError(f"cannot send to {flow.remote[0]}: {error}") from error

    def close(self) -> None:
        """Close the socket; what is queued is lost."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
        self._queue.clear()
        self._flows.clear()

    def _on_readable(self) -> None:
        receive = self._socket.recvfrom_into
        buffer, view, flows, receiver = self._buffer, self._view, self._flows, self._receiver
        for _ in range(BATCH):
            try:
                size, address = receive(buffer)
            except (BlockingIOError, InterruptedError):
                self._behind, self._emptied = False, True
                break
            except OSError:
                # A pending ICMP error of some earlier datagram: it says nothing about the next one.
                continue
            source = address[:2]
            try:
                flow = flows.get(source) or self._flow(source)
            except TransportError:
                continue
            receiver.received(bytes(view[:size]), flow)
        else:
            self._behind = True
        receiver.flush()

    def kept_up(self) -> bool:
        """False when since the last call there was always another datagram to read: they come faster than they are
        dealt with, and wait in the kernel."""
        kept_up = self._emptied or not self._behind
        self._emptied = False
        return kept_up

    def _flow(self, remote: Address) -> Flow:
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) >= MAX_FLOWS:
                del self._flows[next(iter(self._flows))]
            host = self._advertised.toward(remote[0], self.local[0])
            flow = self._flows[remote] = Flow("udp", self.local, remote, (host, self.local[1]))
        return flow

    def _enqueue(self, data: bytes, flow: Flow) -> None:
        if len(self._queue) >= MAX_QUEUED:
            self.dropped += 1
        else:
            self._queue.append((data, flow))

    def _on_writable(self) -> None:
        while self._queue:
            data, flow = self._queue[0]
            try:
                self._socket.sendto(data, flow.remote)
            except BlockingIOError:
                return
            except (OSError, ValueError, OverflowError) as error:
                self._receiver.lost(flow, str(error))
            self._queue.popleft()
        self._loop.remove_writer(self._socket)


def open_udp(where: Listen, receiver: Receiver, advertised: AdvertisedAddresses) -> UdpTransport:
    """Bind a UDP socket. Raises TransportError."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        mark(sock, where.dscp)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((where.host, where.port))
        return UdpTransport(sock, receiver, advertised)
    except (OSError, OverflowError) as error:
        sock.close()
        raise TransportError(f"cannot listen on udp:{where.host}:{where.port}: {error}") from error
    except BaseException:
        sock.close()
        raise
