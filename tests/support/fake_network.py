"""A network that loses, doubles, delays and reorders datagrams as told, in virtual time, the same way each time.

Two ways in: `FakeNetwork.peer` makes sans-IO endpoints that `run_for` steps; `FakeAsyncNetwork.at` is what a `SipStack`
takes in place of sockets (run it on a `VirtualLoop`). The `Wire` decides the fate of datagrams for both.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from sip_stack.aio.network import Listen, Receiver
from sip_stack.endpoint import Endpoint
from sip_stack.errors import TransportError
from sip_stack.events import Event
from sip_stack.message import NameAddr, Request, Response, parse_message
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Address, Flow, Target

E = TypeVar("E")


@dataclass(frozen=True)
class Datagram:
    """One datagram as it was sent."""

    at: float
    source: Address
    destination: Address
    data: bytes

    @property
    def message(self) -> Request | Response:
        return parse_message(self.data)

    @property
    def title(self) -> str:
        """`INVITE`, or `200 INVITE` for a response."""
        message = self.message
        if isinstance(message, Request):
            return message.method
        return f"{message.status} {message.cseq.method}"


Rule = Callable[[Datagram], bool]


@dataclass
class Wire:
    """How the network treats datagrams. `loss` and `duplicate` are probabilities; times are seconds."""

    seed: int = 0
    loss: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.01
    jitter: float = 0.0
    log: list[Datagram] = field(default_factory=list)
    """All that was sent, lost datagrams included."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._drops: list[tuple[Rule, list[int]]] = []
        self._delays: list[tuple[Rule, list[int], float]] = []

    def drop(self, title: str, times: int = 1_000_000, *, source: str = "") -> None:
        """Lose the next `times` datagrams of that title, those from the host `source` where it is given."""
        self._drops.append((lambda each: each.title == title and source in ("", each.source[0]), [times]))

    def cut(self, host: str) -> None:
        """Lose everything from and to that host from now on."""
        self._drops.append(
            (lambda datagram: host in (datagram.source[0], datagram.destination[0]), [1_000_000])
        )

    def hold(self, title: str, seconds: float, times: int = 1) -> None:
        """Delay the next `times` datagrams of that title by this much more."""
        self._delays.append((lambda datagram: datagram.title == title, [times], seconds))

    def fate(self, datagram: Datagram) -> list[float]:
        """When each copy of it arrives; none when it is lost."""
        self.log.append(datagram)
        for rule, left in self._drops:
            if left[0] > 0 and rule(datagram):
                left[0] -= 1
                return []
        if self._random.random() < self.loss:
            return []
        extra = 0.0
        for rule, left, seconds in self._delays:
            if left[0] > 0 and rule(datagram):
                left[0] -= 1
                extra += seconds
        copies = 2 if self._random.random() < self.duplicate else 1
        return [datagram.at + self.delay + extra + self._random.random() * self.jitter for _ in range(copies)]

    def titles(self, source: Address | None = None) -> list[str]:
        """What was sent, in order, by one side or by all."""
        return [each.title for each in self.log if source in (None, each.source)]


