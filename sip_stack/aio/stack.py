"""The SIP endpoint on the event loop: sockets in, events out, one timer for everything.

No task per message, transaction or call. Time is the loop's time, so that a loop with virtual time runs all
of this without waiting. See `endpoint.py` for what it does with the messages.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address

from sip_stack.aio.advertise import AdvertisedAddresses, facing_address
from sip_stack.aio.connections import ConnectionCounters, ConnectionLimits, Connections
from sip_stack.aio.network import Listen, Network, Receiver, Transport
from sip_stack.aio.tcp import open_tcp
from sip_stack.aio.tls import ContextsInForce, open_tls
from sip_stack.aio.tls_contexts import TlsContexts
from sip_stack.aio.tokens import TokenSource
from sip_stack.aio.udp import UdpTransport, open_udp
from sip_stack.endpoint import DEFAULT_SETTINGS, Endpoint
from sip_stack.errors import LossReason, RemoteError, TransportError
from sip_stack.events import Event
from sip_stack.settings import EndpointSettings
from sip_stack.transport import Address, Flow, Tap, Target, Transmit

logger = logging.getLogger(__name__)

LOG_INTERVAL = 10.0
"""Seconds between two log lines about errors of ours at the datagram edge."""


class SocketNetwork:
    """Real sockets."""

    __slots__ = ("_advertised", "_connections", "_contexts")

    def __init__(
        self, advertised: AdvertisedAddresses, connections: Connections, contexts: ContextsInForce
    ) -> None:
        self._advertised = advertised
        self._connections = connections
        self._contexts = contexts

    async def listen(self, where: Listen, receiver: Receiver) -> Transport:
        """Open a socket. Raises TransportError, also for a transport we do not have."""
        if where.transport == "udp":
            return open_udp(where, receiver, self._advertised)
        if where.transport == "tcp":
            return await open_tcp(where, receiver, self._advertised, self._connections)
        if where.transport == "tls":
            return await open_tls(where, receiver, self._advertised, self._connections, self._contexts)
        raise TransportError(f"unknown transport: {where.transport}")


def _ignore(event: Event) -> None:
    """What happens to events before the user says what to do with them."""


class SipStack:
    """Owns an `Endpoint` and its transports. All methods are called on the loop that ran `start`."""

    def __init__(
        self,
        settings: EndpointSettings = DEFAULT_SETTINGS,
        *,
        token: Callable[[], str] | None = None,
        advertise: AdvertisedAddresses | None = None,
        connection_limits: ConnectionLimits | None = None,
        tls: TlsContexts | None = None,
        network: Network | None = None,
    ) -> None:
        """Call with a running loop. `network` replaces the sockets, `token` the randomness; tests use both."""
        self.tls = tls
        """The certificates that new TLS connections use; may be replaced at any time, connections stay."""
        self.token = token or TokenSource()
        """Gives unguessable hexadecimal text, for whoever needs names of that kind."""
        self.endpoint = Endpoint(
            token=self.token,
            settings=settings,
            flow_for=self._flow_for,
            is_connected=self._is_connected,
        )
        self._loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = self._loop.time
        """The loop's time: what every command of the endpoint and its sessions takes."""
        self.on_event: Callable[[Event], None] = _ignore
        """Called for each event, in order. It may give commands; they are flushed when it returns."""
        self.on_lost: Callable[[Flow], None] = lambda flow: None
        """Told of each connection that is over, and of each message that could not be sent."""
        self.internal_errors = 0
        """Exceptions that reached the datagram edge: each is a defect of ours."""
        self._connections = Connections(connection_limits or ConnectionLimits())
        self.connection_counters: ConnectionCounters = self._connections.counters
        """What the TCP and TLS connections saw."""
        self._network = network or SocketNetwork(
            advertise or AdvertisedAddresses(), self._connections, lambda: self.tls
        )
        self._tap: Tap | None = None
        self._transports: dict[tuple[str, Address], Transport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = math.inf
        """When the timer fires, by the loop's time."""
        self._flushing = False
        self._idle: asyncio.Event | None = None
        """Set when the last session is gone, while somebody waits for that."""
        self._scheduled: asyncio.Handle | None = None
        self._logged_at = float("-inf")

    async def start(self, listens: Iterable[Listen]) -> list[Listen]:
        """Open the listeners; returns them as bound. Raises TransportError, and then none is left open."""
        bound = []
        try:
            for where in listens:
                transport = await self._network.listen(where, self)
                self._transports[transport.transport, transport.local] = transport
                bound.append(Listen(transport.transport, *transport.local))
        except TransportError:
            await self.close()
            raise
        return bound

    async def close(self) -> None:
        """Close everything at once; end the calls before."""
        for handle in (self._timer, self._scheduled):
            if handle is not None:
                handle.cancel()
        self._timer = self._scheduled = None
        self._armed_for = math.inf
        for transport in self._transports.values():
            transport.close()
        self._transports.clear()
        await asyncio.sleep(0)  # asyncio closes the sockets of connections when it comes round

    def flow_to(self, target: Target, like: Flow | None = None) -> Flow:
        """The flow to a resolved target, from the socket of `like` where that reaches it. Raises TransportError when no
        listener of ours does."""
        return self._flow_for(target, like)

    def forget_flows(self) -> None:
        """Ask anew which address is advertised, for each flow from now on: the configuration has changed."""
        for transport in self._transports.values():
            transport.forget_flows()

    def kept_up(self) -> bool:
        """False when datagrams came faster than they were dealt with since the last call; see `UdpTransport`."""
        # Each is asked: asking starts its next look.
        answers = [item.kept_up() for item in self._transports.values() if isinstance(item, UdpTransport)]
        return all(answers)

    @property
    def tap(self) -> Tap | None:
        """Hears of every message, for traces. To be set."""
        return self._tap

    @tap.setter
    def tap(self, tap: Tap | None) -> None:
        self._tap = self.endpoint.tap = tap

    @property
    def accepted_now(self) -> int:
        """Accepted TCP and TLS connections that are open."""
        return self._connections.accepted_now

    @property
    def datagrams_dropped(self) -> int:
        """Datagrams of ours that were given up because the kernel would not take them."""
        return sum(item.dropped for item in self._transports.values() if isinstance(item, UdpTransport))

    def schedule_flush(self) -> None:
        """Flush when the loop comes round: what to call after a command given outside `on_event`."""
        if self._scheduled is None and not self._flushing:
            self._scheduled = self._loop.call_soon(self._flush_scheduled)

    def flush(self) -> None:
        """Send and deliver all that waits, then set the timer."""
        if self._flushing:
            return
        self._flushing = True
        try:
            endpoint = self.endpoint
            while endpoint.to_send or endpoint.to_tell:
                for transmit in endpoint.transmits():
                    self._send(transmit)
                for event in endpoint.events():
                    self._deliver(event)
        finally:
            self._flushing = False
        self._arm()
        if self._idle is not None and not self.endpoint.session_count:
            self._idle.set()

    async def settle(self, patience: float) -> bool:
        """Wait until no session is left, its last request answered; False after `patience` seconds."""
        if not self.endpoint.session_count:
            return True
        self._idle = asyncio.Event()
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:
            return False
        finally:
            self._idle = None
        return True

    # What transports call

    def received(self, data: bytes, flow: Flow, fault: RemoteError | None = None) -> None:
        """One message; `flush` follows. With `fault` a request is refused for that."""
        try:
            self.endpoint.receive(data, flow, self.now(), fault)
        except Exception:
            # The datagram edge: one bad message never ends the receive loop.
            self._report("message")

    def lost(self, flow: Flow, detail: str, reason: LossReason = "transport") -> None:
        """A queued message could not be sent, or a connection is over."""
        self.endpoint.lost(flow, self.now(), detail, reason)
        self.on_lost(flow)
        self.schedule_flush()

    def hears(self, source: str) -> bool:
        """Whether the gate lets anything of this address in."""
        return self.endpoint.gate.hears(source, self.now())

    def needs(self, flow: Flow) -> bool:
        """True while a call or a request of ours lives on a connection."""
        return self.endpoint.needs(flow)

    def _is_connected(self, flow: Flow) -> bool:
        transport = self._transports.get((flow.transport, flow.local))
        return transport is not None and transport.is_connected(flow)

    def _flow_for(self, target: Target, like: Flow | None = None) -> Flow:
        return self._transport_for(target, like).flow_to(target)

    def _transport_for(self, target: Target, like: Flow | None) -> Transport:
        if like is not None and like.transport == target.transport:
            transport = self._transports.get((like.transport, like.local))
            if transport is not None and _reaches(transport.local[0], target.host) > 0:
                return transport
        candidates = [
            item
            for item in self._transports.values()
            if item.transport == target.transport and _reaches(item.local[0], target.host)
        ]
        if not candidates:
            raise TransportError(f"no {target.transport} listener reaches {target.host}")
        if len(candidates) == 1:
            return candidates[0]
        return max(candidates, key=lambda item: _fitness(item.local, target.host, like))

    def _send(self, transmit: Transmit) -> None:
        flow = transmit.flow
        try:
            if transmit.fallback is not None and not self._is_connected(flow):
                flow = self._flow_for(transmit.fallback, flow)
            transport = self._transports.get((flow.transport, flow.local))
            if transport is None:
                raise TransportError("the listener is closed")
            transport.send(transmit.data, flow)
            if self._tap is not None:
                self._tap.sent(transmit.data, flow, self.now())
        except TransportError as error:
            self.endpoint.lost(flow, self.now(), str(error), error.reason)

    def _deliver(self, event: Event) -> None:
        try:
            self.on_event(event)
        except Exception:
            # One call's defect must not keep the events of the others from them.
            self._report("event")

    def _flush_scheduled(self) -> None:
        self._scheduled = None
        self.flush()

    def _arm(self) -> None:
        """Set the one timer; one that is early enough stays, firing for nothing is cheaper than setting it
        anew."""
        due = self.endpoint.next_timer()
        if due is None or due >= self._armed_for or not self._transports:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = due
        self._timer = self._loop.call_at(due, self._on_timer, due)

    def _on_timer(self, due: float) -> None:
        self._timer = None
        self._armed_for = math.inf
        # The loop may call a clock's resolution early; what was armed is due.
        self.endpoint.handle_timer(max(due, self.now()))
        self.flush()

    def _report(self, what: str) -> None:
        """Count a defect, and log it with its traceback at most once per interval."""
        self.internal_errors += 1
        if self.now() - self._logged_at >= LOG_INTERVAL:
            self._logged_at = self.now()
            logger.exception("defect while handling a SIP %s; %d so far", what, self.internal_errors)


@lru_cache(maxsize=4096)
def _reaches(bound: str, peer: str) -> int:
    """How well a socket bound to `bound` can send to `peer`: 0 not at all, 2 best."""
    local, remote = ip_address(bound), ip_address(peer)
    if local.version != remote.version:
        return 0
    if local.is_unspecified:
        return 1
    if local.is_loopback != remote.is_loopback:
        return 0
    return 2


def _fitness(local: Address, peer: str, like: Flow | None) -> tuple[int, bool, bool]:
    """Which of several sockets that reach a peer is the one to use: the one its packets come to, then the one
    beside the flow in use, then the one that the kernel would send from."""
    beside = like is not None and like.local[0] == local[0]
    try:
        faces = facing_address(peer, "::" if ":" in peer else "0.0.0.0") == local[0]
    except TransportError:
        faces = False
    return _reaches(local[0], peer), beside, faces
