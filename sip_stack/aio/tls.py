"""SIP over TLS: the connections of `tcp.py` with a TLS session in each (RFC 3261 section 26.3.1, RFC 5922, RFC 5923).

A connection of ours is made for a name and on terms; it is ready when the certificate has proved both, and serves
nobody else: another name at the same address gets a connection of its own. An accepted one serves the calls that came
over it, and nothing new of ours. Certificates are looked up when a handshake begins, so that new ones leave the
connections that are there alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace

from sip_stack.aio.advertise import AdvertisedAddresses
from sip_stack.aio.connections import Cause, Connection, Connections
from sip_stack.aio.network import Listen, Receiver
from sip_stack.aio.tcp import Key, TcpTransport, open_stream
from sip_stack.aio.tls_contexts import TlsContexts
from sip_stack.aio.tls_faults import TlsError
from sip_stack.aio.tls_session import TlsSession
from sip_stack.errors import TransportError
from sip_stack.locating import address_version
from sip_stack.tls_identity import is_for, sip_identities, subjects
from sip_stack.transport import Flow, Target, TlsPeer

ContextsInForce = Callable[[], TlsContexts | None]


class TlsConnection(Connection):
    """One connection with TLS in it."""

    __slots__ = ("_contexts", "_session", "_shaking_since")

    def __init__(
        self,
        flow: Flow,
        receiver: Receiver,
        shared: Connections,
        buffer: memoryview,
        on_end: Callable[[Connection, str], None],
        contexts: ContextsInForce,
    ) -> None:
        """As `Connection`, and where the certificates come from."""
        super().__init__(flow, receiver, shared, buffer, on_end)
        self._contexts = contexts
        self._session: TlsSession | None = None
        self._shaking_since: float | None = None

    def look(self, now: float) -> None:
        """Called every second or so: end what takes too long."""
        limit = self._shared.limits.handshake_timeout
        if self._shaking_since is not None and now - self._shaking_since > limit:
            self.end("handshake", f"no TLS within {limit:g} s")
        else:
            super().look(now)

    def end(self, cause: Cause, reason: str, *, after_sending: bool = False) -> None:
        """Close the connection; what it ends before the handshake is done has failed with it."""
        if self._shaking_since is not None:
            self._shared.counters.handshake_failures += 1
            self._leave_handshake()
        super().end(cause, reason, after_sending=after_sending)

    def _begin(self) -> None:
        self._shaking_since = self._heard_at
        if self.flow.peer is None:
            self._shared.handshakes[self.flow.remote[0]] += 1
        try:
            self._session = self._new_session()
        except TransportError as error:
            self._fail(error)
        else:
            self._receive(b"")

    def _new_session(self) -> TlsSession:
        contexts, peer = self._contexts(), self.flow.peer
        if contexts is None:
            raise TlsError("no certificate is configured")
        if peer is None:
            return TlsSession(contexts.server, server=True)
        name = peer.name.removesuffix(".") if address_version(peer.name) is None else None
        return TlsSession(contexts.client(peer.terms), server=False, name=name)

    def _receive(self, data: bytes) -> None:
        session = self._session
        if session is None:
            return
        try:
            octets = session.receive(data)
            if session.is_established and not self._is_ready:
                self._establish(session)
        except TlsError as error:
            self._pump(session)  # an alert says why
            self._fail(error)
            return
        self._pump(session)
        if octets:
            self._take_octets(octets)
        if session.is_closed_by_peer:
            self.eof_received()

    def _establish(self, session: TlsSession) -> None:
        """The handshake is done: see whom we speak with. Raises TlsError when it is somebody else."""
        certificate, peer = session.peer_certificate(), self.flow.peer
        if peer is None:
            self.flow = replace(self.flow, subjects=subjects(certificate))
        elif peer.terms.verify and not is_for(certificate, peer.name):
            named = ", ".join(sip_identities(certificate)[:8]) or "nobody"
            raise TlsError(f"the certificate is for {named}, not for {peer.name}", "tls_name_mismatch")
        self._shared.counters.handshakes += 1
        self._leave_handshake()
        self._ready()

    def _leave_handshake(self) -> None:
        self._shaking_since = None
        if self.flow.peer is None:
            self._shared.leave_handshake(self.flow.remote[0])

    def _fail(self, error: TransportError) -> None:
        self.loss_reason = error.reason
        self.end("closed" if self._is_ready else "handshake", str(error), after_sending=True)

    def _write(self, data: bytes) -> None:
        assert self._session is not None
        self._session.send(data)
        self._pump(self._session)

    def _pump(self, session: TlsSession) -> None:
        """Send what the session has for the network."""
        octets = session.outgoing()
        if octets and self._transport is not None:
            self._transport.write(octets)

    def _close(self, transport: asyncio.Transport, after_sending: bool) -> None:
        if after_sending and self._session is not None and self._is_ready:
            self._session.close()
            transport.write(self._session.outgoing())
        super()._close(transport, after_sending)


class TlsTransport(TcpTransport):
    """One listening TLS socket. Made by `open_tls`."""

    transport = "tls"

    def __init__(
        self,
        sock: socket.socket,
        receiver: Receiver,
        advertised: AdvertisedAddresses,
        connections: Connections,
        dscp: int,
        contexts: ContextsInForce,
    ) -> None:
        """As `TcpTransport`; `contexts` is asked at each handshake."""
        super().__init__(sock, receiver, advertised, connections, dscp)
        self._contexts = contexts

    def _admit(self, source: str) -> int:
        # A handshake costs us more than the peer: strangers get few, as they do of everything.
        shared = self._shared
        if shared.handshakes[source] >= shared.limits.handshakes_per_source or not self._receiver.hears(
            source
        ):
            shared.counters.rejected += 1
            return 0
        return super()._admit(source)

    def _peer_of(self, target: Target) -> TlsPeer:
        return target.tls_peer

    def _new_flow(self, key: Key, number: int) -> Flow:
        contexts = self._contexts()
        return replace(super()._new_flow(key, number), name="" if contexts is None else contexts.name)

    def _new_connection(self, flow: Flow) -> TlsConnection:
        shared, buffer = self._shared, self._buffer
        return TlsConnection(flow, self._receiver, shared, buffer, self._on_end, self._contexts)


async def open_tls(
    where: Listen,
    receiver: Receiver,
    advertised: AdvertisedAddresses,
    connections: Connections,
    contexts: ContextsInForce,
) -> TlsTransport:
    """Bind a TCP socket and listen for TLS. Raises TransportError."""
    if contexts() is None:
        raise TransportError(f"cannot listen on tls:{where.host}:{where.port}: no certificate is configured")
    return await open_stream(
        where, lambda sock: TlsTransport(sock, receiver, advertised, connections, where.dscp, contexts)
    )