class Peer:
    """One sans-IO endpoint on the fake network, with all the events it ever had."""

    def __init__(
        self, network: FakeNetwork, host: str, settings: EndpointSettings, first_token: int = 1
    ) -> None:
        self.network = network
        self.address: Address = (host, 5060)
        names = itertools.count(first_token)
        self.endpoint = Endpoint(
            token=lambda: f"{host.replace('.', '')}x{next(names):04d}",
            settings=settings,
            flow_for=self.flow_for,
        )
        self.flows: dict[Address, Flow] = {}
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = lambda event: None

    @property
    def now(self) -> float:
        return self.network.now

    @property
    def uri(self) -> str:
        return f"sip:{self.address[0]}"

    def flow_for(self, target: Target, like: Flow | None = None) -> Flow:
        if target.transport != "udp":
            raise TransportError("only UDP here")
        return self.flow((target.host, target.port))

    def flow(self, remote: Address) -> Flow:
        return self.flows.setdefault(remote, Flow("udp", self.address, remote, self.address))

    def invite(self, other: Peer, **options: object):  # type: ignore[no-untyped-def]
        """Call another peer with a plain offer; `options` go to `Endpoint.invite`."""
        arguments: dict[str, object] = {
            "flow": self.flow(other.address),
            "uri": other.uri,
            "from_": NameAddr.parse(f"<{self.uri}>"),
            "to": NameAddr.parse(f"<{other.uri}>"),
            "body": b"v=0\r\n",
        }
        return self.endpoint.invite(self.now, **(arguments | options))  # type: ignore[arg-type]

    def all(self, kind: type[E]) -> list[E]:
        """The events of that kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[E]) -> E:
        """The only event of that kind."""
        (event,) = self.all(kind)
        return event

    def names(self) -> list[str]:
        """The kinds of all events, in order."""
        return [type(event).__name__ for event in self.events]

    def drain(self) -> None:
        """Put on the wire what the endpoint has to say, and collect its events."""
        while True:
            transmits = self.endpoint.transmits()
            events = self.endpoint.events()
            if not transmits and not events:
                return
            for transmit in transmits:
                self.network.send(self.address, transmit.flow.remote, transmit.data)
            for event in events:
                self.events.append(event)
                self.on_event(event)


class FakeNetwork:
    """Steps sans-IO endpoints through virtual time: arrivals and timers in order."""

    def __init__(self, wire: Wire | None = None) -> None:
        self.now = 100.0
        self.wire = wire or Wire()
        self._peers: dict[Address, Peer] = {}
        self._arrivals: list[tuple[float, int, Datagram]] = []
        self._order = itertools.count()

    def peer(self, host: str, settings: EndpointSettings | None = None) -> Peer:
        """A new endpoint at `host`, port 5060."""
        peer = Peer(self, host, settings or EndpointSettings())
        self._peers[peer.address] = peer
        return peer

    def successor(self, killed: Peer) -> Peer:
        """Another process in the place of one that was killed without a word."""
        peer = self._peers[killed.address] = Peer(
            self, killed.address[0], killed.endpoint.settings, first_token=5_000
        )
        return peer

    def send(self, source: Address, destination: Address, data: bytes) -> None:
        """Put a datagram on the wire."""
        datagram = Datagram(self.now, source, destination, data)
        for arrival in self.wire.fate(datagram):
            heapq.heappush(self._arrivals, (arrival, next(self._order), datagram))

    def run_for(self, seconds: float) -> None:
        """Let that much time go by."""
        until = self.now + seconds
        self._drain()
        while (due := self._next()) is not None and due <= until:
            self.now = max(self.now, due)
            self._step()
            self._drain()
        self.now = until

    def run_out(self) -> None:
        """Until nothing is left to happen, lingering transactions included."""
        self._drain()
        while (due := self._next()) is not None:
            self.run_for(max(0.0, due - self.now))

    def _next(self) -> float | None:
        times = [timer for peer in self._peers.values() if (timer := peer.endpoint.next_timer()) is not None]
        if self._arrivals:
            times.append(self._arrivals[0][0])
        return min(times, default=None)

    def _step(self) -> None:
        while self._arrivals and self._arrivals[0][0] <= self.now:
            datagram = heapq.heappop(self._arrivals)[2]
            receiver = self._peers.get(datagram.destination)
            if receiver is not None:
                receiver.endpoint.receive(datagram.data, receiver.flow(datagram.source), self.now)
                receiver.drain()
        for peer in self._peers.values():
            peer.endpoint.handle_timer(self.now)
            peer.drain()

    def _drain(self) -> None:
        for peer in self._peers.values():
            peer.drain()


class FakeTransport:
    """What a `SipStack` holds in place of a UDP socket."""

    transport = "udp"

    def __init__(self, network: FakeAsyncNetwork, local: Address, receiver: Receiver) -> None:
        self.local = local
        self._network = network
        self._receiver = receiver
        self._flows: dict[Address, Flow] = {}

    def flow_to(self, target: Target) -> Flow:
        return self._flow((target.host, target.port))

    def send(self, data: bytes, flow: Flow) -> None:
        if (
            self._network.sockets.get(self.local) is self
        ):  # Else it is closed, and another may be in its place.
            self._network.send(self.local, flow.remote, data)

    def is_connected(self, flow: Flow) -> bool:
        return True

    def forget_flows(self) -> None:
        self._flows.clear()

    def close(self) -> None:
        if self._network.sockets.get(self.local) is self:
            del self._network.sockets[self.local]

    def arrive(self, datagram: Datagram) -> None:
        self._receiver.received(datagram.data, self._flow(datagram.source))
        self._receiver.flush()

    def _flow(self, remote: Address) -> Flow:
        return self._flows.setdefault(remote, Flow("udp", self.local, remote, self.local))


class FakeAsyncNetwork:
    """Joins any number of `SipStack`s on one loop. Give `at(host)` to each as its `network`."""

    def __init__(self, wire: Wire | None = None) -> None:
        self.wire = wire or Wire()
        self.sockets: dict[Address, FakeTransport] = {}
        self._ports = itertools.count(40000)
        self._on_the_way: dict[float, deque[Datagram]] = {}
        """By arrival, in the order sent: the loop keeps none among timers of the same moment."""
        self._outside: dict[Address, Address] = {}

    def translate(self, inside: Address, outside: Address) -> None:
        """Put a NAT in front of `inside`: others see it at `outside`, and reach it there alone from now on."""
        self._outside = {
            **{key: each for key, each in self._outside.items() if key != inside},
            inside: outside,
        }

    def at(self, host: str) -> HostNetwork:
        """The network as the machine with that address sees it."""
        return HostNetwork(self, host)

    def open(self, local: Address, receiver: Receiver) -> FakeTransport:
        if local[1] == 0:
            local = (local[0], next(self._ports))
        if local in self.sockets:
            raise TransportError(f"{local} is in use")
        transport = self.sockets[local] = FakeTransport(self, local, receiver)
        return transport

    def send(self, source: Address, destination: Address, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        datagram = Datagram(loop.time(), self._outside.get(source, source), destination, data)
        for arrival in self.wire.fate(datagram):
            self._on_the_way.setdefault(arrival, deque()).append(datagram)
            loop.call_at(arrival, self._arrive, arrival)

    def titles(self, sources: Iterable[Address] | None = None) -> list[str]:
        """What was sent, in order."""
        wanted = None if sources is None else set(sources)
        return [each.title for each in self.wire.log if wanted is None or each.source in wanted]

    def _arrive(self, moment: float) -> None:
        waiting = self._on_the_way[moment]
        datagram = waiting.popleft()
        if not waiting:
            del self._on_the_way[moment]
        destination = datagram.destination
        if destination in self._outside:
            return
        inside = next((key for key, each in self._outside.items() if each == destination), destination)
        receiver = self.sockets.get(inside)
        if receiver is not None:
            receiver.arrive(datagram)


class HostNetwork:
    """The `Network` of one host: whatever it listens on has that host's address."""

    def __init__(self, network: FakeAsyncNetwork, host: str) -> None:
        self._network = network
        self._host = host

    async def listen(self, where: Listen, receiver: Receiver) -> FakeTransport:
        """Open a fake socket."""
        if where.transport != "udp":
            raise TransportError(f"unknown transport: {where.transport}")
        return self._network.open((self._host, where.port), receiver)
