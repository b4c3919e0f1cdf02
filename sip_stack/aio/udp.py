"""SIP over UDP: one non-blocking socket, read up to 64 datagrams per wake-up (RFC 3261 section 18).

asyncio's own datagram transport costs a third more per call (docs/design.md, "Decided"). The send path
survives whatever the kernel or a peer's address makes of it: a datagram that cannot be sent is reported,
never raised past the stack. It leaves fragmenting to the kernel and large requests to `transaction/large.py`, and
resolves no names.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import socket
import struct
import time
from collections import deque

from sip_stack.aio.advertise import AdvertisedAddresses
from sip_stack.aio.class_of_service import mark
from sip_stack.aio.network import MAX_FLOWS, Listen, Receiver, address_of, cannot_listen
from sip_stack.errors import TransportError
from sip_stack.transport import Address, Flow, Target

BATCH = 64
"""Datagrams read per wake-up, so that timers and calls get their turn under load."""
MAX_DATAGRAM = 65535
MAX_QUEUED = 2048
"""Datagrams that wait for the socket to take more; beyond, they are dropped, as the network would."""
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Octets asked of the kernel for bursts; it grants what net.core.rmem_max allows."""
LONG_WAIT = 0.05
"""Seconds in the kernel after which a datagram has waited long; peers send it again after 0.5 (T1)."""
# Of Linux, not named by Python's modules: when the datagram read last had come, and what a socket holds and has lost.
SIOCGSTAMP, TIMEVAL = 0x8906, struct.Struct("@ll")
SO_MEMINFO, MEMINFO = 55, struct.Struct("=9I")


class UdpTransport:
    """One bound UDP socket. Made by `open_udp`."""

    __slots__ = (
        "_advertised",
        "_buffer",
        "_flows",
        "_loop",
        "_lost",
        "_queue",
        "_receiver",
        "_shortest_wait",
        "_socket",
        "_view",
        "_wait",
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
        self._wait = 0.0
        self._shortest_wait: float | None = None
        self._lost = _lost(sock)
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
                self._wait = self._shortest_wait = 0.0
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
            self._wait = wait = _wait(self._socket)
            if self._shortest_wait is None or wait < self._shortest_wait:
                self._shortest_wait = wait
        receiver.flush()

    def kept_up(self) -> bool:
        """False when since the last call all datagrams had waited long in the kernel, or it lost some: they come faster
        than they are dealt with. One more to read there always is near a core's most."""
        wait = self._wait if self._shortest_wait is None else self._shortest_wait
        lost_before, self._lost = self._lost, _lost(self._socket)
        self._shortest_wait = None
        return wait <= LONG_WAIT and self._lost == lost_before

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


def _wait(sock: socket.socket) -> float:
    """Seconds that the datagram read last had waited in the kernel; for ever where it does not tell."""
    try:
        seconds, micros = TIMEVAL.unpack(fcntl.ioctl(sock, SIOCGSTAMP, bytes(TIMEVAL.size)))
    except OSError:
        return math.inf
    return time.time() - float(seconds) - float(micros) / 1e6


def _lost(sock: socket.socket) -> int:
    """Datagrams that the kernel had no room for; 0 where it does not tell."""
    try:
        return int(MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size))[8])
    except (OSError, struct.error):
        return 0


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
        raise cannot_listen(where, error) from error
    except BaseException:
        sock.close()
        raise
